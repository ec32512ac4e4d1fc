"""What a SQL block's log and errors say of its statements."""

from __future__ import annotations

import re
import time

PLACE = re.compile(r"\n+LINE (\d+):.*", re.DOTALL)
"""How DuckDB and PostgreSQL show the place of an error: a line of the statement, counted from 1."""

MAX_SHOWN = 100
"""Longest text of a statement in the log."""


def told(statement: str, started: float, rows: int | None) -> None:
    """Write one line about a statement that is done into the block's log; bound values do not appear in it."""
    text = " ".join(line.partition("--")[0].strip() for line in statement.splitlines()).strip()
    shown = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
    result = "" if rows is None else f" → {rows:,} row{'' if rows == 1 else 's'}"
    print(f"{shown}{result} ({time.monotonic() - started:.2f} s)", flush=True)  # noqa: T201  # the block's own output


def without_excerpt(cause: BaseException) -> str:
    """Return what a database says on one line, without its excerpt: whose lines are not those of the file."""
    return " ".join(PLACE.sub("", str(cause)).split())
