"""The plain values that cross files and processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TypeAlias

JsonValue: TypeAlias = "None | bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue]"
"""What JSON holds."""

YamlValue: TypeAlias = (
    "None | bool | int | float | str | date | datetime | Sequence[YamlValue] | Mapping[str, YamlValue]"
)
"""What a strict YAML file holds: JSON, and dates."""

JsonObject: TypeAlias = "dict[str, JsonValue]"


def as_int(value: object) -> int:
    """Return a number of a JSON text as a whole one. Raises TypeError for anything else, booleans included."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"expected a number, got {value!r}")
    return int(value)


def as_float(value: object) -> float:
    """Return a number of a JSON text. Raises TypeError for anything else, booleans included."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"expected a number, got {value!r}")
    return float(value)


def as_list(value: object) -> list:  # type: ignore[type-arg]
    """Return a copy of a list of a JSON text, whose entries are checked where they are used. Raises TypeError."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"expected a list, got {value!r}")
    return list(value)
