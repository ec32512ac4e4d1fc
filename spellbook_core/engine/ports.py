"""What the runner asks of the outside: an executor that starts and ends block processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from spellbook_core.model.naming import BlockRunId
from spellbook_core.model.record import record
from spellbook_core.model.task import BlockTask, Environment
from spellbook_core.model.values import JsonValue

Handle: TypeAlias = "Mapping[str, JsonValue]"
"""What identifies a submitted attempt across engine restarts; JSON, stored with the attempt."""


@record
class Started:
    """User code of an attempt is about to run in process `pid` (None on another machine).

    Attributes:
        started: When that process started, as `supervise.identity` counts it; None when the executor does not know.
    """

    block_run_id: BlockRunId
    attempt: int
    handle: Handle
    pid: int | None
    started: str | None = None


@record
class Progressed:
    """An attempt printed (`log`), or logged a metric or progress (`metric`). Told at most ten times a second."""

    block_run_id: BlockRunId
    attempt: int
    what: str


@record
class Sealed:
    """An attempt's outcome and its log are in place; its process is about to end, which nobody has to wait for.

    Comes before `Exited`, or not at all: from executors that cannot tell, and of attempts that seal nothing. Whoever
    finds no outcome all the same waits for `Exited`.

    Attributes:
        reason: Why the executor was ending the attempt when it sealed (`timeout`, `cancelled`); None when it was not.
    """

    block_run_id: BlockRunId
    attempt: int
    reason: str | None = None


@record
class Exited:
    """An attempt's process is gone, and its leftovers with it. The outcome file says what came of it.

    Attributes:
        exit_status: As of `os.waitstatus_to_exitcode`, negative for a signal; None when unknown (adopted process).
        reason: Why the executor ended it (`timeout`, `cancelled`, `worker lost`, `cannot start: ...`); None when
            it ended by itself.
        crash_trace: faulthandler's text of the user's frames, when the process crashed and left one.
    """

    block_run_id: BlockRunId
    attempt: int
    exit_status: int | None
    reason: str | None = None
    crash_trace: str | None = None
    peak_memory_bytes: int | None = None
    cpu_s: float | None = None


ExecutorEvent: TypeAlias = "Started | Progressed | Sealed | Exited"


class Executor(Protocol):
    """Starts attempts and tells what became of their processes. Not thread-safe: one runner owns it."""

    def prepare(self, environment: Environment) -> None:
        """Begin to warm processes for `environment` so that the next submit starts at once; returns at once."""

    def submit(self, task: BlockTask, attempt_dir: Path, *, ahead: Sequence[Path] = ()) -> Handle:
        """Start an attempt whose task file is in `attempt_dir`; returns before user code runs.

        Idempotent on (block_run_id, attempt). Failure to start is told as `Exited` with a reason, never raised.
        `ahead` are the folders of attempts that may come next: an executor may make them while this one runs.
        """

    def fileno(self) -> int:
        """Return a descriptor that is readable whenever `poll(0)` would return something."""

    def poll(self, timeout_s: float) -> Sequence[ExecutorEvent]:
        """Return what happened, in order per attempt; waits up to `timeout_s` for a first event."""

    def cancel(self, handle: Handle, grace_s: float) -> None:
        """Ask an attempt to end: INT, grace, TERM, grace, KILL to its process group. `Exited` tells when it has."""

    def adopt(self, handle: Handle) -> bool:
        """Watch an attempt that an earlier engine submitted; False when its process is gone.

        The handle is that of `Started`, or has `block_run_id`, `attempt` and `dir` alone, when that was never heard.
        """

    def close(self) -> None:
        """End warm processes. Running attempts go on and seal their outcome."""
