"""What mage's chart code and helpers read of values: matrices as tables, values as JSON, what a column holds."""

from __future__ import annotations

import json
from typing import Any

from spellbook_core.worker.mage_shim.action_names import ColumnType

DATAFRAME_ANALYSIS_MAX_COLUMNS = 100
DATAFRAME_ANALYSIS_MAX_ROWS = 100_000
DATAFRAME_SAMPLE_COUNT = 1_000
DATAFRAME_SAMPLE_COUNT_PREVIEW = 10

_SAMPLE_ROWS = 10_000
_TRUE_OR_FALSE = ({"0", "1"}, {"true", "false"}, {"yes", "no"}, {"y", "n"}, {"t", "f"})
_PATTERNS = (
    (ColumnType.EMAIL, r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}"),
    (ColumnType.PHONE_NUMBER, r"\+?\d{0,3}[\s.-]?\(?\d{3}\)?[\s.-]\d{3}[\s.-]\d{4}"),
    (ColumnType.ZIP_CODE, r"\d{5}(-\d{4})?"),
)
_CATEGORIES = 50
_SHARE = 0.9
_WORDS = 4


def convert_matrix_to_dataframe(value: Any) -> Any:
    """Return a sparse matrix as a table whose columns are called `0`, `1`, ...; anything else as it is."""
    if not callable(getattr(value, "toarray", None)):
        return value
    import pandas as pd

    dense = value.toarray()
    return pd.DataFrame(dense, columns=[str(number) for number in range(dense.shape[1])])


def encode_complex(value: Any) -> Any:
    """Return a value as JSON holds it: sets and arrays as lists, times as ISO text, tables as their rows."""
    for method in ("isoformat", "tolist", "to_list"):
        if callable(getattr(value, method, None)):
            return getattr(value, method)()
    if isinstance(value, (set, frozenset)):
        return list(value)
    if callable(getattr(value, "to_dict", None)):
        return value.to_dict(orient="records") if hasattr(value, "columns") else value.to_dict()
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return str(value)
    return value


def infer_column_types(df: Any, **options: object) -> dict[Any, ColumnType]:
    """Return column -> what it holds, told from its type and, for texts, from its first values."""
    return {column: _column_type(df[column]) for column in df.columns}


def _column_type(values: Any) -> ColumnType:
    import pandas as pd

    known = values.dropna().head(_SAMPLE_ROWS)
    if pd.api.types.is_bool_dtype(values):
        return ColumnType.TRUE_OR_FALSE
    if pd.api.types.is_datetime64_any_dtype(values):
        return ColumnType.DATETIME
    if pd.api.types.is_numeric_dtype(values):
        is_whole = bool((known % 1 == 0).all())
        if is_whole and set(known.unique()) == {0, 1}:
            return ColumnType.TRUE_OR_FALSE
        return ColumnType.NUMBER if is_whole else ColumnType.NUMBER_WITH_DECIMALS
    if len(known) and known.map(lambda value: isinstance(value, (list, tuple, set))).all():
        return ColumnType.LIST
    return _text_type(known.astype(str).str.strip())


def _text_type(texts: Any) -> ColumnType:
    import pandas as pd

    texts = texts[texts != ""]
    if texts.empty:
        return ColumnType.CATEGORY
    if set(texts.str.lower().unique()) in _TRUE_OR_FALSE:
        return ColumnType.TRUE_OR_FALSE
    for found, pattern in _PATTERNS:
        if texts.str.fullmatch(pattern).mean() >= _SHARE:
            return found
    numbers = pd.to_numeric(texts.str.replace(r"[$€£¥,%]", "", regex=True), errors="coerce")
    if numbers.notna().mean() >= _SHARE:
        return ColumnType.NUMBER if (numbers.dropna() % 1 == 0).all() else ColumnType.NUMBER_WITH_DECIMALS
    if texts.str.contains(r"\d").mean() >= _SHARE and _are_times(texts):
        return ColumnType.DATETIME
    if texts.nunique() <= max(2, min(_CATEGORIES, len(texts) // 2)):
        return ColumnType.CATEGORY
    has_words = texts.str.split().str.len().mean() >= _WORDS
    return ColumnType.TEXT if has_words else ColumnType.CATEGORY_HIGH_CARDINALITY


def _are_times(texts: Any) -> bool:
    import pandas as pd

    found = pd.to_datetime(texts.head(200), errors="coerce", format="mixed", utc=True)
    return bool(found.notna().mean() >= _SHARE)
