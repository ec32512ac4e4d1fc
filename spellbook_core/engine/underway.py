"""The runs under way of one runner: what ended is recorded, what may start is started, what is over is ended.

Events only change what is held in memory, and what has to be stored is kept until a transaction takes it: a disk that
is full for a while delays, and loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from spellbook_core.clock import Clock
from spellbook_core.engine import postponing, state
from spellbook_core.engine.active import ActiveBlock, ActiveRun, Change, Under, read_outcome
from spellbook_core.engine.attempts import Attempts
from spellbook_core.engine.expanding import Growth, grow
from spellbook_core.engine.kinds import judged
from spellbook_core.engine.ports import Exited
from spellbook_core.engine.reuse import Reuse
from spellbook_core.engine.settling import settle_unchanged, unrun
from spellbook_core.engine.takeover import TakenOver
from spellbook_core.engine.telling import Telling
from spellbook_core.engine.turns import Turns
from spellbook_core.engine.unbegun import start_anew
from spellbook_core.engine.verdict import judge
from spellbook_core.engine.waits import Waits
from spellbook_core.model.naming import RunId
from spellbook_core.model.outcome import Outcome
from spellbook_core.model.run import Status
from spellbook_core.runs.records import Waiting
from spellbook_core.runs.store import RunNotFoundError, RunStore


class RunsUnderWay:
    """The runs that have begun and have not ended, and their blocks.

    Attributes:
        active: The runs.
        running: Block run -> whose attempt is under way.
        has_changed: Whether `advance` has something to do.
    """

    def __init__(
        self,
        store: RunStore,
        clock: Clock,
        *,
        attempts: Attempts,
        reuse: Reuse,
        taken_over: TakenOver,
        tell: Telling,
        turns: Turns,
        waits: Waits,
        cancel_grace_s: float,
    ) -> None:
        """Hold no run.

        Args:
            store: Where runs are kept.
            clock: For records and durations.
            attempts: Starts attempts.
            reuse: Knows what need not run.
            taken_over: Watches attempts of earlier runners.
            tell: Publishes what is stored.
            turns: Gives places to blocks.
            waits: Holds blocks that run again later.
            cancel_grace_s: Seconds between the signals that end an attempt.
        """
        self._store = store
        self._clock = clock
        self._attempts = attempts
        self._reuse = reuse
        self._taken_over = taken_over
        self._tell = tell
        self._turns = turns
        self._waits = waits
        self._cancel_grace_s = cancel_grace_s
        self.active: dict[RunId, ActiveRun] = {}
        self.running = attempts.running
        self._touched: dict[RunId, ActiveRun] = {}
        self._untold: list[ActiveRun] = []
        self._unrecorded: list[Change] = []

    @property
    def has_changed(self) -> bool:
        """Whether something happened since the last `advance`, or could not be stored by it."""
        return bool(self._touched)

    # -- runs -----------------------------------------------------------------------------------------------------

    def enter(self, run: ActiveRun, *, running: int = 0, is_new: bool = False) -> None:
        """Carry a run that is stored as under way, `running` of whose blocks run already.

        Args:
            run: The run.
            running: How many of its blocks run.
            is_new: Whether it has just begun, which is then told.
        """
        self.active[run.run.id] = self._touched[run.run.id] = run
        self._turns.enter(run, running=running)
        if is_new:
            self._untold.append(run)

    def let_go(self, run_id: RunId) -> None:
        """Forget a run that could not be taken, and what was made of it so far."""
        run = self.active.pop(run_id, None)
        if run is None:
            return
        self._touched.pop(run_id, None)
        self._untold = [untold for untold in self._untold if untold is not run]
        self._unrecorded = [change for change in self._unrecorded if change[0] is not run]
        for block in [block for of, block in self.running.values() if of is run]:
            del self.running[block.id]
            self._taken_over.forget(block)
        for block in run.blocks.values():
            self._waits.end(block)
        self._turns.leave(run)

    def cancel(self, run: ActiveRun) -> None:
        """Have a run end: its blocks are asked to, and no other starts; a second call changes nothing."""
        if run.state.is_cancelling:
            return
        never = self._apply(run, state.CancelRequested())
        self._turns.ending(run)
        self._attempts.cancel(run, self._cancel_grace_s)
        for _, block, _ in never:
            self._waits.end(block)
        self._unrecorded += never

    # -- blocks ---------------------------------------------------------------------------------------------------

    def note(self, changes: Sequence[Change]) -> None:
        """Have changes recorded that are part of their runs' states already."""
        self._unrecorded += changes
        self._touched |= {run.run.id: run for run, _, _ in changes}

    def due(self, run: ActiveRun, block: ActiveBlock) -> None:
        """Have a block start again that has waited."""
        self._unrecorded += self._apply(run, state.BlockDue(block.key))

    def end(self, run: ActiveRun, block: ActiveBlock, exited: Exited, outcome: Outcome | None = None) -> None:
        """Take in that the attempt of a block ended: the block ends by it, or waits for another one."""
        del self.running[block.id]
        self._turns.ended(run)
        self._taken_over.forget(block)
        since, now = block.submitted_at, self._clock.now()
        outcome = outcome or read_outcome(run.attempt_dir(block))
        end = judge(
            outcome,
            exited,
            block=block.block,
            timeout_s=block.spec.timeout_s,
            is_cancelling=run.state.is_cancelling,
            now=now,
            duration_s=None if since is None else self._clock.monotonic() - since,
        )
        if outcome is None and (unbegun := start_anew(run, block, exited, end, now=now)) is not None:
            self._postpone(run, block, unbegun)
            return
        is_met = None if outcome is None else outcome.is_met
        if end.status is not Status.COMPLETED or is_met is not None:
            elapsed_s = self._waits.elapsed_s(run, block)
            next_ = postponing.after(run, block, end, is_met=is_met, now=now, elapsed_s=elapsed_s)
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
        self._unrecorded += [(run, block, end), *never]

    def _postpone(self, run: ActiveRun, block: ActiveBlock, waiting: Waiting) -> None:
        never = self._apply(run, state.BlockPostponed(block.key))
        if run.state.statuses[block.key] is Status.QUEUED:  # else the run is being cancelled
            self._unrecorded.append((run, block, waiting))
            self._waits.begin(run, block, waiting)
        self._unrecorded += never

    def _apply(self, run: ActiveRun, event: state.Event, but: ActiveBlock | None = None) -> list[Change]:
        """Change the state; return the blocks that will therefore never run, with how that is recorded."""
        before, run.state = run.state, state.apply(run.state, event)
        self._touched[run.run.id] = run
        if but is not None and run.state.statuses[but.key] is Status.COMPLETED and not run.state.bonds.groups:
            return []  # which closes nothing: what comes behind it is not looked at, in a plan of any size
        return unrun(run, before.statuses, self._reuse, now=self._clock.now(), but=but)

    # -- going on -------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Record what changed and the blocks that may start now in one transaction, start those, then tell all of it.

        Only runs in which something changed are looked at. Call it until `has_changed` is false: blocks that cannot
        even start, and children of those that run once per item, are taken in by the next call.

        Raises:
            StorageError: The store refused (disk full): the changes wait for the next call, and nothing starts.
            StoreBusyError: Likewise, because another process holds it.
        """
        touched = {run_id: run for run_id, run in self._touched.items() if run_id in self.active}
        self._unrecorded += settle_unchanged(touched.values(), self._reuse)
        chosen = self._turns.choose(touched.values(), self.active)
        if not (touched or chosen or self._unrecorded or self._attempts.has_unrecorded):  # e.g. a place became free
            self._touched = {}
            return
        try:
            with self._store.transaction():
                self._attempts.record_processes()
                self._record_changes()
                now = self._clock.now()
                attempts, gone = self._attempts.record(chosen, now=now)
                self._turns.note_waiting(touched.values(), self._store, now=now)
                growths = [
                    (run, grow(run, self._store, now=now))
                    for run in touched.values()
                    if run.state.bonds.groups and run.run.id not in gone
                ]
        except BaseException:  # also KeyboardInterrupt: places must not stay taken by what did not start
            self._turns.give_back()
            raise
        self._attempts.processes_recorded()
        over, self._touched = touched, {}
        told, self._unrecorded = self._unrecorded, []
        for run_id in gone:
            self._turns.leave(self.active.pop(run_id))
        self._join(growths)
        started = self._start(attempts)
        self._tell_all(told, started)
        self._end_those_over(over)

    def _record_changes(self) -> None:
        for _, block, end in self._unrecorded:
            with suppress(RunNotFoundError):  # the store was replaced under us: there is nothing to record in
                if isinstance(end, Waiting):
                    self._store.postpone_block(block.id, end)
                else:
                    self._store.end_block(block.id, end)

    def _join(self, growths: Sequence[tuple[ActiveRun, Growth | None]]) -> None:
        """Make stored children part of their runs."""
        for run, growth in growths:
            if growth is None:
                continue
            before = run.state.statuses
            growth.join(run, now=self._clock.now())
            self._unrecorded += unrun(run, before, self._reuse, now=self._clock.now())
            self._touched[run.run.id] = run
            for key in growth.children:
                self._tell.block(run, run.blocks[key], Status.RUNNING)

    def _start(self, attempts: Sequence[tuple[ActiveRun, ActiveBlock, int]]) -> list[Under]:
        """Submit recorded attempts; return those whose process is being made."""
        for run, block, attempt in attempts:
            block.attempt = attempt
            run.state = state.apply(run.state, state.BlockStarted(block.key))
            self.running[block.id] = (run, block)
        for run, block, _ in attempts:
            self._waits.starts(run, block)
            if (exited := self._attempts.submit(run, block)) is not None:
                self.end(run, block, exited)
        return [(run, block) for run, block, _ in attempts if block.id in self.running]

    def _tell_all(self, told: Sequence[Change], started: Sequence[Under]) -> None:
        begun, self._untold = self._untold, []
        for run in begun:  # only now: whoever listens would compete with the start for a processor
            self._tell.begun(run)
        for run, block, end in told:
            self._tell.block(run, block, Status.QUEUED if isinstance(end, Waiting) else end.status)
        for run, block in started:
            self._tell.block(run, block, Status.RUNNING)

    def _end_those_over(self, touched: dict[RunId, ActiveRun]) -> None:
        """End the runs all of whose blocks have ended, and are recorded; one that is refused is tried again."""
        over = {
            run_id: status
            for run_id, run in touched.items()
            if (status := state.outcome(run.state)) is not None and run_id in self.active
        }
        if not over:
            return
        unrecorded = {run.run.id for run, _, _ in self._unrecorded} | self._touched.keys()
        over = {run_id: status for run_id, status in over.items() if run_id not in unrecorded}
        self._touched |= {run_id: touched[run_id] for run_id in over}
        for run_id, status in over.items():
            self._store.end_run(run_id, status, None, now=self._clock.now())
            del self._touched[run_id]
            self._turns.leave(self.active.pop(run_id))
            self._tell.run(run_id)
