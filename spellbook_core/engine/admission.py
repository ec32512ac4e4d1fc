"""Which ready blocks of which runs start now: the order, and the limits of the engine, of projects and of runs.

Pure and incremental. An event costs the logarithm of the number of runs that wait, not a look at every block that
waits: 1,000 queued blocks are as quick to serve as ten.

The order is: higher priority first; then runs of single blocks, because a person waits for them; then older runs; then
the order of the plan. A run that waits for a limit of its own or of its project does not hold back the others.

So that nobody waits for ever, each tenth place, of the engine and of each project, goes to the run that has waited for
a place longest, whatever its priority. Waiting is counted in places that were given: there is no clock in it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from spellbook_core.model.naming import RunId

Order: TypeAlias = "tuple[int, int, int]"

TURN_OF_THE_LONGEST = 10
"""Of so many places one goes to the run that has waited longest."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a run may take.

    Attributes:
        project: Its project.
        pipeline: Its pipeline, for what is told to people.
        priority: Higher goes first.
        is_awaited: Whether a person waits for it: a run of single blocks.
        limit: Blocks of this run that run at once; None for no limit of its own.
        project_limit: Blocks of its project that run at once, over all runs; None for no limit.
    """

    project: str
    pipeline: str
    priority: int = 0
    is_awaited: bool = False
    limit: int | None = None
    project_limit: int | None = None


@dataclass(slots=True)
class _Run:
    claim: Claim
    order: Order
    ready: list[str] = field(default_factory=list)  # last in the order first, so that taking one is cheap
    running: int = 0
    is_queued: bool = False
    waits_since: int = 0  # places that had been given when it took its last, or came
    entered_since: int | None = None  # the same, of its entry among those that wait

    @property
    def may_take(self) -> bool:
        return bool(self.ready) and (self.claim.limit is None or self.running < self.claim.limit)


@dataclass(slots=True)
class _Project:
    limit: int | None = None
    runs: int = 0
    running: int = 0
    given: int = 0
    heap: list[tuple[Order, RunId]] = field(default_factory=list)
    waiting: list[tuple[int, Order, RunId]] = field(default_factory=list)  # the same runs, the longest first

    @property
    def is_full(self) -> bool:
        return self.limit is not None and self.running >= self.limit


class Admission:
    """Places for blocks, and who waits for them. Holds no run that was not entered, and no block twice."""

    def __init__(self, limit: int) -> None:
        """Have `limit` places, all free."""
        self._limit = limit
        self._running = 0
        self._given = 0
        self._runs: dict[RunId, _Run] = {}
        self._projects: dict[str, _Project] = {}

    def enter(self, run: RunId, claim: Claim, *, running: int = 0) -> None:
        """Begin to serve a run; `running` of its blocks hold places already, even beyond a limit.

        The newest run of a project says what the project's limit is now.
        """
        self.leave(run)
        order = (-claim.priority, 0 if claim.is_awaited else 1, int(run))
        self._runs[run] = _Run(claim, order, running=running, waits_since=self._given)
        project = self._projects.setdefault(claim.project, _Project())
        project.limit = claim.project_limit
        project.runs += 1
        project.running += running
        self._running += running

    def leave(self, run: RunId) -> None:
        """Stop serving a run; the places that its blocks hold become free."""
        left = self._runs.pop(run, None)
        if left is None:
            return
        self._running -= left.running
        project = self._projects[left.claim.project]
        project.running -= left.running
        project.runs -= 1
        if not project.runs:
            del self._projects[left.claim.project]

    def offer(self, run: RunId, ready: Iterable[str]) -> None:
        """Say which blocks of a run may start, in the order of its plan; what was offered before is forgotten."""
        offered = self._runs[run]
        offered.ready = list(ready)[::-1]
        self._queue(run, offered)

    def ended(self, run: RunId) -> None:
        """Say that a block of a run no longer holds its place."""
        found = self._runs.get(run)
        if found is None or not found.running:
            return
        found.running -= 1
        self._projects[found.claim.project].running -= 1
        self._running -= 1
        self._queue(run, found)

    def take(self) -> list[tuple[RunId, str]]:
        """Return the blocks that start now, in order; each holds a place from then on."""
        taken: list[tuple[RunId, str]] = []
        while self._running < self._limit:
            first = self._first()
            if first is None:
                break
            run, project = self._runs[first], self._projects[self._runs[first].claim.project]
            taken.append((first, run.ready.pop()))
            run.running += 1
            project.running += 1
            self._running += 1
            self._given += 1
            project.given += 1
            run.waits_since = self._given
            _wait(project, first, run)
        return taken

    def give_back(self, taken: Iterable[tuple[RunId, str]]) -> None:
        """Free the places of blocks that `take` returned and that could not start after all; they are offered again."""
        for run, key in reversed(list(taken)):
            if run in self._runs:
                self._runs[run].ready.append(key)
                self.ended(run)

    def offered(self, run: RunId) -> list[str]:
        """Return the blocks of a run that were offered and not taken, in their order."""
        found = self._runs.get(run)
        return [] if found is None else found.ready[::-1]

    def waits_for(self, run: RunId) -> str | None:
        """Return what the offered blocks of a run wait for, for people; None when none waits. Call after `take`."""
        found = self._runs.get(run)
        if found is None or not found.ready:
            return None
        claim = found.claim
        if claim.limit is not None and found.running >= claim.limit:
            return f"a free place: limit {claim.limit} of pipeline {claim.pipeline}"
        project = self._projects[claim.project]
        if project.is_full:
            return f"a free place: limit {project.limit} of project {claim.project}"
        return f"a free place: limit {self._limit} of the engine"

    def _queue(self, run: RunId, found: _Run) -> None:
        project = self._projects[found.claim.project]
        if found.may_take and not found.is_queued:
            heapq.heappush(project.heap, (found.order, run))
            found.is_queued = True
        _wait(project, run, found)

    def _first(self) -> RunId | None:
        """Return the run whose turn it is, of the projects that have a place."""
        heads = [
            (head, project)
            for project in self._projects.values()
            if not project.is_full and (head := self._head(project))
        ]
        if not heads:
            return None
        if _is_turn_of_the_longest(self._given):
            return min(self._longest(project) for _, project in heads)[-1]
        head, project = min(heads, key=lambda found: found[0])
        return self._longest(project)[-1] if _is_turn_of_the_longest(project.given) else head[-1]

    def _longest(self, project: _Project) -> tuple[int, Order, RunId]:
        """Return the entry that has waited longest of those that may take a place; call where there is one."""
        while True:
            since, order, run = project.waiting[0]
            found = self._runs.get(run)
            if found is not None and found.may_take and (found.waits_since, found.order) == (since, order):
                return project.waiting[0]
            heapq.heappop(project.waiting)
            if found is not None and found.entered_since == since:
                found.entered_since = None

    def _head(self, project: _Project) -> tuple[Order, RunId] | None:
        """Return the first entry that may take a place; those that no longer may leave the heap."""
        while project.heap:
            order, run = project.heap[0]
            found = self._runs.get(run)
            if found is not None and found.is_queued and found.may_take and found.order == order:
                return project.heap[0]
            heapq.heappop(project.heap)
            if found is not None and found.order == order:
                found.is_queued = False
        return None


def _wait(project: _Project, number: RunId, run: _Run) -> None:
    """Enter a run among those that wait, once for each time that it begins to."""
    if run.may_take and run.entered_since != run.waits_since:
        heapq.heappush(project.waiting, (run.waits_since, run.order, number))
        run.entered_since = run.waits_since


def _is_turn_of_the_longest(given: int) -> bool:
    return given % TURN_OF_THE_LONGEST == TURN_OF_THE_LONGEST - 1
