"""The loop's logic: takes queued runs, starts what may start, records what came of it. Sole writer of a run.

It never waits and holds no thread: its owner calls `take_new` when woken, `on_executor` and `on_supervisor` when their
descriptors are readable. Every step is recorded before it is acted on, so a killed runner is continued by the next.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

from spellbook_core.clock import Clock
from spellbook_core.engine import state
from spellbook_core.engine.active import ActiveBlock, ActiveRun, initial_state, read_outcome
from spellbook_core.engine.environment import Environments
from spellbook_core.engine.intake import take_in
from spellbook_core.engine.ports import Executor, Exited, Progressed, Sealed, Started
from spellbook_core.engine.recovery import restore, stored_outputs
from spellbook_core.engine.reuse import Reuse, may_run_nothing
from spellbook_core.engine.supervise import Supervisor, boot_id, identity, is_alive, is_locked
from spellbook_core.engine.telling import Telling, report
from spellbook_core.engine.verdict import WORKER_LOST, judge
from spellbook_core.errors import SpellbookError
from spellbook_core.model.naming import BlockRunId, BlockUuid, RunId
from spellbook_core.model.run import Status
from spellbook_core.model.task import TASK_FILE, Outcome
from spellbook_core.model.values import JsonObject
from spellbook_core.project.layout import Workspace
from spellbook_core.runs.records import Attempt, BlockEnd, ProcessIdentity, UnendedRun
from spellbook_core.runs.store import RunNotFoundError, RunStore
from spellbook_core.settings import Settings
from spellbook_core.worker.wire import task_to_json

_Change: TypeAlias = "tuple[ActiveRun, ActiveBlock, BlockEnd]"

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
        self.supervisor = Supervisor()
        self._workspace = workspace
        self._store = store
        self._executor = executor
        self._clock = clock
        self._settings = settings
        self._tell = Telling(store, publish)
        self._owner = owner
        self._environments = Environments()
        self._reuse = Reuse(workspace, store, clock)
        self._active: dict[RunId, ActiveRun] = {}
        self._running: dict[BlockRunId, tuple[ActiveRun, ActiveBlock]] = {}
        self._unwatched: set[BlockRunId] = set()
        self._untold: list[RunId] = []
        self._unrecorded: list[_Change] = []

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
            current = self._running.get(event.block_run_id)
            if current is None or current[1].attempt != event.attempt:
                continue  # of an attempt that was given up: the newer one is the truth
            run, block = current
            if isinstance(event, Started):
                block.handle = event.handle
                self._store.record_process(block.id, block.attempt, event.handle, _process(event))
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
        for block_run_id in list(self._unwatched):
            run, block = self._running[block_run_id]
            if read_outcome(run.attempt_dir(block)) is not None or not is_locked(run.attempt_dir(block)):
                self._end(run, block, self._lost(block_run_id))

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
        asked = self._store.run(run_id)
        intake = take_in(self._workspace, self._store, asked.project, asked.pipeline, asked.selection)
        environment = self._environments.of(intake.project)
        numbers = self._store.begin_run(run_id, intake.blocks, now=self._clock.now())
        blocks = {
            new.block: ActiveBlock(
                id=number,
                block=new.block,
                block_type=new.block_type,
                spec=new.spec,
                source=new.source,
                source_path=intake.paths[new.block],
                stored_outputs=stored_outputs(self._store, new.spec),
            )
            for number, new in zip(numbers, intake.blocks, strict=True)
        }
        begun = ActiveRun(
            run=self._store.run(run_id),
            project=intake.project,
            variables={**intake.pipeline.variables, **asked.variables},
            environment=environment,
            blocks=blocks,
            state=initial_state({name: block.spec for name, block in blocks.items()}),
        )
        if not may_run_nothing(begun):
            self._executor.prepare(environment)
        self._active[run_id] = begun
        self._untold.append(run_id)

    # -- going on -------------------------------------------------------------------------------------------------

    def _step(self, changes: Sequence[_Change] = ()) -> None:
        """Record `changes` and the blocks that may start now in one transaction, start those, then tell all of it.

        When the store refuses (locked, disk full), the changes wait for the next step and nothing starts.
        """
        self._unrecorded += changes
        self._unrecorded += self._settle_unchanged()
        chosen: list[tuple[ActiveRun, ActiveBlock]] = []
        with self._store.transaction():
            for _, block, end in self._unrecorded:
                with suppress(RunNotFoundError):  # the store was replaced under us: there is nothing to record in
                    self._store.end_block(block.id, end)
            attempts = self._start_attempts()
        told, self._unrecorded = self._unrecorded, []
        for run, block, attempt in attempts:
            block.attempt = attempt
            run.state = state.apply(run.state, state.BlockStarted(block.block))
            self._running[block.id] = (run, block)
            chosen.append((run, block))
        for run, block in chosen:
            self._submit(run, block)
        begun, self._untold = self._untold, []
        for run_id in begun:  # only now: whoever listens would compete with the start for a processor
            self._tell.run(run_id)
        for run, block, end in told:
            self._tell.block(run, block, end.status)
        for run, block in chosen:
            if block.id in self._running:
                self._tell.block(run, block, Status.RUNNING)
        for run in list(self._active.values()):
            self._end_when_over(run)
        for run, block in chosen:
            self._lay_out_children(run, block)

    def _settle_unchanged(self) -> list[_Change]:
        """End the ready blocks whose stored outputs still hold, and what becomes ready by that; none of them runs."""
        settled: list[_Change] = []
        for run in self._active.values():
            undecided = [run.blocks[name] for name in state.ready(run.state, len(run.blocks))]
            for block in undecided:  # grows
                end = None if block.is_decided or run.run.selection.tests_only else self._reuse.decide(run, block)
                if end is None:
                    continue
                run.state = state.apply(run.state, state.BlockStarted(block.block))
                run.state = state.apply(run.state, state.BlockEnded(block.block, end.status))
                run.outputs[block.block] = end.outputs
                settled.append((run, block, end))
                children = set(run.state.children[block.block])
                undecided += [run.blocks[name] for name in state.ready(run.state, len(run.blocks)) if name in children]
        return settled

    def _start_attempts(self) -> list[tuple[ActiveRun, ActiveBlock, int]]:
        """Record an attempt of each block that may start, within the limit; forget runs that are no longer stored."""
        chosen: list[tuple[ActiveRun, ActiveBlock, int]] = []
        now = self._clock.now()
        for run in list(self._active.values()):
            free = self._settings.max_parallel_blocks - len(self._running) - len(chosen)
            for name in state.ready(run.state, free):
                block = run.blocks[name]
                try:
                    chosen.append((run, block, self._store.start_attempt(block.id, now=now)))
                except RunNotFoundError:
                    _LOG.warning("run %s is no longer in the run store; it is given up", run.run.id)
                    del self._active[run.run.id]
                    break
        return chosen

    def _lay_out_children(self, run: ActiveRun, block: ActiveBlock) -> None:
        """Make the folders of what comes after `block` while it runs: a file in a new folder costs 1.5 ms on ext4."""
        with suppress(OSError):  # what is wrong with the disk is told when the child starts
            for name in run.state.children[block.block]:
                child = run.blocks[name]
                folder = run.attempt_dir(child, child.attempt + 1)
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                (folder / TASK_FILE).touch(mode=0o600)

    def _submit(self, run: ActiveRun, block: ActiveBlock) -> None:
        block.submitted_at = self._clock.monotonic()
        try:
            task = run.task(block)
            folder = run.attempt_dir(block)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / TASK_FILE).write_text(json.dumps(task_to_json(task), ensure_ascii=False), encoding="utf-8")
            block.handle = self._executor.submit(task, folder)
        except (OSError, SpellbookError, UnicodeError) as cause:
            _LOG.warning("block run %s cannot start: %s", block.id, cause)
            self._end(run, block, Exited(block.id, block.attempt, None, f"cannot start: {cause}"))

    # -- ending ---------------------------------------------------------------------------------------------------

    def _end(self, run: ActiveRun, block: ActiveBlock, exited: Exited, outcome: Outcome | None = None) -> None:
        del self._running[block.id]
        self._unwatched.discard(block.id)
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
        unrun = self._apply(run, state.BlockEnded(block.block, end.status), but=block)
        self._step([(run, block, end), *unrun])

    def _apply(self, run: ActiveRun, event: state.Event, but: ActiveBlock | None = None) -> list[_Change]:
        """Change the state; return the blocks that will therefore never run, with how that is recorded."""
        before, run.state = run.state, state.apply(run.state, event)
        return self._unrun(run, before.statuses, but)

    def _unrun(
        self, run: ActiveRun, before: Mapping[BlockUuid, Status], but: ActiveBlock | None = None
    ) -> list[_Change]:
        now = self._clock.now()
        return [
            (run, run.blocks[name], BlockEnd(status, now))
            for name, status in run.state.statuses.items()
            if status.is_terminal and status is not before[name] and run.blocks[name] is not but
        ]

    def _cancel(self, run: ActiveRun) -> None:
        if run.state.is_cancelling:
            return
        unrun = self._apply(run, state.CancelRequested())
        for _, block in [pair for pair in self._running.values() if pair[0] is run]:
            if block.handle is not None:
                self._executor.cancel(block.handle, self._settings.cancel_grace_s)
        self._step(unrun)

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
            if read_outcome(run.attempt_dir(block)) is not None or not self._watch(run, block, attempt):
                lost.append(block)
        changes = self._unrun(run, stored)
        if changes:
            self._step(changes)
        for block in lost:
            self._end(run, block, self._lost(block.id))

    def _watch(self, run: ActiveRun, block: ActiveBlock, attempt: Attempt) -> bool:
        """Have the end of an attempt told that another runner submitted; False when its process is gone."""
        block.handle = attempt.handle
        if attempt.process is not None:
            if not is_alive(attempt.process):
                return False
            if attempt.handle is not None and self._executor.adopt(attempt.handle):
                return True
            if self.supervisor.watch(block.id, attempt.process):
                return True
        if is_locked(run.attempt_dir(block)):
            self._unwatched.add(block.id)
            return True
        return False

    def _lost(self, block_run_id: BlockRunId) -> Exited:
        return Exited(block_run_id, self._running[block_run_id][1].attempt, None, WORKER_LOST)


def _process(event: Started) -> ProcessIdentity | None:
    if event.pid is None:
        return None
    if event.started is None:
        return identity(event.pid)
    return ProcessIdentity(event.pid, event.started, boot_id())
