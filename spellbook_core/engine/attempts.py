"""The attempts under way of one runner: recorded before their process is made, then submitted, then forgotten."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import suppress

from spellbook_core.clock import Clock
from spellbook_core.engine.active import ActiveBlock, ActiveRun, Under
from spellbook_core.engine.ports import Executor, ExecutorEvent, Exited, Started
from spellbook_core.engine.supervise import boot_id, identity
from spellbook_core.errors import SpellbookError
from spellbook_core.model.naming import BlockRunId, RunId
from spellbook_core.model.task import TASK_FILE
from spellbook_core.runs.records import ProcessIdentity
from spellbook_core.runs.store import RunNotFoundError, RunStore
from spellbook_core.worker.wire import task_to_json

_LOG = logging.getLogger("spellbook.engine")


class Attempts:
    """Starts attempts and knows those under way.

    Attributes:
        running: Block run -> whose attempt it is.
    """

    def __init__(self, store: RunStore, executor: Executor, clock: Clock) -> None:
        """Know of no attempt yet."""
        self._store = store
        self._executor = executor
        self._clock = clock
        self.running: dict[BlockRunId, Under] = {}

    def of(self, event: ExecutorEvent) -> Under | None:
        """Return whose attempt an event is about; None for one that was given up: the newer one is the truth."""
        current = self.running.get(event.block_run_id)
        return None if current is None or current[1].attempt != event.attempt else current

    def record(self, chosen: Sequence[Under]) -> tuple[list[tuple[ActiveRun, ActiveBlock, int]], set[RunId]]:
        """Store an attempt of each block, in the caller's transaction.

        Returns:
            The attempts with their numbers, and the runs that are no longer stored, of which nothing can start.
        """
        recorded: list[tuple[ActiveRun, ActiveBlock, int]] = []
        gone: set[RunId] = set()
        now = self._clock.now()
        for run, block in chosen:
            if run.run.id in gone:
                continue
            try:
                recorded.append((run, block, self._store.start_attempt(block.id, now=now)))
                block.first_started_at = block.first_started_at or now
            except RunNotFoundError:
                _LOG.warning("run %s is no longer in the run store; it is given up", run.run.id)
                gone.add(run.run.id)
        return recorded, gone

    def submit(self, run: ActiveRun, block: ActiveBlock) -> Exited | None:
        """Hand the recorded attempt of a block to the executor; return how it ended when it cannot even start."""
        block.submitted_at = self._clock.monotonic()
        try:
            task = run.task(block)
            folder = run.attempt_dir(block)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / TASK_FILE).write_text(json.dumps(task_to_json(task), ensure_ascii=False), encoding="utf-8")
            block.handle = self._executor.submit(task, folder)
        except (OSError, SpellbookError, UnicodeError) as cause:
            _LOG.warning("block run %s cannot start: %s", block.id, cause)
            return Exited(block.id, block.attempt, None, f"cannot start: {cause}")
        return None

    def started(self, block: ActiveBlock, event: Started) -> None:
        """Note where an attempt runs."""
        block.handle = event.handle
        self._store.record_process(block.id, block.attempt, event.handle, _process(event))

    def cancel(self, run: ActiveRun, grace_s: float) -> None:
        """Ask every attempt of a run to end."""
        for _, block in [pair for pair in self.running.values() if pair[0] is run]:
            if block.handle is not None:
                self._executor.cancel(block.handle, grace_s)


def lay_out_children(run: ActiveRun, block: ActiveBlock) -> None:
    """Make the folders of what comes after `block` while it runs: a file in a new folder costs 1.5 ms on ext4."""
    with suppress(OSError):  # what is wrong with the disk is told when the child starts
        for name in run.state.children[block.key]:
            child = run.blocks[name]
            if child.spec.over:
                continue  # it starts no process: its children do
            folder = run.attempt_dir(child, child.attempt + 1)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / TASK_FILE).touch(mode=0o600)


def _process(event: Started) -> ProcessIdentity | None:
    if event.pid is None:
        return None
    if event.started is None:
        return identity(event.pid)
    return ProcessIdentity(event.pid, event.started, boot_id())
