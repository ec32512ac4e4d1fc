"""Export to a DuckDB table.

The table is replaced at each run.
"""

from pathlib import Path

import duckdb

from spellbook_core import data_exporter

TABLE = "results"


@data_exporter
def export_table(data, *args, **kwargs):
    """Write the table to output/warehouse.duckdb in the project."""
    folder = Path(kwargs.get("repo_path", ".")) / "output"
    folder.mkdir(exist_ok=True)
    with duckdb.connect(folder / "warehouse.duckdb") as connection:
        connection.register("data", data)
        connection.execute(f'CREATE OR REPLACE TABLE "{TABLE}" AS SELECT * FROM data')
    print(f"{len(data)} rows written to table {TABLE}")
