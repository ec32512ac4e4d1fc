"""What is kept no longer, by its age, its number and its size. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from spellbook_core.model.naming import PipelineUuid, ProjectName, RunId
from spellbook_core.runs.records import OutputHolder


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


def kept_digests(holders: Iterable[OutputHolder]) -> set[str]:
    """Return every output that one of the holders needs."""
    return set().union(*(holder.digests for holder in holders))


def over_budget(
    holders: Iterable[OutputHolder],
    sizes: Mapping[str, int],
    budget_bytes: float,
    *,
    may_go: Callable[[OutputHolder], bool],
) -> list[OutputHolder]:
    """Return the oldest holders without which the outputs that are needed fit into the budget.

    What current holders need, and those that may not go, is kept even when it does not fit. A holder that frees
    nothing is not returned.
    """
    given = list(holders)
    counts = Counter(digest for holder in given for digest in holder.digests if digest in sizes)
    total = sum(sizes[digest] for digest in counts)
    movable = [holder for holder in given if holder.at is not None and not holder.is_current and may_go(holder)]
    staying = kept_digests(set(given) - set(movable))
    found = []
    for holder in sorted(movable, key=_age):
        if total <= budget_bytes:
            break
        freed = [digest for digest in holder.digests if digest in sizes and digest not in staying]
        if not freed:
            continue
        found.append(holder)
        counts.subtract(digest for digest in holder.digests if digest in sizes)
        total -= sum(sizes[digest] for digest in freed if not counts[digest])
    return found


def _age(holder: OutputHolder) -> tuple[datetime, str, int]:
    return (cast("datetime", holder.at), holder.kind, holder.id)
