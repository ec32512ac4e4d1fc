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
