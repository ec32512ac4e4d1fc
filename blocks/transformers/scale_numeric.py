"""Scale numeric columns.

Each to mean 0 and standard deviation 1; columns named in the pipeline variable `keep` (such as the label) stay.
"""

from spellbook_core import test, transformer


@transformer
def scale_numeric(data, *args, **kwargs):
    """Return the table with its numeric columns scaled; a constant column becomes 0."""
    kept = set(kwargs.get("keep", ["label"]))
    columns = [column for column in data.select_dtypes("number") if column not in kept]
    numbers = data[columns].astype("float64")
    return data.assign(**((numbers - numbers.mean()) / numbers.std(ddof=0).replace(0, 1)))


@test
def test_has_rows(output, *args):
    assert len(output) > 0, "there are no rows"
