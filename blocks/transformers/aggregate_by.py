"""Count and average by group.

Set the pipeline variable `group_by` to the column's name.
"""

from spellbook_core import test, transformer


@transformer
def aggregate_by(data, *args, **kwargs):
    """Return one row per group: its rows, and the mean of each other numeric column."""
    group = kwargs["group_by"]
    numbers = [column for column in data.select_dtypes("number") if column != group]
    groups = data.groupby(group, observed=True, dropna=False)
    return groups[numbers].mean().add_prefix("mean_").assign(rows=groups.size()).reset_index()


@test
def test_counts_are_positive(output, *args):
    assert (output["rows"] > 0).all(), "a group has no rows"
