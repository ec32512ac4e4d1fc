"""Whether an attempt that ended is followed by another one, and when: retries and sensors. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from spellbook_core.engine.active import ActiveBlock, ActiveRun
from spellbook_core.engine.sensing import SHORTEST_S, sensor_policy
from spellbook_core.errors import SpellbookError
from spellbook_core.model.block import BlockType
from spellbook_core.model.outcome import ErrorReport
from spellbook_core.model.run import Status
from spellbook_core.runs.records import AttemptEnd, BlockEnd, Waiting
from spellbook_core.worker.failures import BlockSyntaxError, NoFunctionError, UnsupportedBlockError

NEVER_RETRIED = frozenset({BlockSyntaxError.code, NoFunctionError.code, UnsupportedBlockError.code})
"""Failures that come again with every attempt: each one runs the text that the run began with."""

KEPT_LOOKS = 5
"""Looks of a waiting sensor whose files are kept."""


class SensorTimedOutError(SpellbookError, TimeoutError):
    """A sensor was not true within the time that its configuration allows."""

    code = "SB-RUN-032"


def is_sensing(run: ActiveRun, block: ActiveBlock) -> bool:
    """Return whether the block is a sensor that waits until it is true; in the notebook it is called once."""
    return block.block_type == BlockType.SENSOR and run.run.trigger != "notebook" and not run.run.selection.tests_only


def after(
    run: ActiveRun, block: ActiveBlock, end: BlockEnd, *, is_met: bool | None, now: datetime, elapsed_s: float
) -> BlockEnd | Waiting:
    """Return what an attempt that ended comes to: the end of the block run, or that it waits for another attempt.

    Args:
        run: The run.
        block: The block, its attempt still the one that ended.
        end: How the attempt ended.
        is_met: What a sensor said; None of other blocks, and when it said nothing.
        now: When the end was seen; waiting counts from it.
        elapsed_s: Seconds since the first attempt began, whatever the wall clock did meanwhile.
    """
    if end.status is Status.COMPLETED and is_met is False and is_sensing(run, block):
        if run.state.is_cancelling:
            return BlockEnd(Status.CANCELLED, end.ended_at, end.started_at, end.duration_s, attempt=end.attempt)
        return _next_look(block, end, now, elapsed_s)
    if end.status is not Status.FAILED or run.state.is_cancelling or not _may_retry(run, end.error):
        return end
    delays = block.spec.retry.delays()
    if block.retried >= len(delays):
        return end
    return Waiting(
        what=f"retry {block.retried + 1} of {len(delays)}",
        since=now,
        due_at=now + timedelta(seconds=delays[block.retried]),
        retried=block.retried + 1,
        attempt=_ended(block, end),
    )


def _may_retry(run: ActiveRun, error: ErrorReport | None) -> bool:
    """Like mage, only a pipeline's run retries: who runs a block in the notebook wants to see its error at once."""
    if run.run.trigger == "notebook" or run.run.selection.tests_only:
        return False
    return error is None or error.code not in NEVER_RETRIED


def _next_look(block: ActiveBlock, end: BlockEnd, now: datetime, elapsed_s: float) -> BlockEnd | Waiting:
    policy = sensor_policy(block.spec.configuration)
    since = block.first_started_at or now
    delay_s = policy.interval_s
    if policy.timeout_s is not None:
        left_s = policy.timeout_s - elapsed_s
        if left_s <= 0:
            return replace(end, status=Status.FAILED, outputs=(), error=_timed_out(block, policy.timeout_s, since))
        delay_s = min(delay_s, max(SHORTEST_S, left_s))  # a last look when the time is up
    files = f"a change of {', '.join(policy.watch)}, or " if policy.watch else ""
    return Waiting(
        what=f"{files}the sensor's next look",
        since=since,
        due_at=now + timedelta(seconds=delay_s),
        retried=block.retried,
        attempt=_ended(block, end),
        forget=block.attempt - KEPT_LOOKS if block.attempt > KEPT_LOOKS else None,
    )


def _ended(block: ActiveBlock, end: BlockEnd) -> AttemptEnd:
    return AttemptEnd(block.attempt, end.started_at or end.ended_at, end.ended_at, end.duration_s, end.error)


def _timed_out(block: ActiveBlock, timeout_s: float, since: datetime) -> ErrorReport:
    looks = f"{block.attempt} look{'s' if block.attempt > 1 else ''}"
    error = SensorTimedOutError(
        f"Sensor '{block.block}' was not true within {timeout_s:g} s: {looks} since {since:%Y-%m-%d %H:%M:%S} UTC.",
        hint="look whether what it waits for still comes, or raise `timeout` in its configuration.",
        block=block.block,
    )
    return ErrorReport.from_json(error.to_dict())
