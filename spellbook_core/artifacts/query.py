"""Which rows of a stored table a page shows: sorting and searching by DuckDB over the mapped Arrow file.

DuckDB returns row numbers only; the rows are then taken from the Arrow table, so no cell passes through a second type
system. It runs in memory, cannot reach files or the network, and names come to it as c0, c1, ...
"""

from __future__ import annotations

from typing import Any

from spellbook_core.artifacts.cells import plain
from spellbook_core.artifacts.formats.table_preview import cell_text

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
    columns = list(range(table.num_columns)) if search else [sort] if sort is not None else []
    view = _view(table, columns)
    condition = " OR ".join(f"contains(lower(CAST(c{number} AS VARCHAR)), lower($text))" for number in columns)
    where = f" WHERE {condition}" if search and columns else ""
    direction = "DESC" if descending else "ASC"
    order = f" ORDER BY c{sort} {direction} NULLS LAST, row" if sort is not None else " ORDER BY row"
    text = f"SELECT row FROM stored{where}{order}"  # noqa: S608  # column numbers only; the search text is bound
    return _run(view, text, {"text": search} if where else {})


def first_rows(table: Any, *, sort: int, descending: bool, offset: int, limit: int) -> Any:
    """Return the row numbers of rows offset … offset+limit-1 in the order of one column."""
    direction = "DESC" if descending else "ASC"
    text = (
        f"SELECT row FROM stored ORDER BY c{sort} {direction} NULLS LAST, row "  # noqa: S608  # a column number
        "LIMIT $limit OFFSET $offset"
    )
    return _run(_view(table, [sort]), text, {"limit": limit, "offset": offset})


def _run(view: Any, text: str, values: dict[str, object]) -> Any:
    import duckdb

    connection = duckdb.connect(":memory:", config={"threads": _THREADS, "memory_limit": _MEMORY})
    try:
        connection.register("stored", view)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection.execute(text, values).to_arrow_table().column(0).combine_chunks()
    finally:
        connection.close()


def _view(table: Any, columns: list[int]) -> Any:
    """Return the columns as c<number>, in types that DuckDB knows, and `row`, the row number."""
    import numpy as np
    import pyarrow as pa

    arrays = [_known(table.column(number)) for number in columns]
    rows = pa.array(np.arange(table.num_rows, dtype=np.int64))
    return pa.Table.from_arrays([*arrays, rows], names=[*(f"c{number}" for number in columns), "row"])


def _known(column: Any) -> Any:
    import pyarrow as pa

    types = pa.types
    if not types.is_dictionary(column.type) or isinstance(column.type, pa.BaseExtensionType):
        column = plain(column)
    kind = column.type
    if types.is_float16(kind):
        return column.cast(pa.float32())
    if types.is_timestamp(kind) and kind.tz is not None:
        return column.cast(pa.timestamp(kind.unit))  # a zone changes neither the order nor, much, the text
    if types.is_dictionary(kind):
        simple = types.is_string(kind.value_type) or types.is_large_string(kind.value_type)
        return column if simple else _known(plain(column))
    is_known = (
        types.is_boolean(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_temporal(kind)
        or (types.is_decimal128(kind) and kind.scale >= 0)
    )
    return column if is_known else pa.array([cell_text(cell) for cell in column], pa.string())
