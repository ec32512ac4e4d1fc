"""Readers of an attempt's `log.jsonl`: what a block printed, in order, and what the engine noted.

The file is written by another process while it is read here: a last line without an end is left for the next read.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class LogLine:
    """One printed line.

    Attributes:
        stream: `stdout`, `stderr` or `engine`.
        level: `info`, `warning` or `error`.
        is_progress: The last state of a line that rewrote itself, as progress bars do.
    """

    at: datetime
    stream: str
    level: str
    text: str
    is_progress: bool = False


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some lines of a log.

    Attributes:
        next_offset: Byte where the next page begins; read again from there for what was printed since.
        dropped_bytes: What the writer left out because the log was full.
    """

    lines: tuple[LogLine, ...]
    next_offset: int
    dropped_bytes: int = 0


def read_lines(
    path: Path, *, offset: int = 0, limit: int = 1000, level: str | None = None, search: str | None = None
) -> LogPage:
    """Return up to `limit` matching lines from byte `offset` on; none when the file does not exist yet.

    Args:
        path: A `log.jsonl`.
        offset: 0, or the `next_offset` of the page before.
        limit: Most lines returned.
        level: Only lines of this level.
        search: Only lines that contain this text, in any case.
    """
    lines: list[LogLine] = []
    dropped = 0
    needle = search.casefold() if search else None
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return LogPage((), offset)
    with file:
        file.seek(offset)
        for raw in file:
            if len(lines) >= limit or not raw.endswith(b"\n"):
                break
            offset += len(raw)
            parsed, missing = _parse(raw)
            dropped += missing
            if parsed is None or (level and parsed.level != level) or (needle and needle not in parsed.text.casefold()):
                continue
            lines.append(parsed)
    return LogPage(tuple(lines), offset, dropped)


def tail(path: Path, lines: int = 200) -> LogPage:
    """Return the last `lines` lines, reading only the end of the file."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return LogPage((), 0)
    with file:
        size = file.seek(0, os.SEEK_END)
        start, data = size, b""
        while start > 0 and data.count(b"\n") <= lines:
            start = max(0, start - _CHUNK_BYTES)
            file.seek(start)
            data = file.read(size - start)
    end = data.rfind(b"\n") + 1
    whole = data[:end].splitlines(keepends=True)
    if start > 0:
        whole = whole[1:]  # cut at its beginning
    parsed = [_parse(raw) for raw in whole[-lines:]]
    found = tuple(line for line, _ in parsed if line is not None)
    return LogPage(found, size - (len(data) - end), sum(missing for _, missing in parsed))


def _parse(raw: bytes) -> tuple[LogLine | None, int]:
    """Return the line and how many bytes it says were dropped; None for a damaged line."""
    try:
        data = json.loads(raw)
        line = LogLine(
            at=datetime.fromtimestamp(float(data["t"]), UTC),
            stream=str(data.get("s", "stdout")),
            level=str(data.get("l", "info")),
            text=str(data.get("m", "")),
            is_progress=bool(data.get("p", False)),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None, 0
    dropped = data.get("dropped", 0)
    return line, dropped if isinstance(dropped, int) else 0
