"""Whose turn it is: the queued runs and the ready blocks of one runner, held against what the files allow.

What is decided is pure (`admission`, `run_queue`); here it is fed from the run store and the projects' files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

from spellbook_core.engine.active import ActiveRun, Under
from spellbook_core.engine.admission import Admission, Claim
from spellbook_core.engine.run_queue import Asked, Decision, decide
from spellbook_core.errors import SpellbookError
from spellbook_core.model.concurrency import AWAITED, Concurrency, is_held
from spellbook_core.model.naming import BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.project.concurrency import concurrency_of, project_block_limit
from spellbook_core.project.layout import Workspace
from spellbook_core.project.metadata import load_pipeline
from spellbook_core.runs.records import UnendedRun, Waiting
from spellbook_core.runs.store import RunNotFoundError, RunStore

_Place: TypeAlias = "tuple[ProjectName, PipelineUuid]"


class Turns:
    """The queue of runs, and the places of blocks."""

    def __init__(self, workspace: Workspace, max_parallel_blocks: int) -> None:
        """Hold no run; every place is free."""
        self._workspace = workspace
        self._places = Admission(max_parallel_blocks)
        self._waiting: dict[_Place, dict[RunId, UnendedRun]] = defaultdict(dict)
        self._carried: dict[_Place, dict[RunId, Asked]] = defaultdict(dict)
        self._elsewhere: dict[_Place, dict[RunId, Asked]] = defaultdict(dict)
        self._changed: set[_Place] = set()
        self._chosen: list[tuple[RunId, str]] = []
        self._noted: dict[RunId, set[str]] = defaultdict(set)
        self._just_noted: list[tuple[RunId, str]] = []

    # -- runs -----------------------------------------------------------------------------------------------------

    @property
    def has_waiting(self) -> bool:
        """Whether a run waits for its turn."""
        return any(self._waiting.values())

    @property
    def has_changed(self) -> bool:
        """Whether `decide` has something new to decide."""
        return bool(self._changed)

    def look_anew(self) -> None:
        """Forget what waits and what others carry: the caller asks for all of it again."""
        self._changed |= {place for place, runs in self._waiting.items() if runs}
        self._waiting.clear()
        self._elsewhere.clear()

    def ask(self, found: UnendedRun) -> None:
        """Queue a run that has not begun."""
        place = (found.project, found.pipeline)
        if self._waiting[place].get(found.id) != found:
            self._waiting[place][found.id] = found
            self._changed.add(place)

    def ask_again(self, found: UnendedRun, waiting_for: str) -> None:
        """Note that it is stored what a queued run waits for."""
        self._waiting[found.project, found.pipeline][found.id] = replace(found, waiting_for=waiting_for)

    def goes_elsewhere(self, found: UnendedRun) -> None:
        """Count a run that another process carries."""
        if is_held(found.trigger, found.selection):
            self._elsewhere[found.project, found.pipeline][found.id] = _asked(found)

    def forget(self, found: UnendedRun) -> None:
        """Take a run out of the queue."""
        self._waiting[found.project, found.pipeline].pop(found.id, None)

    def decide(self) -> list[tuple[Decision, dict[RunId, UnendedRun]]]:
        """Return what happens to the queued runs of each pipeline where something changed, and those runs.

        Those that begin or are skipped have left the queue.
        """
        decisions = []
        changed, self._changed = self._changed, set()
        for place in sorted(changed):
            waiting = self._waiting.get(place)
            if not waiting:
                continue
            carried = {**self._elsewhere.get(place, {}), **self._carried.get(place, {})}
            asked = [_asked(found) for found in waiting.values()]
            is_alone = len(asked) == 1 and not carried  # no limit is below one: what it says need not be read
            limits = Concurrency() if is_alone else self._limits(place)
            decision = decide(place[1], asked, list(carried.values()), limits)
            decisions.append((decision, dict(waiting)))
            for run_id in (*decision.begin, *decision.skip):
                del waiting[run_id]
        return decisions

    def _limits(self, place: _Place) -> Concurrency:
        """Return the limits of a pipeline; where they cannot be read, the run begins and fails with the reason."""
        try:
            file = self._workspace.project(place[0]).pipeline_file(place[1])
            return concurrency_of(load_pipeline(file).document)
        except (SpellbookError, OSError):
            return Concurrency()

    # -- blocks ---------------------------------------------------------------------------------------------------

    def enter(self, run: ActiveRun, *, running: int = 0) -> None:
        """Serve a run that is under way, `running` of whose blocks run already."""
        self._places.enter(run.run.id, _claim(run), running=running)
        if is_held(run.run.trigger, run.run.selection):
            asked = Asked(run.run.id, run.run.trigger, run.run.priority)
            self._carried[run.run.project, run.run.pipeline][run.run.id] = asked

    def leave(self, run: ActiveRun) -> None:
        """Serve a run no more: it has ended."""
        place = (run.run.project, run.run.pipeline)
        self._places.leave(run.run.id)
        self._noted.pop(run.run.id, None)
        self._carried[place].pop(run.run.id, None)
        self._changed.add(place)

    def ending(self, run: ActiveRun) -> None:
        """Note that a run was asked to end."""
        carried = self._carried[run.run.project, run.run.pipeline]
        if run.run.id in carried:
            carried[run.run.id] = Asked(run.run.id, run.run.trigger, run.run.priority, is_ending=True)

    def ended(self, run: ActiveRun) -> None:
        """Free the place of a block of a run."""
        self._places.ended(run.run.id)

    def choose(self, touched: Iterable[ActiveRun], active: dict[RunId, ActiveRun]) -> list[Under]:
        """Return the blocks that start now, each with a place, in order.

        Args:
            touched: The runs in which something changed since the last time.
            active: All runs that were entered.
        """
        for run in touched:
            self._places.offer(run.run.id, run.ready())
        self._chosen = self._places.take()
        return [(active[run_id], active[run_id].blocks[BlockUuid(key)]) for run_id, key in self._chosen]

    def note_waiting(self, touched: Iterable[ActiveRun], store: RunStore, *, now: datetime) -> None:
        """Store what the ready blocks that were not chosen wait for, once per block, in the caller's transaction."""
        self._just_noted = []
        for run in touched:
            what = self._places.waits_for(run.run.id)
            if what is None:
                continue
            noted = self._noted[run.run.id]
            for key in self._places.offered(run.run.id):
                if key not in noted:
                    block = run.blocks[BlockUuid(key)]
                    with suppress(RunNotFoundError):  # the store was replaced under us
                        store.postpone_block(block.id, Waiting(what, now, retried=block.retried))
                    noted.add(key)
                    self._just_noted.append((run.run.id, key))

    def give_back(self) -> None:
        """Take back what was chosen and noted last: it was not stored, and nothing of it started."""
        self._places.give_back(self._chosen)
        for run_id, key in self._just_noted:
            self._noted[run_id].discard(key)
        self._just_noted = []


def _asked(found: UnendedRun) -> Asked:
    return Asked(found.id, found.trigger, found.priority, found.is_cancelled)


def _claim(run: ActiveRun) -> Claim:
    """Return what a run may take."""
    return Claim(
        project=run.run.project,
        pipeline=run.run.pipeline,
        priority=run.run.priority,
        is_awaited=run.run.trigger == AWAITED,
        limit=run.block_limit,
        project_limit=project_block_limit(run.project),
    )
