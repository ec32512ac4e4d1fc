"""Load Parquet files with DuckDB.

Set the pipeline variable `parquet_path` to a file or a pattern such as data/*.parquet.
"""

import duckdb

from spellbook_core import data_loader, test


@data_loader
def load_parquet(*args, **kwargs):
    """Return the rows of all files that the path names."""
    return duckdb.execute("SELECT * FROM read_parquet(?, union_by_name = true)", [kwargs["parquet_path"]]).df()


@test
def test_has_columns(output, *args):
    assert len(output.columns) > 0, "the file has no columns"
