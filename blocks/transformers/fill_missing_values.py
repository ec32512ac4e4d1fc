"""Fill missing values.

Numbers with the column's median, everything else with its most frequent value.
"""

from pandas.api.types import is_numeric_dtype

from spellbook_core import test, transformer


@transformer
def fill_missing(data, *args, **kwargs):
    """Return the table without gaps; a column that is empty throughout stays empty."""
    data = data.copy()
    for column in data.columns[data.isna().any()]:
        known = data[column].dropna()
        if len(known):
            value = known.median() if is_numeric_dtype(known) else known.mode().iloc[0]
            data[column] = data[column].fillna(value)
    return data


@test
def test_no_gap_is_left(output, *args):
    gaps = [column for column in output if output[column].isna().any() and output[column].notna().any()]
    assert not gaps, f"gaps are left in {gaps}"
