"""Attempts that an earlier engine started and that still run: found again by pid and start time, watched to the end."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from spellbook_core.engine.ports import Handle
from spellbook_core.model.task import LOCK_FILE
from spellbook_core.worker.job import Ladder, signal_group, start_ticks


@dataclass(slots=True)
class Adopted:
    """A process that is not our child; its own zygote still reads its output and reaps it."""

    pid: int
    watch: int
    ladder: Ladder | None = None
    reason: str | None = None

    @classmethod
    def find(cls, handle: Handle) -> Adopted | None:
        """Return the attempt's process; None when it is gone, or when its number now belongs to another."""
        pid, ticks = handle.get("pid"), handle.get("start_ticks")
        if not isinstance(pid, int):
            pid = _holder(Path(str(handle["dir"])) / LOCK_FILE)
            ticks = None if pid is None else start_ticks(pid)
        if pid is None:
            return None
        try:
            watch = os.pidfd_open(pid)
        except OSError:
            return None
        if start_ticks(pid) != ticks:
            os.close(watch)
            return None
        return cls(pid, watch)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the process has ended."""
        return self.watch

    @property
    def next_at(self) -> float | None:
        """Monotonic instant of the next signal of a cancel."""
        return self.ladder.next_at if self.ladder else None

    def cancel(self, now: float, grace_s: float) -> None:
        """Begin to end it; a second call changes nothing."""
        if self.ladder is None:
            self.reason, self.ladder = "cancelled", Ladder(now, grace_s)
            self.act(now)

    def act(self, now: float) -> None:
        """Send the signal that is due."""
        number = self.ladder.due(now) if self.ladder else None
        if number is not None:
            signal_group(self.pid, number)

    def close(self) -> None:
        """Stop watching."""
        os.close(self.watch)


def _holder(lock_path: Path) -> int | None:
    """Return the pid that a held attempt lock names; None when nobody holds it."""
    try:
        lock = os.open(lock_path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(lock, 32)
        return int(text) if text.isdigit() else None
    else:
        return None
    finally:
        os.close(lock)
