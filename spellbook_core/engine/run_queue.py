"""Which queued runs of a pipeline begin, wait, are skipped, or take the place of others. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from spellbook_core.errors import SpellbookError
from spellbook_core.model.concurrency import Concurrency, IfRunning
from spellbook_core.model.naming import PipelineUuid, RunId


class RunSkippedError(SpellbookError):
    """A run did not start, because its pipeline had as many runs under way as it may have."""

    code = "SB-RUN-050"


@dataclass(frozen=True, slots=True)
class Asked:
    """A run as far as its turn goes.

    Attributes:
        trigger: How it was started.
        is_ending: Whether it has been asked to end.
    """

    id: RunId
    trigger: str
    priority: int = 0
    is_ending: bool = False


@dataclass(slots=True)
class Decision:
    """What happens to the runs of one pipeline.

    Attributes:
        begin: In the order in which they begin.
        wait: Run -> what it waits for, for people.
        skip: Run -> why it is not carried out, for people.
        cancel: Runs under way that are asked to end.
    """

    begin: list[RunId] = field(default_factory=list)
    wait: dict[RunId, str] = field(default_factory=dict)
    skip: dict[RunId, str] = field(default_factory=dict)
    cancel: list[RunId] = field(default_factory=list)


def decide(pipeline: PipelineUuid, waiting: Sequence[Asked], carried: Sequence[Asked], limits: Concurrency) -> Decision:
    """Return what happens now to the runs of one pipeline that `is_held` counts.

    Args:
        pipeline: For what is told to people.
        waiting: Those that have not begun.
        carried: Those under way; the places of runs that are asked to end are free once they have ended.
        limits: Of the pipeline.
    """
    if limits.if_running is IfRunning.CANCEL_RUNNING:
        return _replace(pipeline, waiting, carried, limits)
    decision, under_way = Decision(), list(carried)
    for asked in sorted(waiting, key=lambda run: (-run.priority, run.id)):
        limit = _reached(asked, under_way, limits)
        if limit is None:
            decision.begin.append(asked.id)
            under_way.append(asked)
        elif limits.if_running is IfRunning.SKIP:
            decision.skip[asked.id] = _already(pipeline, asked, under_way, limits)
        else:
            decision.wait[asked.id] = f"its turn: {_at_a_time(limit, pipeline)}"
    return decision


def _replace(
    pipeline: PipelineUuid, waiting: Sequence[Asked], carried: Sequence[Asked], limits: Concurrency
) -> Decision:
    """The newest runs go; older ones that wait are skipped and older ones under way are asked to end."""
    decision, kept = Decision(), list[Asked]()
    for asked in sorted(waiting, key=lambda run: run.id, reverse=True):
        if _reached(asked, kept, limits) is None:
            kept.append(asked)
        else:
            decision.skip[asked.id] = f"run {kept[-1].id} of pipeline '{pipeline}' was started after it"
    staying = [run for run in carried if not run.is_ending]
    under_way = list(carried)
    for asked in reversed(kept):
        while (limit := _reached(asked, staying, limits)) is not None:
            oldest = _rivals(asked, staying, limits)[0]
            staying.remove(oldest)
            decision.cancel.append(oldest.id)
        staying.append(asked)
        limit = _reached(asked, under_way, limits)
        if limit is None:
            decision.begin.append(asked.id)
            under_way.append(asked)
        else:
            decision.wait[asked.id] = f"older runs to end: {_at_a_time(limit, pipeline)}"
    return decision


def _reached(asked: Asked, under_way: Sequence[Asked], limits: Concurrency) -> int | None:
    """Return the limit that keeps a run from beginning beside others, None when there is a place."""
    return limits.limit_reached(asked.trigger, [run.trigger for run in under_way])


def _rivals(asked: Asked, under_way: Sequence[Asked], limits: Concurrency) -> list[Asked]:
    """Return the runs whose places `asked` could have, oldest first."""
    is_full = limits.run_limit is not None and len(under_way) >= limits.run_limit
    return sorted((run for run in under_way if is_full or run.trigger == asked.trigger), key=lambda run: run.id)


def _at_a_time(limit: int, pipeline: PipelineUuid) -> str:
    return f"{limit} run{'' if limit == 1 else 's'} of {pipeline} at a time"


def _already(pipeline: PipelineUuid, asked: Asked, under_way: Sequence[Asked], limits: Concurrency) -> str:
    first = _rivals(asked, under_way, limits)[0].id
    return f"pipeline '{pipeline}' was running already (run {first})"
