"""The loop's logic: takes queued runs, starts what may start, records what came of it. Sole writer of a run.

It never waits and holds no thread: its owner calls `take_new` when woken, `on_executor` and `on_supervisor` when their
descriptors are readable. Every step is recorded before it is acted on, so a killed runner is continued by the next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from spellbook_core.clock import Clock
from spellbook_core.engine import state
from spellbook_core.engine.active import ActiveBlock, ActiveRun, Change, Under, read_outcome
from spellbook_core.engine.attempts import Attempts, lay_out_children
from spellbook_core.engine.beginning import begin
from spellbook_core.engine.environment import Environments
from spellbook_core.engine.ports import Executor, Exited, Progressed, Sealed, Started
from spellbook_core.engine.recovery import restore
from spellbook_core.engine.reuse import Reuse, may_run_nothing
from spellbook_core.engine.settling import settle_unchanged, unrun
from spellbook_core.engine.supervise import is_alive
from spellbook_core.engine.takeover import TakenOver
from spellbook_core.engine.telling import Telling, report
from spellbook_core.engine.verdict import WORKER_LOST, judge
from spellbook_core.errors import SpellbookError
from spellbook_core.model.naming import BlockRunId, RunId
from spellbook_core.model.run import Status
from spellbook_core.model.task import Outcome
from spellbook_core.model.values import JsonObject
from spellbook_core.project.layout import Workspace
from spellbook_core.runs.records import ProcessIdentity, UnendedRun
from spellbook_core.runs.store import RunNotFoundError, RunStore
from spellbook_core.settings import Settings

_LOG = logging.getLogger("spellbook.engine")


class Runner:
    """Carries the runs of one owner: all of a workspace (the engine), or one (`spellbook run`)."""

    def __init__(
        self,
        workspace: Workspace,
        store: RunStore,
        executor: Executor,
        clock: Clock,
        settings: Settings,
        publish: Callable[[JsonObject], None],
        *,
        owner: ProcessIdentity | None = None,
    ) -> None:
        """Carry nothing yet.

        Args:
            workspace: Where the projects and the files of attempts are.
            store: Where runs are kept.
            executor: Owned by the caller, who closes it.
            clock: For records and durations.
            settings: Limits.
            publish: Called with each event, after what it tells is stored.
            owner: Whose runs to take; None for those without an owner, and those whose owner is gone.
        """
        self._workspace = workspace
        self._store = store
        self._executor = executor
        self._clock = clock
        self._settings = settings
        self._tell = Telling(store, publish)
        self._owner = owner
        self._environments = Environments()
        self._reuse = Reuse(workspace, store, clock)
        self._attempts = Attempts(store, executor, clock)
        self._taken_over = TakenOver(executor)
        self.supervisor = self._taken_over.supervisor
        self._running = self._attempts.running
        self._active: dict[RunId, ActiveRun] = {}
        self._untold: list[RunId] = []
        self._unrecorded: list[Change] = []

    @property
    def is_idle(self) -> bool:
        """Whether no run is under way."""
        return not self._active

    @property
    def is_cancelling(self) -> bool:
        """Whether a block process has been asked to end and has not yet."""
        return any(run.state.is_cancelling for run, _ in self._running.values())

    @property
    def workers(self) -> int:
        """How many block processes run."""
        return len(self._running)

    def prepare(self, project: str) -> None:
        """Have processes warmed for a project."""
        self._executor.prepare(self._environments.of(self._workspace.project(project)))

    # -- what the owner calls -------------------------------------------------------------------------------------

    def take_new(self) -> None:
        """Begin queued runs, pass on requests to cancel, and take over runs that nobody carries any more."""
        for found in self._store.unended_runs():
            if found.id in self._active:
                if found.is_cancelled:
                    self._cancel(self._active[found.id])
            elif self._is_mine(found):
                self._take(found)
        self._step()

    def on_executor(self) -> None:
        """Take in what the executor has to tell."""
        for event in self._executor.poll(0):
            current = self._attempts.of(event)
            if current is None:
                continue
            run, block = current
            if isinstance(event, Started):
                self._attempts.started(block, event)
            elif isinstance(event, Progressed):
                self._tell.progress(run, block, event.what)
            elif isinstance(event, Sealed):
                if (outcome := read_outcome(run.attempt_dir(block))) is not None:
                    self._end(run, block, Exited(block.id, block.attempt, None, event.reason), outcome)
            else:
                self._end(run, block, event)

    def on_supervisor(self) -> None:
        """Take in that adopted processes have ended."""
        for block_run_id in self.supervisor.ended():
            if block_run_id in self._running:
                self._end(*self._running[block_run_id], self._lost(block_run_id))

    def look_again(self) -> None:
        """Look after attempts whose process nobody could tell us about; call every few seconds."""
        for block_run_id in self._taken_over.ended():
            self._end(*self._running[block_run_id], self._lost(block_run_id))

    def close(self) -> None:
        """Let go of what is watched. Running blocks go on and seal their outcome."""
        self.supervisor.close()

    # -- beginning ------------------------------------------------------------------------------------------------

    def _is_mine(self, found: UnendedRun) -> bool:
        if found.owner == self._owner:
            return True
        return self._owner is None and found.owner is not None and not is_alive(found.owner)

    def _take(self, found: UnendedRun) -> None:
        """Begin or take over one run; a run that cannot go on fails with the reason, and the others go on."""
        try:
            if found.status is Status.RUNNING:
                self._resume(found.id)
            elif found.is_cancelled:
                self._store.end_run(found.id, Status.CANCELLED, None, now=self._clock.now())
                self._tell.run(found.id)
            else:
                self._begin(found.id)
            if found.is_cancelled and found.id in self._active:
                self._cancel(self._active[found.id])
        except (SpellbookError, OSError) as error:
            _LOG.warning("run %s cannot go on: %s", found.id, error)
            self._store.end_run(found.id, Status.FAILED, report(error), now=self._clock.now())
            self._tell.run(found.id)

    def _begin(self, run_id: RunId) -> None:
        begun = begin(self._workspace, self._store, self._environments, run_id, now=self._clock.now())
        if not may_run_nothing(begun):
            self._executor.prepare(begun.environment)
        self._active[run_id] = begun
        self._untold.append(run_id)

    # -- going on -------------------------------------------------------------------------------------------------

    def _step(self, changes: Sequence[Change] = ()) -> None:
        """Record `changes` and the blocks that may start now in one transaction, start those, then tell all of it.

        When the store refuses (locked, disk full), the changes wait for the next step and nothing starts.
        """
        self._unrecorded += changes
        self._unrecorded += settle_unchanged(self._active.values(), self._reuse)
        chosen = self._choose()
        with self._store.transaction():
            for _, block, end in self._unrecorded:
                with suppress(RunNotFoundError):  # the store was replaced under us: there is nothing to record in
                    self._store.end_block(block.id, end)
            attempts, gone = self._attempts.record(chosen)
        told, self._unrecorded = self._unrecorded, []
        for run_id in gone:
            del self._active[run_id]
        started: list[Under] = []
        for run, block, attempt in attempts:
            block.attempt = attempt
            run.state = state.apply(run.state, state.BlockStarted(block.block))
            self._running[block.id] = (run, block)
            started.append((run, block))
        for run, block in started:
            self._submit(run, block)
        begun, self._untold = self._untold, []
        for run_id in begun:  # only now: whoever listens would compete with the start for a processor
            self._tell.run(run_id)
        for run, block, end in told:
            self._tell.block(run, block, end.status)
        for run, block in started:
            if block.id in self._running:
                self._tell.block(run, block, Status.RUNNING)
        for run in list(self._active.values()):
            self._end_when_over(run)
        for run, block in started:
            lay_out_children(run, block)

    def _choose(self) -> list[Under]:
        """Return the blocks that start now, within the limit, in the order of the runs and of their plans."""
        chosen: list[Under] = []
        for run in self._active.values():
            free = self._settings.max_parallel_blocks - len(self._running) - len(chosen)
            chosen += [(run, run.blocks[name]) for name in state.ready(run.state, free)]
        return chosen

    def _submit(self, run: ActiveRun, block: ActiveBlock) -> None:
        if (exited := self._attempts.submit(run, block)) is not None:
            self._end(run, block, exited)

    # -- ending ---------------------------------------------------------------------------------------------------

    def _end(self, run: ActiveRun, block: ActiveBlock, exited: Exited, outcome: Outcome | None = None) -> None:
        del self._running[block.id]
        self._taken_over.forget(block)
        since = block.submitted_at
        end = judge(
            outcome or read_outcome(run.attempt_dir(block)),
            exited,
            block=block.block,
            timeout_s=block.spec.timeout_s,
            is_cancelling=run.state.is_cancelling,
            now=self._clock.now(),
            duration_s=None if since is None else self._clock.monotonic() - since,
        )
        if run.run.selection.tests_only:
            end = replace(end, reused_from=block.spec.stored_inputs.get(block.block))
        else:
            end = self._reuse.sealed(run, block, end)
        if end.status is Status.COMPLETED:
            run.outputs[block.block] = end.outputs
        never = self._apply(run, state.BlockEnded(block.block, end.status), but=block)
        self._step([(run, block, end), *never])

    def _apply(self, run: ActiveRun, event: state.Event, but: ActiveBlock | None = None) -> list[Change]:
        """Change the state; return the blocks that will therefore never run, with how that is recorded."""
        before, run.state = run.state, state.apply(run.state, event)
        return unrun(run, before.statuses, now=self._clock.now(), but=but)

    def _cancel(self, run: ActiveRun) -> None:
        if run.state.is_cancelling:
            return
        never = self._apply(run, state.CancelRequested())
        self._attempts.cancel(run, self._settings.cancel_grace_s)
        self._step(never)

    def _end_when_over(self, run: ActiveRun) -> None:
        status = state.outcome(run.state)
        if status is None or run.run.id not in self._active:
            return
        self._store.end_run(run.run.id, status, None, now=self._clock.now())
        del self._active[run.run.id]
        self._tell.run(run.run.id)

    # -- taking over ----------------------------------------------------------------------------------------------

    def _resume(self, run_id: RunId) -> None:
        """Go on with a run that another runner left: adopt what was sealed, watch what lives, fail what is lost."""
        run, stored = restore(self._workspace, self._store, run_id, self._environments)
        self._active[run_id] = run
        by_id = {block.id: block for block in run.blocks.values()}
        lost = []
        for attempt in self._store.attempts(run_id):
            block = by_id[attempt.block_run_id]
            if stored[block.block] is not Status.RUNNING:
                continue
            self._running[block.id] = (run, block)
            if not self._taken_over.watch(run, block, attempt):
                lost.append(block)
        changes = unrun(run, stored, now=self._clock.now())
        if changes:
            self._step(changes)
        for block in lost:
            self._end(run, block, self._lost(block.id))

    def _lost(self, block_run_id: BlockRunId) -> Exited:
        return Exited(block_run_id, self._running[block_run_id][1].attempt, None, WORKER_LOST)
