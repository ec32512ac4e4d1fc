"""pyarrow tables, polars frames and DuckDB relations as uncompressed Arrow IPC."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from spellbook_core.artifacts.formats.arrow_file import open_table, write_table
from spellbook_core.artifacts.formats.duplicates import merge_table
from spellbook_core.artifacts.formats.encoded import Encoded, count
from spellbook_core.artifacts.formats.table_preview import preview_table
from spellbook_core.model.output import Column, OutputKind

TABLE_FORMAT = "arrow-table"
POLARS_FORMAT = "arrow-polars"
_POLARS_EXACT = frozenset(
    {f"{kind}{bits}" for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)}
    | {"Float32", "Float64", "Boolean", "String", "Binary", "Date", "Datetime", "Duration", "Time"}
)


def encode(value: object) -> Encoded | None:
    """Return how to store an Arrow-backed table; libraries that the block did not import are not imported here."""
    if "duckdb" in sys.modules:
        import duckdb

        if isinstance(value, duckdb.DuckDBPyRelation):
            table = value.to_arrow_table()
            return _encode_table(table, ("The DuckDB relation was computed and stored as an Arrow table.",))
    if "pyarrow" in sys.modules:
        import pyarrow as pa

        if type(value) is pa.Table:
            return _encode_table(value, ())
    if "polars" in sys.modules and type(value).__module__.startswith("polars"):
        return _encode_polars(value)
    return None


def decode(path: Path) -> object:
    """Return a pyarrow table whose cells lie in the file."""
    return open_table(path)


def decode_polars(path: Path) -> object:
    """Return a polars frame."""
    import polars

    return polars.from_arrow(open_table(path))


def _encode_table(value: Any, warnings: tuple[str, ...]) -> Encoded:
    table, merged = merge_table(value)
    columns = tuple(Column(field.name, str(field.type)) for field in table.schema)
    return Encoded(
        format=TABLE_FORMAT,
        suffix="arrow",
        kind=OutputKind.TABLE,
        type_name="pyarrow.Table",
        summary=f"{count(table.num_rows, 'row')} x {count(table.num_columns, 'column')}",
        write=lambda file: write_table(file, table),
        preview=lambda folder: preview_table(folder, table),
        rows=table.num_rows,
        columns=columns,
        warnings=(*warnings, *merged),
        facts={
            "display": [[position, column.name] for position, column in enumerate(columns)],
            "nulls": [column.null_count for column in table.columns],
        },
    )


def _encode_polars(value: Any) -> Encoded | None:
    import polars

    if type(value) is not polars.DataFrame:
        return None
    if not all(str(dtype).partition("(")[0] in _POLARS_EXACT for dtype in value.dtypes):
        return None
    columns = tuple(Column(name, str(dtype)) for name, dtype in value.schema.items())
    table = value.to_arrow()
    return Encoded(
        format=POLARS_FORMAT,
        suffix="arrow",
        kind=OutputKind.TABLE,
        type_name="polars.DataFrame",
        summary=f"{count(value.height, 'row')} x {count(value.width, 'column')}",
        write=lambda file: write_table(file, table),
        preview=lambda folder: preview_table(folder, table),
        rows=value.height,
        columns=columns,
        facts={
            "display": [[position, column.name] for position, column in enumerate(columns)],
            "nulls": [column.null_count for column in table.columns],
        },
    )
