"""Fill gaps in Age, Fare, Parch, Pclass, SibSp and Survived with the column's median."""

from spellbook_core import test, transformer
from titanic.utils.variables import COLS


@transformer
def fill_in_missing_values(data, *args, **kwargs):
    """Return the passengers with no gap left in the columns that the model uses; the others are as they were."""
    data = data.copy()
    data[COLS] = data[COLS].fillna(data[COLS].median())
    return data


@test
def test_no_gap_is_left(output, *args):
    gaps = output[COLS].isna().sum()
    assert gaps.sum() == 0, f"gaps are left: {gaps[gaps > 0].to_dict()}"
