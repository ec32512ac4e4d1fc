"""What a SQL block's statements are made of: texts, places for bound values, quoted names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """A parent's output as a template sees it; prints as its quoted name."""

    name: str
    columns: tuple[str, ...] = ()
    others: tuple[Table, ...] = field(default=(), repr=False)

    def __getitem__(self, number: int) -> Table:
        """Return the parent's output of that number, from 0."""
        return (self, *self.others)[number]


@dataclass(frozen=True, slots=True)
class Identifier:
    """A name that the allow-list has; prints quoted."""

    name: str


@dataclass(frozen=True, slots=True)
class Value:
    """A value to bind; inside a literal it is bound as text, and None there is empty."""

    value: object
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: its text in pieces, and for each line of the joined pieces the line of the file."""

    pieces: tuple[str | Value | Identifier, ...]
    lines: tuple[int, ...]

    def written(
        self,
        mark: Callable[[int], str],
        *,
        name: Callable[[str], str] | None = None,
        escape: Callable[[str], str] = str,
    ) -> tuple[str, list[object]]:
        """Return the SQL text and the values to bind, in order.

        Args:
            mark: Number of a value, from 1 -> how the database writes its place, such as `$p1`.
            name: A table's or column's name -> how the database writes it; in double quotes when None.
            escape: Applied to the text around the values.
        """
        parts: list[str] = []
        values: list[object] = []
        for piece in self.pieces:
            if isinstance(piece, Value):
                values.append(piece.value)
                parts.append(mark(len(values)))
            else:
                parts.append((name or quoted)(piece.name) if isinstance(piece, Identifier) else escape(piece))
        return "".join(parts), values

    def line(self, number: int) -> int:
        """Return the line of the file for line `number`, from 1, of the written text."""
        return self.lines[min(max(number, 1), len(self.lines)) - 1]


def quoted(name: str) -> str:
    """Return a name as SQL reads it whatever it contains."""
    return '"' + name.replace('"', '""') + '"'


def bindable(value: object) -> Any:
    """Return `value` as a database driver takes it, `NotImplemented` for what none takes."""
    import datetime
    import decimal
    import uuid

    if hasattr(value, "item") and type(value).__module__ == "numpy":
        value = value.item()
    plain = (bool, int, float, str, bytes, decimal.Decimal, uuid.UUID)
    times = (datetime.date, datetime.time, datetime.timedelta)
    if value is None or isinstance(value, plain + times):
        return value
    if isinstance(value, (list, tuple)):
        items = [bindable(item) for item in value]
        return NotImplemented if any(item is NotImplemented for item in items) else items
    if isinstance(value, Mapping):
        pairs = {str(name): bindable(item) for name, item in value.items()}
        return NotImplemented if any(item is NotImplemented for item in pairs.values()) else pairs
    return NotImplemented
