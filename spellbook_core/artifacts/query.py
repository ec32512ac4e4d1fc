"""Which rows of a stored table a page shows: sorting and searching by DuckDB over the mapped Arrow file.

DuckDB returns row numbers only; the rows are then taken from the Arrow table, so no cell passes through a second type
system. It runs in memory, cannot reach files or the network, and names come to it as c0, c1, ... and key
"""

from __future__ import annotations

from typing import Any

from spellbook_core.artifacts.build import integers, texts
from spellbook_core.artifacts.cells import cells, plain, timestamps

_THREADS = 2
_MEMORY = "512MB"


def matching_rows(table: Any, *, sort: int | None, descending: bool, search: str | None) -> Any:
    """Return the row numbers (int64 Arrow array) of the rows in which any cell contains `search`, sorted.

    Args:
        table: A pyarrow table.
        sort: Column number, or None for stored order. Nulls come last; equal cells keep the stored order.
        descending: Largest first.
        search: Looked for without regard to case in the cell's text; None or empty keeps every row.
    """
    columns = {f"c{number}": _searchable(column) for number, column in enumerate(table.columns) if search}
    condition = " OR ".join(
        f"contains(lower(CAST({name} AS VARCHAR)), (SELECT lower(text) FROM asked))"  # noqa: S608  # c0, c1, ...
        for name in columns
    )
    where = f" WHERE {condition}" if columns else ""
    direction = "DESC" if descending else "ASC"
    order = " ORDER BY row"
    if sort is not None:
        columns["key"] = _sortable(table.column(sort))
        order = f" ORDER BY key {direction} NULLS LAST, row"
    text = f"SELECT row FROM stored{where}{order}"  # noqa: S608  # our own column names; the search text is data
    return _run(_view(table, columns), text, search=search or "")


def first_rows(table: Any, *, sort: int, descending: bool, offset: int, limit: int) -> Any:
    """Return the row numbers of rows offset … offset+limit-1 in the order of one column."""
    direction = "DESC" if descending else "ASC"
    text = (
        f"SELECT row FROM stored ORDER BY key {direction} NULLS LAST, row "  # noqa: S608  # our own words
        "LIMIT $limit OFFSET $offset"
    )
    view = _view(table, {"key": _sortable(table.column(sort))})
    return _run(view, text, numbers={"limit": limit, "offset": offset})


def _run(view: Any, text: str, *, search: str = "", numbers: dict[str, int] | None = None) -> Any:
    """Run a query over `stored`; the search text is a table of its own: to bind it, DuckDB would import pandas."""
    import duckdb
    import pyarrow as pa

    connection = duckdb.connect(":memory:", config={"threads": _THREADS, "memory_limit": _MEMORY})
    try:
        connection.register("stored", view)
        connection.register("asked", pa.Table.from_arrays([texts([search])], names=["text"]))
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        found = connection.sql(text, params=numbers) if numbers else connection.sql(text)
        rows = found.to_arrow_table().column(0)
        return rows.combine_chunks() if rows.num_chunks else integers([])  # without chunks, pyarrow imports pandas
    finally:
        connection.close()


def _view(table: Any, columns: dict[str, Any]) -> Any:
    """Return the columns and `row`, the row number."""
    import numpy as np
    import pyarrow as pa

    rows = integers(np.arange(table.num_rows))
    return pa.Table.from_arrays([*columns.values(), rows], names=[*columns, "row"])


def _sortable(column: Any) -> Any:
    """Return a column of the same order in a type that DuckDB has: times as numbers, odd types as their texts."""
    import pyarrow as pa

    types = pa.types
    if _is_text_dictionary(column.type):
        return column
    column = plain(column)
    kind = column.type
    if types.is_float16(kind):
        return column.cast(pa.float32())
    if types.is_date32(kind) or types.is_time32(kind):
        return column.cast(pa.int32())
    if types.is_timestamp(kind) or types.is_duration(kind) or types.is_date64(kind) or types.is_time64(kind):
        return column.cast(pa.int64())
    return column if _is_known(kind) else _texts(column)


def _searchable(column: Any) -> Any:
    """Return a column whose text in DuckDB is that of a page: times and odd types as their texts."""
    import pyarrow as pa

    if _is_text_dictionary(column.type):
        return column
    column = plain(column)
    if pa.types.is_timestamp(column.type):
        return timestamps(column)
    if pa.types.is_float16(column.type):
        return column.cast(pa.float32())
    return column if _is_known(column.type) else _texts(column)


def _is_text_dictionary(kind: Any) -> bool:
    from pyarrow import types

    return bool(
        types.is_dictionary(kind) and (types.is_string(kind.value_type) or types.is_large_string(kind.value_type))
    )


def _is_known(kind: Any) -> bool:
    from pyarrow import types

    return bool(
        types.is_boolean(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or (types.is_decimal128(kind) and kind.scale >= 0)
    )


def _texts(column: Any) -> Any:
    return texts(cells(column)[0])
