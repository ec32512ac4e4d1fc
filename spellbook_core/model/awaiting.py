"""Whether runs that wait for each other can all end. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from spellbook_core.model.concurrency import Concurrency, IfRunning
from spellbook_core.model.naming import PipelineUuid, ProjectName, RunId

LimitsOf = Callable[[ProjectName, PipelineUuid], Concurrency]


@dataclass(frozen=True, slots=True)
class Unended:
    """A run that has not ended.

    Attributes:
        trigger: How it was started.
        has_begun: Whether it runs; else it is queued.
        counts: Whether the limits on runs of its pipeline count it.
        is_ending: Whether it was asked to end.
        awaits: The runs that its blocks wait for.
    """

    id: RunId
    project: ProjectName
    pipeline: PipelineUuid
    trigger: str
    has_begun: bool = True
    counts: bool = True
    is_ending: bool = False
    awaits: frozenset[RunId] = frozenset()


def circle(first: RunId, unended: Collection[Unended], limits: LimitsOf) -> list[Unended]:
    """Return runs each of which waits for the next, and the last for the first; empty when run `first` can end.

    A run under way waits for the runs that its blocks wait for. A queued one waits for those under way of its
    pipeline, when the limits let no other one begin beside those that cannot end.

    Args:
        first: One of `unended`.
        unended: All runs that have not ended.
        limits: Of a pipeline.
    """
    runs = {run.id: run for run in unended}
    ending: set[RunId] = set()
    while found := {run.id for run in unended if run.id not in ending and not _held_by(run, runs, ending, limits)}:
        ending |= found
    if first in ending:
        return []
    path = [first]
    while (next_ := _held_by(runs[path[-1]], runs, ending, limits)[0]) not in path:
        path.append(next_)
    return [runs[run_id] for run_id in path[path.index(next_) :]]


def _held_by(run: Unended, runs: Mapping[RunId, Unended], ending: Collection[RunId], limits: LimitsOf) -> list[RunId]:
    """Return the runs that keep `run` from ending, as far as these are not known to end."""
    if run.is_ending:
        return []
    if run.has_begun:
        return sorted(other for other in run.awaits if other in runs and other not in ending)
    if not run.counts:
        return []
    rivals = [
        other
        for other in runs.values()
        if other.has_begun and other.counts and not other.is_ending and other.id not in ending
        if (other.project, other.pipeline) == (run.project, run.pipeline)
    ]
    allowed = limits(run.project, run.pipeline)
    if allowed.if_running is not IfRunning.QUEUE:  # it begins, is skipped, or ends those that it would wait for
        return []
    if allowed.limit_reached(run.trigger, [other.trigger for other in rivals]) is None:
        return []
    return [other.id for other in rivals]
