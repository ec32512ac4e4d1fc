"""The conditions of mage's transformer actions: `age >= 18 and name contains 'a'`, as a query of pandas."""

from __future__ import annotations

import re
from typing import Any

_NAME = r"([^\s()\"']+|[\"'][^\"']+[\"'])"
_COMPARISON = re.compile(rf"{_NAME} ([!=<>]+|contains|not contains) {_NAME}")
_QUOTES = "\"'"


def rows_of(frame: Any, code: str) -> Any:
    """Return the rows of a table that a condition holds for; all of them for an empty one.

    A name in quotes is a column's, too, such as `'Total ($)' > 3`; `null` stands for a gap or an empty text. What is no
    comparison of this kind is left to pandas.
    """
    code = re.sub(r"\btrue\b", "True", re.sub(r"\bfalse\b", "False", code)).strip()
    if not code:
        return frame
    return frame.query(_COMPARISON.sub(lambda found: _compared(frame, found), code), engine="python")


def _compared(frame: Any, found: re.Match[str]) -> str:
    name, operator, value = found.groups()
    column = name.strip(_QUOTES)
    if column not in frame.columns:
        return found[0]
    if operator in {"contains", "not contains"}:
        held = f"`{column}`.str.contains({value.strip(_QUOTES)!r}, na=False)"
        return f"({held})" if operator == "contains" else f"(~{held})"
    if value == "null" and operator in {"==", "!="}:
        is_text = frame[column].map(lambda cell: isinstance(cell, str)).any()
        gap = f"(`{column}`.isna() | (`{column}` == ''))" if is_text else f"`{column}`.isna()"
        return gap if operator == "==" else f"(~{gap})"
    other = value.strip(_QUOTES)
    return f"`{column}` {operator} " + (f"`{other}`" if other in frame.columns else value)
