"""How the command line speaks: JSON for programs, plain aligned lines for people, colour only where wanted."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click

from spellbook_core.model.run import Status

MARKS = {
    Status.INITIAL: ("·", "white"),
    Status.QUEUED: ("·", "white"),
    Status.RUNNING: ("▸", "blue"),
    Status.COMPLETED: ("✓", "green"),
    Status.FAILED: ("✗", "red"),
    Status.CANCELLED: ("■", "yellow"),
    Status.UPSTREAM_FAILED: ("-", "yellow"),
    Status.CONDITION_FAILED: ("-", "yellow"),
}


def print_json(value: object) -> None:
    """Print `value` as indented JSON in UTF-8; a number that JSON lacks (NaN, infinity) is null."""
    try:
        text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, indent=2)
    click.echo(text.encode("utf-8", "replace").decode("utf-8"))


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def say(text: str, *, error: bool = False) -> None:
    """Print a line, without control characters of others and without colour unless a terminal wants it."""
    click.echo(text, err=error, color=None if has_colour(error=error) else False)


def has_colour(*, error: bool = False) -> bool:
    """Whether colour is wanted: a terminal, and NO_COLOR is not set (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and (sys.stderr if error else sys.stdout).isatty()


def mark(status: Status) -> str:
    """Return the status's sign, coloured; the word always stands beside it."""
    sign, colour = MARKS[status]
    return click.style(sign, fg=colour)


def clean(text: str) -> str:
    """Return `text` with control characters made visible, so that a name or message cannot forge lines or colours."""
    return "".join(
        char if char.isprintable() else {"\t": "    "}.get(char, char.encode("unicode_escape").decode())
        for char in text
    )


def table(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> None:
    """Print rows under heads, columns aligned; nothing but the heads when there are none."""
    lines = [list(heads), *[[clean(cell) for cell in row] for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def seconds(value: float | None) -> str:
    """Return a duration for people: `14 ms`, `3.2 s`, `2 min 5 s`."""
    if value is None:
        return ""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 60:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


def local_time(at: datetime | None) -> str:
    """Return an instant in the machine's zone, to the second."""
    return "" if at is None else at.replace(tzinfo=at.tzinfo or UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
