"""Transform with SQL.

The parents' tables are called df_1, df_2, … in QUERY; DuckDB runs it in memory.
"""

import duckdb

from spellbook_core import test, transformer

QUERY = "SELECT * FROM df_1"


@transformer
def sql_transform(*tables, **kwargs):
    """Return the rows of the query, given as the pipeline variable `query` or in QUERY."""
    with duckdb.connect() as connection:
        for number, table in enumerate(tables, start=1):
            connection.register(f"df_{number}", table)
        return connection.execute(kwargs.get("query", QUERY)).df()


@test
def test_has_columns(output, *args):
    assert len(output.columns) > 0, "the query returns no columns"
