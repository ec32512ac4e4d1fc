"""One child of a zygote: its descriptors, its log, and the clock of its ends (time limit, cancel ladder)."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from spellbook_core.model.task import METRICS_FILE, TASK_FILE
from spellbook_core.worker.capture import LogWriter
from spellbook_core.worker.control import ControlReader
from spellbook_core.worker.memory import CHECK_S, MemoryWatch

READ_BYTES = 1024 * 1024
"""Most bytes taken from a pipe at a time, and the size asked for a pipe: fewer wake-ups of a block that prints much."""

PROGRESS_INTERVAL_S = 0.1
"""Least seconds between two messages about the same attempt's prints or metrics."""

_BUFFER = bytearray(READ_BYTES)

LEAVE_S = 2.0
"""How long a child may take to end after it has sealed; it only has to exit."""


class Ladder:
    """INT, grace, TERM, grace, KILL: what to send next, and when.

    Args:
        now: Monotonic seconds of the first signal.
        grace_s: Seconds between two steps.
    """

    _STEPS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)

    def __init__(self, now: float, grace_s: float) -> None:
        self.next_at: float | None = now
        self._grace_s = grace_s
        self._step = 0

    def due(self, now: float) -> signal.Signals | None:
        """Return the signal that is due at `now`, once."""
        if self.next_at is None or now < self.next_at:
            return None
        number = self._STEPS[self._step]
        self._step += 1
        self.next_at = now + self._grace_s if self._step < len(self._STEPS) else None
        return number


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@dataclass(slots=True)
class Child:
    """A process that waits for an attempt, or runs one; `control`, `stdout`, `stderr` are our ends, non-blocking.

    Attributes:
        start_ticks: When it started, in clock ticks since boot: with the pid that names it for good.
    """

    pid: int
    start_ticks: int | None
    control: int
    stdout: int
    stderr: int
    crash: int

    def close(self) -> None:
        """Close our ends."""
        for descriptor in (self.control, self.stdout, self.stderr, self.crash):
            with suppress(OSError):
                os.close(descriptor)

    def crash_trace(self) -> str | None:
        """Return what faulthandler wrote; None when the process did not crash."""
        return os.pread(self.crash, 256 * 1024, 0).decode("utf-8", "replace") or None


@dataclass(slots=True)
class Job:
    """An attempt that a child runs.

    Attributes:
        key: Block run id and attempt.
        deadline: Monotonic seconds at which its time is up.
        is_sealed: Whether its outcome is in place.
        reason: Why we ended it; None while nobody did.
        dirty: What happened since the last message: `log`, `metric`.
        told_at: Monotonic seconds of that message.
        memory: Looks after its memory limit, next at the monotonic second `look_at`; None without a limit.
    """

    key: tuple[int, int]
    child: Child
    folder: Path
    log: LogWriter
    deadline: float | None = None
    ladder: Ladder | None = None
    reason: str | None = None
    dirty: set[str] = field(default_factory=set)
    told_at: float = 0.0
    is_sealed: bool = False
    control: ControlReader = field(default_factory=ControlReader)
    memory: MemoryWatch | None = None
    look_at: float = 0.0

    def listen(self) -> bool:
        """Take in what the process has told so far; return whether it has sealed."""
        try:
            return self.hear(read(self.child.control))
        except OSError:  # nothing new, or closed
            return False

    def hear(self, data: bytes) -> bool:
        """Take in bytes of the control socket; return whether they say that the process has sealed."""
        heard = self.control.feed(data)
        if heard.has_metric:
            self.dirty.add("metric")
        for message in heard.messages:
            secrets = message.get("secrets")
            if isinstance(secrets, list):
                self.log.masker = self.log.masker.with_values(str(one) for one in secrets)
            limit = message.get("memory_limit")
            if isinstance(limit, int):
                self.memory = MemoryWatch(self.child.pid, limit)
        return heard.is_sealed

    def write_bar(self, now: float) -> None:
        """Append the newest progress bar that the block printed to the attempt's metrics.

        Args:
            now: Epoch seconds.
        """
        bar, self.log.bar = self.log.bar, None
        if bar is not None:
            entry = {"t": round(now, 3), "progress": {"done": bar.done, "total": bar.total, "text": bar.text}}
            with suppress(OSError), open(self.folder / METRICS_FILE, "ab", opener=_private) as file:
                file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")  # on a full disk it is not drawn

    def next_at(self) -> float | None:
        """Return the monotonic instant at which something is due; None when nothing is."""
        due = [self.deadline, self.ladder.next_at if self.ladder else None]
        if self.dirty:
            due.append(self.told_at + PROGRESS_INTERVAL_S)
        if self.memory is not None:
            due.append(self.look_at)
        return min((at for at in due if at is not None), default=None)

    def seal(self, now: float) -> None:
        """Note that its outcome is in place: no time limit counts any more, only that it leaves."""
        self.is_sealed, self.memory = True, None
        self.deadline = None if self.ladder else now + LEAVE_S

    def end(self, reason: str | None, now: float, grace_s: float) -> None:
        """Begin to end the attempt; a second call changes nothing."""
        if self.ladder is None:
            self.reason, self.ladder, self.deadline = reason, Ladder(now, grace_s), None

    def act(self, now: float) -> None:
        """Send the signal that is due; end at once what uses more memory than it may."""
        if self.memory is not None and now >= self.look_at:
            self.look_at = now + CHECK_S
            if reason := self.memory.reason():
                self.reason, self.memory, self.ladder, self.deadline = reason, None, None, None
                signal_group(self.child.pid, signal.SIGKILL)
        number = self.ladder.due(now) if self.ladder else None
        if number is not None:
            signal_group(self.child.pid, number)


def start_ticks(pid: int) -> int | None:
    """Return when `pid` started, in clock ticks since boot; None when it is gone or the system cannot tell."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    except (OSError, IndexError):
        return None


def lay_out(folder: str) -> None:
    """Make the folder of an attempt that may come, with its task file: a file in a new folder costs 1.5 ms on ext4."""
    with suppress(OSError):  # what is wrong with the disk is told when the attempt starts
        os.mkdir(folder, 0o700)
        os.close(os.open(f"{folder}/{TASK_FILE}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def read(descriptor: int) -> bytes:
    """Return what is there to read, at most `READ_BYTES`; empty at the end.

    Into one buffer of the zygote's: `os.read` asks the system for all of that memory, and returns it, each time.

    Raises:
        OSError: As `os.read` does.
    """
    count = os.readv(descriptor, [_BUFFER])
    return bytes(memoryview(_BUFFER)[:count])


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal a child's whole process group; a group that is gone or not made yet is no error."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def crash_file() -> int:
    """Return a descriptor of an unnamed file, for faulthandler.

    In memory where that is possible: ext4 looks at every file deleted lately before it makes one, so a file made and
    deleted per attempt takes a tenth of a short block's time.
    """
    if hasattr(os, "memfd_create"):
        return os.memfd_create("spellbook-crash")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
