"""What came of an attempt: the sealed outcome where there is one, else what can be said about its process."""

from __future__ import annotations

from datetime import datetime

from spellbook_core.clock import from_text
from spellbook_core.engine.ports import Exited
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.outcome import Outcome
from spellbook_core.model.run import Status
from spellbook_core.runs.records import BlockEnd
from spellbook_core.worker.crash import report_crash

CANCELLED = "cancelled"
WORKER_LOST = "worker lost"


def judge(
    outcome: Outcome | None,
    exited: Exited,
    *,
    block: BlockUuid,
    timeout_s: float | None,
    is_cancelling: bool,
    now: datetime,
    duration_s: float | None,
) -> BlockEnd:
    """Return how a block run ended.

    A sealed success stands whatever happened to the process afterwards. A sealed failure stands unless the executor
    ended the attempt: then the exception in it is only what the interruption looked like from inside.

    Args:
        outcome: What the worker sealed, if anything.
        exited: What the executor saw.
        block: For messages.
        timeout_s: The attempt's limit, for messages.
        is_cancelling: Whether somebody asked the run to end.
        now: When the end was seen.
        duration_s: Monotonic seconds since the attempt was submitted, for attempts without an outcome.
    """
    if outcome is not None and (outcome.error is None or exited.reason is None):
        return BlockEnd(
            status=Status.COMPLETED if outcome.error is None else Status.FAILED,
            ended_at=from_text(outcome.ended_at),
            started_at=from_text(outcome.started_at),
            duration_s=outcome.duration_s,
            cpu_s=outcome.cpu_s,
            peak_memory_bytes=outcome.peak_memory_bytes,
            outputs=outcome.outputs,
            tests=outcome.tests,
            warnings=outcome.warnings,
            error=outcome.error,
            modules=outcome.modules,
            attempt=exited.attempt,
        )
    was_cancelled = is_cancelling and exited.reason in {None, CANCELLED, WORKER_LOST}
    error = None
    if not was_cancelled:
        error = report_crash(
            exit_status=exited.exit_status,
            reason=exited.reason,
            crash_trace=exited.crash_trace,
            block=block,
            timeout_s=timeout_s,
        )
    return BlockEnd(
        status=Status.CANCELLED if was_cancelled else Status.FAILED,
        ended_at=now,
        duration_s=outcome.duration_s if outcome else duration_s,
        cpu_s=outcome.cpu_s if outcome else exited.cpu_s,
        peak_memory_bytes=outcome.peak_memory_bytes if outcome else exited.peak_memory_bytes,
        error=error,
        attempt=exited.attempt,
    )
