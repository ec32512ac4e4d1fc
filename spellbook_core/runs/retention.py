"""Which ended runs are kept no longer, by their age and their number. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from spellbook_core.model.naming import PipelineUuid, ProjectName, RunId


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that has ended, as far as keeping it goes.

    Attributes:
        is_single: Whether a person ran single blocks with it; these are counted by themselves.
        has_outputs: Whether its outputs count as needed.
    """

    id: RunId
    project: ProjectName
    pipeline: PipelineUuid
    is_single: bool
    ended_at: datetime
    has_outputs: bool = True


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a project's runs are kept.

    Attributes:
        max_age: Of runs; None for ever.
        max_runs: Newest ended runs that are kept per pipeline, and as many of single blocks; None for all.
        max_log_age: Of the files of runs (prints, metrics); None for as long as the run.
    """

    max_age: timedelta | None = None
    max_runs: int | None = None
    max_log_age: timedelta | None = None


def expired(
    runs: Iterable[EndedRun], needed: Collection[RunId], retention: Callable[[ProjectName], Retention], now: datetime
) -> list[EndedRun]:
    """Return the runs that are kept no longer, oldest first.

    Args:
        runs: All ended ones.
        needed: Those that something else needs, whatever their age: they stay.
        retention: Of a project.
        now: Ages count to it.
    """
    seen: Counter[tuple[str, str, bool]] = Counter()
    found = []
    for run in sorted(runs, key=lambda run: run.id, reverse=True):
        rule = retention(run.project)
        kind = (run.project, run.pipeline, run.is_single)
        seen[kind] += 1
        is_old = rule.max_age is not None and now - run.ended_at > rule.max_age
        if (is_old or (rule.max_runs is not None and seen[kind] > rule.max_runs)) and run.id not in needed:
            found.append(run)
    return found[::-1]
