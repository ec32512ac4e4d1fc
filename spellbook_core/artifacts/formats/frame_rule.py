"""When a pandas frame may travel as Arrow: only when every part is on a list of things known to come back exactly.

Arrow silently changes 6 kinds of tested frames (object integers with None, sets, lists, mixed null markers ...) and
fails on 7 others, so trying it and catching errors is no test. Whatever is not on the list travels as pickle5.
"""

from __future__ import annotations

import datetime
import decimal
import math
from typing import Any

from spellbook_core.artifacts.formats import json_values

OBJECT_TYPES = {str: "string", datetime.date: "date", datetime.time: "time", decimal.Decimal: "decimal", bytes: "bytes"}
_NULLABLE = {
    *(f"{sign}Int{bits}Dtype".replace("uInt", "UInt") for sign in ("", "u") for bits in (8, 16, 32, 64)),
    "Float32Dtype",
    "Float64Dtype",
    "BooleanDtype",
}
_TEXT_CHUNK = 10_000
_TIME_UNITS = {("s", 1), ("ms", 1), ("us", 1), ("ns", 1)}


def objection(frame: Any) -> str | None:
    """Return why `frame` (exactly a `pandas.DataFrame`, unique labels) cannot travel as Arrow, or None."""
    reason = _labels_objection(frame.columns) or _index_objection(frame)
    if reason:
        return reason
    if not frame.flags.allows_duplicate_labels:
        return "it forbids duplicate labels"
    if not json_values.is_exact(dict(frame.attrs)):
        return "attrs that JSON cannot hold"
    for position, dtype in enumerate(frame.dtypes):
        if len(frame) == 0 and type(dtype).__name__ == "CategoricalDtype":
            return "categories without rows: Arrow files keep them with the rows"
        reason = _object_objection(frame.iloc[:, position]) if is_object(dtype) else _dtype_objection(dtype)
        if reason:
            return f"column {frame.columns[position]!r}: {reason}"
    return None


def is_object(dtype: Any) -> bool:
    """Return whether cells of `dtype` are any Python objects."""
    return type(dtype).__module__.startswith("numpy") and dtype.kind == "O"


def object_kind(series: Any) -> tuple[str, str] | None:
    """Return (kind of values, null marker) of an object column that Arrow can hold, or None.

    Kinds are those of `OBJECT_TYPES`, or `empty` when all values are null; markers are `none` and `nan`.
    """
    kinds = set(map(type, series.array))
    nulls = kinds & {type(None), float}
    values = kinds - nulls
    if len(nulls) > 1 or len(values) > 1 or not values <= OBJECT_TYPES.keys():
        return None
    if float in nulls and not all(math.isnan(v) for v in series.array if type(v) is float):
        return None
    return (OBJECT_TYPES[values.pop()] if values else "empty"), ("nan" if float in nulls else "none")


def _object_objection(series: Any) -> str | None:
    kind = object_kind(series)
    if kind is None:
        return "objects of mixed or own types"
    present = [value for value in series.array if value is not None and type(value) is not float]
    if kind[0] == "string" and not _is_unicode(present):
        return "text with lone surrogates"
    if kind[0] == "time" and any(value.tzinfo is not None or value.fold for value in present):
        return "times with a zone"
    if kind[0] == "decimal" and not _is_uniform(present):
        return "decimals of several scales"
    return None


def _is_unicode(texts: list[str]) -> bool:
    try:
        for start in range(0, len(texts), _TEXT_CHUNK):
            "".join(texts[start : start + _TEXT_CHUNK]).encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_uniform(values: list[decimal.Decimal]) -> bool:
    """Arrow keeps one scale per column: 1.0 beside 1.00 would come back as 1.00, and -0 as 0."""
    tuples = [value.as_tuple() for value in values]
    exponents = {parts.exponent for parts in tuples}
    return (
        len(exponents) == 1
        and all(isinstance(exponent, int) and -30 <= exponent <= 0 for exponent in exponents)
        and all(len(parts.digits) <= 30 and (any(parts.digits) or not parts.sign) for parts in tuples)
    )


def _labels_objection(labels: Any) -> str | None:
    import pandas as pd

    if not labels.is_unique or len(labels) == 0:
        return "no columns" if len(labels) == 0 else "repeated column labels"
    if labels.name is not None and type(labels.name) is not str:
        return "a name of the column labels that is no text"
    if type(labels) is pd.RangeIndex or (type(labels) is pd.Index and labels.dtype == "int64"):
        return None
    if type(labels) is pd.Index and (is_object(labels.dtype) or _is_text(labels.dtype)):
        if all(type(label) is str for label in labels) and _is_unicode(list(labels)):
            return None
        return "column labels that are not all text"
    return f"column labels of type {type(labels).__name__}"


