"""The loop's logic: takes queued runs, starts what may start, records what came of it. Sole writer of a run.

It never waits: its owner calls `take_new` when woken, `on_executor`, `on_supervisor` and `on_files` when their
descriptors are readable, and `on_time` after `next_due_s`. Every step is recorded before it is acted on, so a killed
runner is continued by the next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from spellbook_core.clock import Clock
from spellbook_core.engine import postponing, state
from spellbook_core.engine.active import ActiveBlock, ActiveRun, Change, Under, read_outcome
from spellbook_core.engine.attempts import Attempts, lay_out_children
from spellbook_core.engine.beginning import begin
from spellbook_core.engine.environment import Environments
from spellbook_core.engine.expanding import Growth, grow
from spellbook_core.engine.kinds import judged
from spellbook_core.engine.ports import Executor, Exited, Progressed, Sealed, Started
from spellbook_core.engine.recovery import restore
from spellbook_core.engine.reuse import Reuse, may_run_nothing
from spellbook_core.engine.run_queue import RunSkippedError, is_held
from spellbook_core.engine.settling import settle_unchanged, unrun
from spellbook_core.engine.supervise import is_alive
from spellbook_core.engine.takeover import TakenOver
from spellbook_core.engine.telling import Telling, report
from spellbook_core.engine.turns import Turns
from spellbook_core.engine.unbegun import start_anew
from spellbook_core.engine.verdict import WORKER_LOST, judge
from spellbook_core.engine.waits import Waits
from spellbook_core.errors import SpellbookError, StorageError
from spellbook_core.model.naming import BlockRunId, RunId
from spellbook_core.model.run import Status
from spellbook_core.model.task import Outcome
from spellbook_core.model.values import JsonObject
from spellbook_core.project.layout import Workspace
from spellbook_core.runs.records import ProcessIdentity, UnendedRun, Waiting
from spellbook_core.runs.store import RunNotFoundError, RunStore, StoreBusyError
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
        self._running = self._attempts.running
        self._waits = Waits(clock)
        self.files = self._waits.files
        self._active: dict[RunId, ActiveRun] = {}
        self._turns = Turns(workspace, settings.max_parallel_blocks)
        self._touched: dict[RunId, ActiveRun] = {}
        self._newest: RunId | None = None
        self._looked_at = 0.0
        self._untold: list[RunId] = []
        self._unrecorded: list[Change] = []

    @property
    def is_idle(self) -> bool:
        """Whether no run is under way or waits for its turn."""
        return not self._active and not self._turns.has_waiting

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
            if found.id in self._active:
                if found.is_cancelled:
                    self._cancel(self._active[found.id])
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
                    self._end(run, block, Exited(block.id, block.attempt, None, event.reason), outcome)
            else:
                self._end(run, block, event)

    def on_supervisor(self) -> None:
        """Take in that adopted processes have ended."""
        for block_run_id in self.supervisor.ended():
            if block_run_id in self._running:
                self._end(*self._running[block_run_id], self._lost(block_run_id))

    def next_due_s(self) -> float | None:
        """Return the seconds after which `on_time` has something to do; None when no block waits for a time."""
        return self._waits.next_due_s()

    def on_time(self) -> None:
        """Start again what is due."""
        due = self._waits.due()
        for run, block in due:
            self._apply(run, state.BlockDue(block.key))
        if due:
            self._step()

    def on_files(self) -> None:
        """Take in that files changed which waiting sensors watch; `on_time` starts these."""
        self._waits.on_files()

    def look_again(self) -> None:
        """Look after attempts whose process nobody could tell us about; call every few seconds."""
        for block_run_id in self._taken_over.ended():
            self._end(*self._running[block_run_id], self._lost(block_run_id))

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
                if run_id in self._active:
                    self._cancel(self._active[run_id])
            for run_id in decision.begin:
                self._take(asked[run_id])

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
        except (StoreBusyError, StorageError):
            self._let_go(found.id)
            raise  # the run is not at fault: it is taken again at the next look
        except Exception as error:  # noqa: BLE001  # the executor loop's boundary: the other runs must go on
            is_ours = not isinstance(error, (SpellbookError, OSError))
            _LOG.warning("run %s cannot go on: %s", found.id, error, exc_info=is_ours)
            self._let_go(found.id)
            self._taken_over.abandon(self._store.attempts(found.id), self._settings.cancel_grace_s)
            self._store.end_run(found.id, Status.FAILED, report(error), now=self._clock.now())
            self._tell.run(found.id)

    def _let_go(self, run_id: RunId) -> None:
        """Forget a run that could not be taken, and what was made of it so far."""
        run = self._active.pop(run_id, None)
        if run is None:
            return
        self._touched.pop(run_id, None)
        self._unrecorded = [change for change in self._unrecorded if change[0] is not run]
        for block in [block for of, block in self._running.values() if of is run]:
            del self._running[block.id]
            self._taken_over.forget(block)
        for block in run.blocks.values():
            self._waits.end(block)
        self._turns.leave(run)

    def _begin(self, run_id: RunId) -> None:
        with self._store.transaction():
            begun = begin(self._workspace, self._store, self._environments, run_id, now=self._clock.now())
            self._lease()
        if not may_run_nothing(begun):
            self._executor.prepare(begun.environment)
        self._active[run_id] = self._touched[run_id] = begun
        self._turns.enter(begun)
        self._untold.append(run_id)

    # -- going on -------------------------------------------------------------------------------------------------

    def _step(self, changes: Sequence[Change] = ()) -> None:
        """Record `changes`, and go on until nothing more may begin or start now."""
        self._unrecorded += changes
        self._touched |= {run.run.id: run for run, _, _ in changes}
        self._begin_next()
        has_grown = self._advance()
        while has_grown or self._turns.has_changed:  # a run ended, perhaps at once because nothing in it had changed
            self._begin_next()
            has_grown = self._advance()

    def _advance(self) -> bool:
        """Record changes and the blocks that may start now in one transaction, start those, then tell all of it.

        Return whether a run has new blocks: children of one that runs once per item.

        Only runs in which something changed are looked at. When the store refuses (locked, disk full), the changes
        wait for the next step and nothing starts.
        """
        touched = {run_id: run for run_id, run in self._touched.items() if run_id in self._active}
        self._unrecorded += settle_unchanged(touched.values(), self._reuse)
        chosen = self._turns.choose(touched.values(), self._active)
        try:
            with self._store.transaction():
                for _, block, end in self._unrecorded:
                    with suppress(RunNotFoundError):  # the store was replaced under us: there is nothing to record in
                        if isinstance(end, Waiting):
                            self._store.postpone_block(block.id, end)
                        else:
                            self._store.end_block(block.id, end)
                attempts, gone = self._attempts.record(chosen)
                self._turns.note_waiting(touched.values(), self._store, now=self._clock.now())
                now = self._clock.now()
                growths = [(run, grow(run, self._store, now=now)) for run in touched.values() if run.run.id not in gone]
        except BaseException:  # also KeyboardInterrupt: places must not stay taken by what did not start
            self._turns.give_back()
            raise
        self._touched = {}
        told, self._unrecorded = self._unrecorded, []
        for run_id in gone:
            self._turns.leave(self._active.pop(run_id))
        grown = self._join(growths)
        started: list[Under] = []
        for run, block, attempt in attempts:
            block.attempt = attempt
            run.state = state.apply(run.state, state.BlockStarted(block.key))
            self._running[block.id] = (run, block)
            started.append((run, block))
        for run, block in started:
            self._waits.starts(run, block)
            self._submit(run, block)
        begun, self._untold = self._untold, []
        for run_id in begun:  # only now: whoever listens would compete with the start for a processor
            self._tell.run(run_id)
        for run, block, end in told:
            self._tell.block(run, block, Status.QUEUED if isinstance(end, Waiting) else end.status)
        for run, block in started:
            if block.id in self._running:
                self._tell.block(run, block, Status.RUNNING)
        for run in touched.values():
            if run.run.id not in grown:  # those may have blocks that have ended but are not recorded yet
                self._end_when_over(run)
        for run, block in started:
            lay_out_children(run, block)
        return bool(grown)

    def _join(self, growths: Sequence[tuple[ActiveRun, Growth | None]]) -> set[RunId]:
        """Make stored children part of their runs; return the runs that have some."""
        grown: set[RunId] = set()
        for run, growth in growths:
            if growth is None:
                continue
            before = run.state.statuses
            growth.join(run, now=self._clock.now())
            self._unrecorded += unrun(run, before, self._reuse, now=self._clock.now())
            self._touched[run.run.id] = run
            grown.add(run.run.id)
            for key in growth.children:
                self._tell.block(run, run.blocks[key], Status.RUNNING)
        return grown

    def _submit(self, run: ActiveRun, block: ActiveBlock) -> None:
        if (exited := self._attempts.submit(run, block)) is not None:
            self._end(run, block, exited)

    # -- ending ---------------------------------------------------------------------------------------------------

    def _end(self, run: ActiveRun, block: ActiveBlock, exited: Exited, outcome: Outcome | None = None) -> None:
        del self._running[block.id]
        self._turns.ended(run)
        self._taken_over.forget(block)
        since = block.submitted_at
        outcome = outcome or read_outcome(run.attempt_dir(block))
        end = judge(
            outcome,
            exited,
            block=block.block,
            timeout_s=block.spec.timeout_s,
            is_cancelling=run.state.is_cancelling,
            now=self._clock.now(),
            duration_s=None if since is None else self._clock.monotonic() - since,
        )
        unbegun = start_anew(run, block, exited, outcome, end, now=self._clock.now())
        if unbegun is not None:
            self._postpone(run, block, unbegun)
            return
        is_met = None if outcome is None else outcome.is_met
        elapsed_s = self._waits.elapsed_s(block)
        next_ = postponing.after(run, block, end, is_met=is_met, now=self._clock.now(), elapsed_s=elapsed_s)
        if isinstance(next_, Waiting):
            self._postpone(run, block, next_)
            return
        end = judged(block, next_, is_met)
        self._waits.end(block)
        if run.run.selection.tests_only:
            made_by = block.spec.stored_inputs.get(block.block)
            end = replace(end, reused_from=made_by, children=block.stored_children.get(block.block))
        else:
            end = self._reuse.sealed(run, block, end)
        run.ended(block, end)
        never = self._apply(run, state.BlockEnded(block.key, end.status), but=block)
        self._step([(run, block, end), *never])

    def _postpone(self, run: ActiveRun, block: ActiveBlock, waiting: Waiting) -> None:
        self._apply(run, state.BlockPostponed(block.key))
        self._waits.begin(run, block, waiting)
        self._step([(run, block, waiting)])

    def _apply(self, run: ActiveRun, event: state.Event, but: ActiveBlock | None = None) -> list[Change]:
        """Change the state; return the blocks that will therefore never run, with how that is recorded."""
        before, run.state = run.state, state.apply(run.state, event)
        self._touched[run.run.id] = run
        return unrun(run, before.statuses, self._reuse, now=self._clock.now(), but=but)

    def _cancel(self, run: ActiveRun) -> None:
        if run.state.is_cancelling:
            return
        never = self._apply(run, state.CancelRequested())
        self._turns.ending(run)
        self._attempts.cancel(run, self._settings.cancel_grace_s)
        for _, block, _ in never:
            self._waits.end(block)
        self._step(never)

    def _end_when_over(self, run: ActiveRun) -> None:
        status = state.outcome(run.state)
        if status is None or run.run.id not in self._active:
            return
        self._store.end_run(run.run.id, status, None, now=self._clock.now())
        del self._active[run.run.id]
        self._turns.leave(run)
        self._tell.run(run.run.id)

    # -- taking over ----------------------------------------------------------------------------------------------

    def _resume(self, run_id: RunId) -> None:
        """Go on with a run that another runner left: adopt what was sealed, watch what lives, fail what is lost."""
        run, stored = restore(self._workspace, self._store, run_id, self._environments)
        self._active[run_id] = self._touched[run_id] = run
        by_id = {block.id: block for block in run.blocks.values()}
        lost = []
        for attempt in self._store.attempts(run_id):
            block = by_id[attempt.block_run_id]
            if stored[block.key] is not Status.RUNNING:
                continue
            self._running[block.id] = (run, block)
            if not self._taken_over.watch(run, block, attempt):
                lost.append(block)
        self._turns.enter(run, running=sum(under is run for under, _ in self._running.values()))
        for name in run.state.waiting:
            self._waits.resume(run, run.blocks[name])
        changes = unrun(run, stored, self._reuse, now=self._clock.now())
        if changes:
            self._step(changes)
        for block in lost:
            self._end(run, block, self._lost(block.id))

    def _lost(self, block_run_id: BlockRunId) -> Exited:
        return Exited(block_run_id, self._running[block_run_id][1].attempt, None, WORKER_LOST)
