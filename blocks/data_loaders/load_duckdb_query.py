"""Load with an SQL query.

DuckDB runs it, in memory or on a database file; it can read CSV, Parquet and JSON files by name.
"""

import duckdb

from spellbook_core import data_loader, test

DATABASE = ":memory:"
QUERY = """
    SELECT range AS day, round(100 + 10 * sin(range / 5.0), 2) AS amount
    FROM range(30)
"""


@data_loader
def load_query(*args, **kwargs):
    """Return the rows of QUERY; write `?` for a value and pass it as a parameter, never join texts."""
    with duckdb.connect(DATABASE) as connection:
        return connection.execute(QUERY).df()


@test
def test_has_rows(output, *args):
    assert len(output) > 0, "the query returned no rows"
