"""Results of SQL blocks as uncompressed Arrow IPC: written as DuckDB hands them over, read as a pandas frame.

Stored is what the query gave, decimals included, so that a SQL block below gets exactly that. A Python block gets the
frame that people expect of a query: numbers as numbers, dates as `datetime64`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spellbook_core.artifacts.formats.arrow_file import open_table, write_table
from spellbook_core.artifacts.formats.duplicates import merge_table
from spellbook_core.artifacts.formats.encoded import Encoded, count
from spellbook_core.artifacts.formats.table_preview import preview_table
from spellbook_core.model.output import Column, OutputKind

QUERY_FORMAT = "arrow-query"
_HUGEINT_DIGITS = 38
_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class QueryResult:
    """A `pyarrow.Table` that children in Python shall get as a pandas frame."""

    table: Any


def encode(value: object) -> Encoded | None:
    """Return how to store a query's result; every other value is left to the other encoders."""
    if not isinstance(value, QueryResult):
        return None
    table, merged = merge_table(_with_plain_integers(value.table))
    columns = tuple(Column(field.name, str(field.type)) for field in table.schema)
    return Encoded(
        format=QUERY_FORMAT,
        suffix="arrow",
        kind=OutputKind.TABLE,
        type_name="pandas.DataFrame",
        summary=f"{count(table.num_rows, 'row')} x {count(table.num_columns, 'column')}",
        write=lambda file: write_table(file, table),
        preview=lambda folder: preview_table(folder, table),
        rows=table.num_rows,
        columns=columns,
        warnings=tuple(merged),
        facts={
            "display": [[position, column.name] for position, column in enumerate(columns)],
            "nulls": [column.null_count for column in table.columns],
        },
    )


def decode(path: Path) -> object:
    """Return a new pandas frame; see `as_frame`."""
    return as_frame(open_table(path))


def as_frame(table: Any) -> Any:
    """Return a result as a pandas frame: decimals are floats, dates `datetime64`, as in DuckDB's own frames."""
    import pandas as pd
    import pyarrow as pa

    for position, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(position, field.name, table.column(position).cast(pa.float64()))
        elif pa.types.is_interval(field.type):
            table = table.set_column(position, field.name, _durations(table.column(position)))
    frame = table.to_pandas(date_as_object=False)
    for position, dtype in enumerate(frame.dtypes):
        if isinstance(dtype, pd.CategoricalDtype):  # its codes are a view of the read-only file
            frame.isetitem(position, frame.iloc[:, position].array.copy())
    return frame


def _durations(column: Any) -> Any:
    """Return intervals as durations where none has months, whose length nobody knows."""
    import pyarrow as pa

    values = column.to_pylist()
    if any(value is not None and value.months for value in values):
        return column
    nanos = [None if value is None else value.days * _DAY_NS + value.nanoseconds for value in values]
    return pa.chunked_array([pa.array(nanos, pa.int64()).cast(pa.duration("ns")).cast(pa.duration("us"), safe=False)])


def _with_plain_integers(table: Any) -> Any:
    """Return the table with int64 for DuckDB's HUGEINT (a sum of integers), where every value fits."""
    import pyarrow as pa

    for position, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_decimal128(kind) and (kind.precision, kind.scale) == (_HUGEINT_DIGITS, 0):
            try:
                table = table.set_column(position, field.name, table.column(position).cast(pa.int64()))
            except pa.ArrowInvalid:  # a larger value: kept exactly
                continue
    return table
