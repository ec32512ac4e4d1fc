"""Periods of pandas (months, quarters ...) as the texts that pandas prints: Arrow stores them as bare counts."""

from __future__ import annotations

import json
import re
from typing import Any

_NAME, _NOTE = b"ARROW:extension:name", b"ARROW:extension:metadata"
_PERIODS = "pandas.period"
_CLOCKS = {"M": "M", "D": "D", "h": "m", "min": "m", "s": "s", "ms": "ms", "us": "us", "ns": "ns"}
"""Unit of pandas whose counts are those of numpy -> the unit up to which it is printed."""

_LAST_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


def is_unknown(field: Any) -> bool:
    """Return whether a field of an Arrow schema holds periods, of which this process has not told Arrow yet.

    pandas tells Arrow of its own type when it first writes one: another process did.
    """
    return bool((field.metadata or {}).get(_NAME) == _PERIODS.encode())


def make_known() -> None:
    """Have pandas tell Arrow what a period is."""
    import pandas as pd
    import pyarrow as pa

    pa.array(pd.PeriodIndex([], freq="D"))


def readable(column: Any, field: Any) -> Any:
    """Return a chunked column as texts, each of which is there once, when it holds periods; any other as it is."""
    import pyarrow as pa

    from spellbook_core.artifacts.build import texts

    if isinstance(column.type, pa.ExtensionType) and column.type.extension_name == _PERIODS:
        note = column.type.__arrow_ext_serialize__()
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], type=column.type.storage_type)
    elif is_unknown(field):
        note = field.metadata.get(_NOTE, b"{}")
    else:
        return column
    coded = column.combine_chunks().dictionary_encode()
    words = _texts(coded.dictionary.to_pylist(), str(json.loads(note).get("freq")))
    if words is None:
        return column
    return pa.chunked_array([pa.DictionaryArray.from_arrays(coded.indices, texts(words))])


def _texts(ordinals: list[int], freq: str) -> list[str] | None:
    """Return what pandas prints for periods by their counts since 1970; None when the unit is not known here."""
    import numpy as np

    unit, _, anchor = re.sub(r"^\d+", "", freq).partition("-")
    if unit in {"Y", "A"}:
        return [str(1970 + count) for count in ordinals]
    if unit == "Q":
        return [f"{1970 + count // 4}Q{count % 4 + 1}" for count in ordinals]
    counts: Any = np.array(ordinals, dtype=np.int64)
    if unit == "W" and anchor in _LAST_DAYS:
        first = counts.astype("M8[W]").astype("M8[D]") + (_LAST_DAYS.index(anchor) - 10)
        return [f"{begin}/{end}" for begin, end in zip(first, first + 6, strict=True)]
    if unit == "B":  # five a week; 1970 began on a Thursday
        counts, unit = (counts + 3) // 5 * 7 + (counts + 3) % 5 - 3, "D"
    if unit not in _CLOCKS:
        return None
    moments = counts.astype(f"M8[{'m' if unit == 'min' else unit}]")
    shown: Any = np.datetime_as_string(moments, unit=_CLOCKS[unit])  # type: ignore[call-overload]  # one of numpy's
    return [text.replace("T", " ") for text in shown.tolist()]
