"""The attempts under way of one runner: recorded before their process is made, then submitted, then forgotten."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path

from spellbook_core.atomic import write_all
from spellbook_core.clock import Clock
from spellbook_core.engine.active import ActiveBlock, ActiveRun, Under
from spellbook_core.engine.ports import Executor, ExecutorEvent, Exited, Started
from spellbook_core.engine.supervise import boot_id, identity
from spellbook_core.errors import SpellbookError
from spellbook_core.model.naming import BlockRunId, RunId
from spellbook_core.model.task import TASK_FILE, BlockTask
from spellbook_core.runs.records import ProcessIdentity
from spellbook_core.runs.store import RunNotFoundError, RunStore
from spellbook_core.worker.wire import task_to_json

MAX_AHEAD = 20
"""Most folders of children that are made while a block runs."""

_LOG = logging.getLogger("spellbook.engine")
_encode = json.JSONEncoder(ensure_ascii=False).encode


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
        self._started: list[tuple[BlockRunId, Started]] = []

    def of(self, event: ExecutorEvent) -> Under | None:
        """Return whose attempt an event is about; None for one that was given up: the newer one is the truth."""
        current = self.running.get(event.block_run_id)
        return None if current is None or current[1].attempt != event.attempt else current

    def record(
        self, chosen: Sequence[Under], *, now: datetime
    ) -> tuple[list[tuple[ActiveRun, ActiveBlock, int]], set[RunId]]:
        """Store an attempt of each block, which begins `now`, in the caller's transaction.

        Returns:
            The attempts with their numbers, and the runs that are no longer stored, of which nothing can start.
        """
        recorded: list[tuple[ActiveRun, ActiveBlock, int]] = []
        gone: set[RunId] = set()
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
            _write(task, folder)
            block.handle = self._executor.submit(task, folder, ahead=_ahead(run, block))
        except (OSError, SpellbookError, UnicodeError) as cause:
            _LOG.warning("block run %s cannot start: %s", block.id, cause)
            return Exited(block.id, block.attempt, None, f"cannot start: {cause}")
        return None

    def started(self, block: ActiveBlock, event: Started) -> None:
        """Note where an attempt runs; `record_processes` stores it."""
        block.handle = event.handle
        self._started.append((block.id, event))

    @property
    def has_unrecorded(self) -> bool:
        """Whether it is not stored of an attempt which process runs it.

        An engine killed before that is no worse off than one killed before it was told: the next one finds the process
        by the attempt's lock.
        """
        return any(self.of(event) is not None for _, event in self._started)

    def record_processes(self) -> None:
        """Store where attempts run, in the caller's transaction; after its end, call `processes_recorded`.

        Not of those that have ended meanwhile: it is there for who looks for the process of one under way.
        """
        for number, event in self._started:
            if self.of(event) is None:
                continue
            self._store.record_process(number, event.attempt, event.handle, _process(event))

    def processes_recorded(self) -> None:
        """Note that all of it is stored."""
        self._started = []

    def cancel(self, run: ActiveRun, grace_s: float) -> None:
        """Ask every attempt of a run to end."""
        for _, block in [pair for pair in self.running.values() if pair[0] is run]:
            if block.handle is not None:
                self._executor.cancel(block.handle, grace_s)


def _ahead(run: ActiveRun, block: ActiveBlock) -> list[Path]:
    """Return the folders of what comes after `block`, but of blocks that start no process: their children do."""
    children = (run.blocks[name] for name in run.state.children[block.key])
    return [run.attempt_dir(child, child.attempt + 1) for child in islice(children, MAX_AHEAD) if not child.spec.over]


def _write(task: BlockTask, folder: Path) -> None:
    data = _encode(task_to_json(task)).encode()
    handle = _open(folder)
    try:
        if os.fstat(handle).st_size:  # ext4 writes a file that was truncated to the disk at once when it is closed
            os.truncate(handle, 0)
        write_all(handle, data)
    finally:
        os.close(handle)


def _open(folder: Path) -> int:
    """Return a descriptor of the task file in a folder, both made where they are missing."""
    path, flags = f"{folder}/{TASK_FILE}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        with suppress(FileExistsError):
            folder.parent.mkdir(parents=True, mode=0o700)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        return os.open(path, flags, 0o600)


def _process(event: Started) -> ProcessIdentity | None:
    if event.pid is None:
        return None
    if event.started is None:
        return identity(event.pid)
    return ProcessIdentity(event.pid, event.started, boot_id())
