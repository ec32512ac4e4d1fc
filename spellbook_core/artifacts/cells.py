"""Arrow cells as values that JSON and a browser can hold, short, whatever the type; needs neither pandas nor torch."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, TypeAlias

from spellbook_core.artifacts.formats.table_preview import MAX_CELL_CHARS, cell_text

JsonScalar: TypeAlias = "str | int | float | bool | None"
_EXACT_INT = 2**53  # larger ones change in a browser
_UNIT_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def plain(column: Any) -> Any:
    """Return a chunked Arrow column without extension types and dictionaries."""
    import pyarrow as pa

    if isinstance(column.type, pa.BaseExtensionType):
        chunks = [chunk.storage for chunk in column.chunks]
        column = pa.chunked_array(chunks, type=column.type.storage_type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column


def cells(column: Any) -> tuple[list[JsonScalar], int]:
    """Return a column's cells, null as None, and how many of them were cut to `MAX_CELL_CHARS`."""
    import pyarrow as pa

    column = plain(column)
    kind = column.type
    types = pa.types
    if types.is_string(kind) or types.is_large_string(kind):
        return _texts(column)
    if types.is_boolean(kind) or types.is_null(kind):
        return column.to_pylist(), 0
    if types.is_integer(kind):
        return [_integer(value) for value in column.to_pylist()], 0
    if types.is_floating(kind):
        return [_float(value) for value in column.to_pylist()], 0
    if types.is_timestamp(kind):
        return timestamps(column).to_pylist(), 0
    if types.is_duration(kind):
        return [_duration(value, kind.unit) for value in column.cast(pa.int64()).to_pylist()], 0
    if types.is_date(kind) or types.is_time(kind) or types.is_decimal(kind):
        return column.cast(pa.string()).to_pylist(), 0
    texts = [cell_text(cell) for cell in column]
    return list(texts), sum(1 for text in texts if text is not None and len(text) >= MAX_CELL_CHARS)


def timestamps(column: Any) -> Any:
    """Return ISO-like texts: local time and offset when the column has a time zone; no fraction when it is 0."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.type.tz is None:
        texts = column.cast(pa.string())
    else:
        try:
            texts = pc.strftime(column, format="%Y-%m-%d %H:%M:%S%z")
        except pa.ArrowInvalid:  # the system has no such time zone
            texts = pc.binary_join_element_wise(column.cast(pa.timestamp(column.type.unit)).cast(pa.string()), "Z", "")
    return pc.replace_substring_regex(texts, r"\.0+([+-]\d{4}|Z)?$", r"\1")


def _texts(column: Any) -> tuple[list[JsonScalar], int]:
    import pyarrow.compute as pc

    short = pc.utf8_slice_codeunits(column, 0, MAX_CELL_CHARS + 1).to_pylist()
    is_long = [text is not None and len(text) > MAX_CELL_CHARS for text in short]
    shown = [f"{text[:MAX_CELL_CHARS]}…" if cut else text for text, cut in zip(short, is_long, strict=True)]
    return shown, sum(is_long)


def _integer(value: int | None) -> JsonScalar:
    return value if value is None or abs(value) <= _EXACT_INT else str(value)


def _float(value: float | None) -> JsonScalar:
    return value if value is None or math.isfinite(value) else str(value)


def _duration(value: int | None, unit: str) -> JsonScalar:
    if value is None:
        return None
    seconds, rest = divmod(value, _UNIT_PER_SECOND[unit])
    try:
        whole = str(timedelta(seconds=seconds))
    except OverflowError:
        whole = f"{seconds} s"
    digits = len(str(_UNIT_PER_SECOND[unit])) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0") if rest else whole
