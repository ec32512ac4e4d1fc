"""The first rows of a value as a small Arrow file, with long texts cut, for screens that must not load the value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spellbook_core.artifacts.formats.periods import readable
from spellbook_core.artifacts.sketch import describe_shortly
from spellbook_core.artifacts.store import PREVIEW_TABLE_FILE
from spellbook_core.settings import PREVIEW_ROWS

MAX_CELL_CHARS = 300
MAX_PREVIEW_COLUMNS = 100
"""Columns shown of an array; a table keeps all of its own."""


def preview_table(folder: Path, table: Any) -> None:
    """Write the first rows of an Arrow table; nested and binary cells become short texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    head = table.slice(0, PREVIEW_ROWS)
    columns = []
    for stored, field in zip(head.columns, head.schema, strict=True):
        column = readable(stored, field)
        kind = column.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            columns.append(pc.utf8_slice_codeunits(column, 0, MAX_CELL_CHARS))
        elif is_simple(kind):
            columns.append(column)
        else:
            columns.append(pa.array([cell_text(cell) for cell in column], pa.string()))
    write_arrow(folder / PREVIEW_TABLE_FILE, pa.Table.from_arrays(columns, names=head.column_names))


def preview_texts(folder: Path, names: Sequence[str], columns: Sequence[Sequence[object]]) -> None:
    """Write columns of Python values as short texts; None stays null."""
    import pyarrow as pa

    arrays = [pa.array([None if v is None else short_text(v) for v in values], pa.string()) for values in columns]
    cleaned = [short_text(name) for name in names]
    write_arrow(folder / PREVIEW_TABLE_FILE, pa.Table.from_arrays(arrays, names=cleaned))


def preview_array(folder: Path, array: Any) -> None:
    """Write the first rows of a numpy array: one column for 1 axis, else the other axes side by side."""
    import numpy as np
    import pyarrow as pa

    if array.ndim == 0 or array.size == 0:
        return
    head = array[:PREVIEW_ROWS]
    flat = head.reshape(len(head), -1)[:, :MAX_PREVIEW_COLUMNS] if array.ndim > 1 else head.reshape(-1, 1)
    columns = []
    for index in range(flat.shape[1]):
        values = np.ascontiguousarray(flat[:, index])
        if values.dtype.kind in "biuf" and values.dtype.itemsize <= 8:
            columns.append(pa.array(values.astype(values.dtype.newbyteorder("="))))
        else:
            columns.append(pa.array([short_text(value) for value in values], pa.string()))
    names = ["value"] if array.ndim == 1 else [str(index) for index in range(len(columns))]
    write_arrow(folder / PREVIEW_TABLE_FILE, pa.Table.from_arrays(columns, names=names))


def is_simple(kind: Any) -> bool:
    """Return whether cells of the Arrow type are small and shown as they are."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return is_simple(kind.value_type) or types.is_string(kind.value_type) or types.is_large_string(kind.value_type)
    return bool(
        types.is_boolean(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_temporal(kind)
        or types.is_decimal(kind)
        or types.is_null(kind)
    )


def cell_text(cell: Any) -> str | None:
    """Return a short text for an Arrow scalar of any type, looking at no more than 20 items of a nested one."""
    import pyarrow as pa

    if not cell.is_valid:
        return None
    if isinstance(cell, pa.ExtensionScalar):
        return cell_text(cell.value)
    if isinstance(cell, (pa.ListScalar, pa.LargeListScalar, pa.FixedSizeListScalar)):
        values = cell.values
        more = f", … {len(values) - 20:,} more" if len(values) > 20 else ""
        return f"[{', '.join(cell_text(item) or 'null' for item in values[:20])}{more}]"[:MAX_CELL_CHARS]
    if isinstance(cell, pa.StructScalar):
        parts = [f"{name}: {cell_text(item) or 'null'}" for name, item in list(cell.items())[:20]]
        return f"{{{', '.join(parts)}}}"[:MAX_CELL_CHARS]
    if isinstance(cell, (pa.BinaryScalar, pa.LargeBinaryScalar)) and not isinstance(
        cell, (pa.StringScalar, pa.LargeStringScalar)
    ):
        data = cell.as_buffer()
        return short_text(data[:60].to_pybytes()) + (f"… {data.size:,} bytes" if data.size > 60 else "")
    try:
        return short_text(cell.as_py())
    except (ValueError, OverflowError, TypeError, ImportError):  # years beyond 9999, ns without pandas ...
        return short_text(str(cell))


def short_text(value: object) -> str:
    """Return at most `MAX_CELL_CHARS` characters; text stays text, anything else is described."""
    if isinstance(value, str):
        return str(value)[:MAX_CELL_CHARS].encode("utf-8", "replace").decode()
    return describe_shortly(value, MAX_CELL_CHARS) if not _prints_well(value) else str(value)[:MAX_CELL_CHARS]


def _prints_well(value: object) -> bool:
    import datetime
    import decimal
    import numbers
    import uuid

    if isinstance(value, int):
        return value.bit_length() <= 4_000
    plain = (numbers.Number, decimal.Decimal, datetime.date, datetime.time, datetime.timedelta, uuid.UUID)
    return isinstance(value, plain)


def write_arrow(path: Path, table: Any) -> None:
    """Write an Arrow IPC file, uncompressed."""
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
