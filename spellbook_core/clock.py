"""The two clocks: wall time for records, monotonic time for durations."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the engine needs to know about time; tests pass a frozen one."""

    def now(self) -> datetime:
        """Return the wall time, aware, UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards; only differences mean anything."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """Return the wall time, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()


def to_text(at: datetime) -> str:
    """Return `at` as ISO 8601 UTC text of fixed width (microseconds, `Z`), which sorts as time does."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    parts = (utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond)
    return "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ" % parts  # noqa: UP031  # half of what any other way takes


def from_text(text: str) -> datetime:
    """Return the aware UTC instant that `to_text` wrote."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