def _index_objection(frame: Any) -> str | None:
    import pandas as pd

    index = frame.index
    names = list(index.names)
    used = [name for name in names if name is not None]
    if any(type(name) is not str or name.startswith("__index_level_") or not _is_unicode([name]) for name in used):
        return "an index name that is no plain text"
    if len(set(used)) < len(used) or any(name in set(map(str, frame.columns)) for name in used):
        return "an index name that is used twice"
    if any(str(label).startswith("__index_level_") for label in frame.columns):
        return "a column named like an index of Arrow's"
    if type(index) is pd.RangeIndex:
        return None
    if isinstance(index, pd.MultiIndex):
        if any((codes == -1).any() for codes in index.codes):
            return "a MultiIndex with missing values"
        if any(getattr(level, "tz", None) is datetime.UTC for level in index.levels):
            return "a MultiIndex with UTC times"
        levels = index.levels
        return next((reason for level in levels if (reason := _plain_index_objection(level))), None)
    return _plain_index_objection(index)


def _plain_index_objection(index: Any) -> str | None:
    import pandas as pd

    plain = (pd.Index, pd.RangeIndex, pd.DatetimeIndex, pd.TimedeltaIndex, pd.PeriodIndex)
    if type(index) is pd.Index and is_object(index.dtype) and _is_old_text(index):
        return None
    if type(index) not in plain or is_object(index.dtype) or index.dtype == "bool":
        return f"an index of {index.dtype}"
    if isinstance(index.dtype, pd.api.extensions.ExtensionDtype):
        allowed = (pd.DatetimeTZDtype, pd.PeriodDtype)
        if not _is_text(index.dtype) and not isinstance(index.dtype, allowed):
            return f"an index of {index.dtype}"
    return _dtype_objection(index.dtype)


def _dtype_objection(dtype: Any) -> str | None:
    import numpy as np
    import pandas as pd

    if isinstance(dtype, np.dtype):
        if dtype.isnative and dtype.kind in "biuf" and dtype.itemsize <= 8:
            return None
        if dtype.isnative and dtype.kind in "Mm" and np.datetime_data(dtype) in _TIME_UNITS:
            return None
        return f"{dtype} has no Arrow form"
    if isinstance(dtype, pd.StringDtype):
        return None if dtype.storage == "pyarrow" else "text kept as Python objects"
    if isinstance(dtype, pd.DatetimeTZDtype):
        return None if _zone_survives(dtype.tz) else f"time zone {dtype.tz!r}"
    if isinstance(dtype, pd.CategoricalDtype):
        return _categories_objection(dtype.categories)
    if isinstance(dtype, pd.ArrowDtype):
        return _arrow_objection(dtype.pyarrow_dtype)
    if isinstance(dtype, pd.PeriodDtype) or type(dtype).__name__ in _NULLABLE:
        return None
    return f"{dtype} is not known to survive Arrow"


def _categories_objection(categories: Any) -> str | None:
    import numpy as np
    import pandas as pd

    if categories is None or len(categories) == 0 or categories.name is not None:
        return "categories without values, or with a name"
    dtype = categories.dtype
    is_plain = type(categories) is pd.Index and isinstance(dtype, np.dtype) and dtype.kind in "iuf"
    return None if is_plain or _is_text(dtype) or _is_old_text(categories) else f"categories of {dtype}"


def _arrow_objection(kind: Any) -> str | None:
    from pyarrow import types

    checks = (types.is_integer, types.is_boolean, types.is_string, types.is_large_string, types.is_date32)
    is_known = any(check(kind) for check in checks) or types.is_float32(kind) or types.is_float64(kind)
    return None if is_known else f"{kind}[pyarrow] is not known to survive pandas"


def _zone_survives(zone: Any) -> bool:
    """Whether Arrow, which keeps a zone as text, gives back the same zone; `frames` restores `datetime.UTC`."""
    import zoneinfo

    import pyarrow as pa

    if zone is datetime.UTC:
        return True
    if not (isinstance(zone, zoneinfo.ZoneInfo) and zone.key):
        return False
    back = pa.lib.string_to_tzinfo(pa.lib.tzinfo_to_string(zone))
    return type(back) is type(zone) and str(back) == str(zone)


def _is_text(dtype: Any) -> bool:
    """Whether `dtype` is the one that pandas gives text; no dtype before pandas 3 is."""
    import numpy as np
    import pandas as pd

    return not _is_old_pandas() and bool(dtype == pd.StringDtype("pyarrow", na_value=np.nan))


def _is_old_text(labels: Any) -> bool:
    """Whether labels are text as pandas keeps it before version 3, in the environments of projects: as objects."""
    if not _is_old_pandas() or not is_object(labels.dtype):
        return False
    return all(type(label) is str for label in labels) and _is_unicode(list(labels))


def _is_old_pandas() -> bool:
    import pandas as pd

    return int(pd.__version__.partition(".")[0]) < 3
