"""The loop's logic: takes queued runs, starts what may start, records what came of it. Sole writer of a run.

It never waits: its owner calls `take_new` when woken, `on_executor`, `on_supervisor` and `on_files` when their
descriptors are readable, and `on_time` after `next_due_s`. Every step is recorded before it is acted on, so a killed
runner is continued by the next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from spellbook_core.clock import Clock
from spellbook_core.engine.active import read_outcome
from spellbook_core.engine.attempts import Attempts
from spellbook_core.engine.beginning import begin
from spellbook_core.engine.environment import Environments
from spellbook_core.engine.ports import Executor, Exited, Progressed, Sealed, Started
from spellbook_core.engine.recovery import restore
from spellbook_core.engine.reuse import Reuse, may_run_nothing
from spellbook_core.engine.run_queue import RunSkippedError
from spellbook_core.engine.settling import unrun
from spellbook_core.engine.supervise import is_alive
from spellbook_core.engine.takeover import TakenOver
from spellbook_core.engine.telling import Telling, report
from spellbook_core.engine.turns import Turns
from spellbook_core.engine.underway import RunsUnderWay
from spellbook_core.engine.verdict import WORKER_LOST
from spellbook_core.engine.waits import Waits
from spellbook_core.errors import SpellbookError, StorageError
from spellbook_core.model.concurrency import is_held
from spellbook_core.model.naming import BlockRunId, RunId
from spellbook_core.model.run import Status
from spellbook_core.model.values import JsonObject
from spellbook_core.project.layout import Workspace
from spellbook_core.runs.records import ProcessIdentity, UnendedRun
from spellbook_core.runs.store import RunStore, StoreBusyError
from spellbook_core.settings import Settings

LOOK_S = 4.0
"""How long new runs are all that is read, in seconds; then all runs are looked at once more."""

SKIPPED_HINT = "change 'if_running' below 'concurrency_config' of the pipeline to have such runs wait."

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
        lease: Callable[[], None] = lambda: None,
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
            lease: Writes who carries the runs; called in the transaction that marks a run as running.
        """
        self._workspace = workspace
        self._store = store
        self._executor = executor
        self._clock = clock
        self._settings = settings
        self._tell = Telling(store, publish)
        self._owner = owner
        self._lease = lease
        self._environments = Environments()
        self._reuse = Reuse(workspace, store, clock)
        self._attempts = Attempts(store, executor, clock)
        self._taken_over = TakenOver(executor)
        self.supervisor = self._taken_over.supervisor
        self._waits = Waits(clock)
        self.files = self._waits.files
        self._turns = Turns(workspace, settings.max_parallel_blocks)
        self._runs = RunsUnderWay(
            store,
            clock,
            attempts=self._attempts,
            reuse=self._reuse,
            taken_over=self._taken_over,
            tell=self._tell,
            turns=self._turns,
            waits=self._waits,
            cancel_grace_s=settings.cancel_grace_s,
        )
        self._newest: RunId | None = None
        self._looked_at = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether no run is under way or waits for its turn."""
        return not self._runs.active and not self._turns.has_waiting

    @property
    def is_cancelling(self) -> bool:
        """Whether a block process has been asked to end and has not yet."""
        return any(run.state.is_cancelling for run, _ in self._runs.running.values())

    @property
    def workers(self) -> int:
        """How many block processes run."""
        return len(self._runs.running)

    def prepare(self, project: str) -> None:
        """Have processes warmed for a project."""
        environment = self._environments.to_warm(self._workspace.project(project))
        if environment is not None:
            self._executor.prepare(environment)

    # -- what the owner calls -------------------------------------------------------------------------------------

    def take_new(self) -> None:
        """Queue what is new, pass on requests to cancel, and take over runs that nobody carries any more.

        Between the looks at all runs, every few seconds, only those are read that are new or shall end.
        """
        now = self._clock.monotonic()
        is_due = self._newest is None or now - self._looked_at >= LOOK_S
        if is_due:
            self._looked_at = now
            self._turns.look_anew()
        for found in self._store.unended_runs(after=None if is_due else self._newest):
            self._newest = max(self._newest or found.id, found.id)
            if found.id in self._runs.active:
                if found.is_cancelled:
                    self._runs.cancel(self._runs.active[found.id])
            elif not self._is_mine(found):
                self._turns.goes_elsewhere(found)
            elif found.status is Status.QUEUED and not found.is_cancelled and self._is_held(found):
                self._turns.ask(found)
            else:
                self._turns.forget(found)
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
                    self._runs.end(run, block, Exited(block.id, block.attempt, None, event.reason), outcome)
            else:
                self._runs.end(run, block, event)
        self._step_if_changed()
        if self._attempts.has_unrecorded:  # nothing has changed: else they were stored in the same transaction
            with self._store.transaction():
                self._attempts.record_processes()
            self._attempts.processes_recorded()

    def on_supervisor(self) -> None:
        """Take in that adopted processes have ended."""
        for block_run_id in self.supervisor.ended():
            if block_run_id in self._runs.running:
                self._lose(block_run_id)
        self._step_if_changed()

    def next_due_s(self) -> float | None:
        """Return the seconds after which `on_time` has something to do; None when nothing waits for a time."""
        return self._waits.next_due_s()

    def on_time(self) -> None:
        """Start again what is due."""
        for run, block in self._waits.due():
            self._runs.due(run, block)
        self._step_if_changed()

    def on_files(self) -> None:
        """Take in that files changed which waiting sensors watch; `on_time` starts these."""
        self._waits.on_files()

    def look_again(self) -> None:
        """Look after attempts whose process nobody could tell us about; call every few seconds."""
        for block_run_id in self._taken_over.ended():
            self._lose(block_run_id)
        self._step_if_changed()

    def close(self) -> None:
        """Let go of what is watched. Running blocks go on and seal their outcome."""
        self._waits.close()
        self.supervisor.close()

    # -- beginning ------------------------------------------------------------------------------------------------

    def _is_mine(self, found: UnendedRun) -> bool:
        if found.owner == self._owner:
            return True
        return self._owner is None and found.owner is not None and not is_alive(found.owner)

    def _is_held(self, found: UnendedRun) -> bool:
        """Whether the limits on runs decide when it begins; who runs one by himself wants it now."""
        return self._owner is None and is_held(found.trigger, found.selection)

    def _begin_next(self) -> None:
        """Begin the queued runs whose turn it is; note what the others wait for, or why they are skipped."""
        for decision, asked in self._turns.decide():
            for run_id, why in decision.skip.items():
                skipped = RunSkippedError(f"The run was skipped: {why}.", hint=SKIPPED_HINT, run=run_id)
                self._store.end_run(run_id, Status.CANCELLED, report(skipped), now=self._clock.now())
                self._tell.run(run_id)
            for run_id, what in decision.wait.items():
                if asked[run_id].waiting_for != what:
                    self._store.wait_run(run_id, what)
                    self._turns.ask_again(asked[run_id], what)
                    self._tell.run(run_id)
            for run_id in decision.cancel:
                self._store.request_cancel(run_id, now=self._clock.now())
                if run_id in self._runs.active:
                    self._runs.cancel(self._runs.active[run_id])
            for run_id in decision.begin:
                self._take(asked[run_id])

    def _take(self, found: UnendedRun) -> None:
        """Begin or take over one run; a run that cannot go on fails with the reason, and the others go on."""
        try:
            if found.status is Status.RUNNING:
                self._resume(found)
            elif found.is_cancelled:
                self._store.end_run(found.id, Status.CANCELLED, None, now=self._clock.now())
                self._tell.run(found.id)
            else:
                self._begin(found.id)
        except (StoreBusyError, StorageError):
            self._runs.let_go(found.id)
            raise  # the run is not at fault: it is taken again at the next look
        except Exception as error:  # noqa: BLE001  # the executor loop's boundary: the other runs must go on
            is_ours = not isinstance(error, (SpellbookError, OSError))
            _LOG.warning("run %s cannot go on: %s", found.id, error, exc_info=is_ours)
            self._runs.let_go(found.id)
            self._taken_over.abandon(self._store.attempts(found.id), self._settings.cancel_grace_s)
            self._store.end_run(found.id, Status.FAILED, report(error), now=self._clock.now())
            self._tell.run(found.id)

    def _begin(self, run_id: RunId) -> None:
        with self._store.transaction():
            begun = begin(self._workspace, self._store, self._environments, run_id, now=self._clock.now())
            self._lease()
        if not may_run_nothing(begun):
            self._executor.prepare(begun.environment)
        self._runs.enter(begun, is_new=True)

    def _step_if_changed(self) -> None:
        if self._runs.has_changed:
            self._step()

    def _step(self) -> None:
        """Go on until nothing more may begin or start now."""
        self._begin_next()
        self._runs.advance()
        while self._runs.has_changed or self._turns.has_changed:  # e.g. a run ended at once: nothing in it had changed
            self._begin_next()
            self._runs.advance()

    # -- taking over ----------------------------------------------------------------------------------------------

    def _resume(self, found: UnendedRun) -> None:
        """Go on with a run that another runner left: adopt what was sealed, watch what lives, fail what is lost."""
        run, stored = restore(self._workspace, self._store, found.id, self._environments)
        by_id = {block.id: block for block in run.blocks.values()}
        lost = []
        for attempt in self._store.attempts(found.id):
            block = by_id[attempt.block_run_id]
            if stored[block.key] is not Status.RUNNING:
                continue
            self._runs.running[block.id] = (run, block)
            if not self._taken_over.watch(run, block, attempt):
                lost.append(block.id)
        self._runs.enter(run, running=sum(under is run for under, _ in self._runs.running.values()))
        for name in run.state.waiting:
            self._waits.resume(run, run.blocks[name])
        self._runs.note(unrun(run, stored, self._reuse, now=self._clock.now()))
        if found.is_cancelled:
            self._runs.cancel(run)  # first: what is lost while it is being cancelled was cancelled, it did not fail
        for block_run_id in lost:
            self._lose(block_run_id)

    def _lose(self, block_run_id: BlockRunId) -> None:
        """End an attempt whose process is gone, or of which nobody could tell."""
        run, block = self._runs.running[block_run_id]
        self._runs.end(run, block, Exited(block_run_id, block.attempt, None, WORKER_LOST))
