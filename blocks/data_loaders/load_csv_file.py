"""Load CSV files with DuckDB.

Set the pipeline variable `csv_path` to a file or a pattern such as data/*.csv, seen from the folder above the project.
"""

import duckdb

from spellbook_core import data_loader, test


@data_loader
def load_csv_file(*args, **kwargs):
    """Return the rows of all files that the path names; types are found out by DuckDB."""
    return duckdb.execute("SELECT * FROM read_csv(?, union_by_name = true)", [kwargs["csv_path"]]).df()


@test
def test_has_columns(output, *args):
    assert len(output.columns) > 0, "the file has no columns"
