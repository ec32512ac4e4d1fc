"""Drop duplicate rows.

Keeps the first of each group of equal rows; `COLUMNS` says which columns to compare.
"""

from spellbook_core import test, transformer

COLUMNS = None  # all; or a list such as ["order_id"]


@transformer
def drop_duplicates(data, *args, **kwargs):
    """Return the first row of each group of equal ones."""
    kept = data.drop_duplicates(subset=COLUMNS, ignore_index=True)
    print(f"{len(data) - len(kept)} duplicates dropped")
    return kept


@test
def test_rows_are_unique(output, *args):
    assert not output.duplicated(subset=COLUMNS).any(), "duplicates are left"
