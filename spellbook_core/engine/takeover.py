"""Attempts that an earlier runner submitted: those that live are watched, the others are told as lost."""

from __future__ import annotations

from collections.abc import Iterable

from spellbook_core.engine.active import ActiveBlock, ActiveRun, read_outcome
from spellbook_core.engine.ports import Executor, Handle
from spellbook_core.engine.supervise import Supervisor, give_up, is_alive, is_locked
from spellbook_core.model.naming import BlockRunId
from spellbook_core.runs.records import Attempt


class TakenOver:
    """Watches attempts whose processes are not this executor's own.

    Attributes:
        supervisor: Tells the ends that the kernel tells.
    """

    def __init__(self, executor: Executor) -> None:
        """Watch nothing yet."""
        self.supervisor = Supervisor()
        self._executor = executor
        self._unwatched: dict[BlockRunId, tuple[ActiveRun, ActiveBlock]] = {}

    def watch(self, run: ActiveRun, block: ActiveBlock, attempt: Attempt) -> bool:
        """Have the end of an attempt told that another runner submitted; False when it has sealed or is gone."""
        block.handle = attempt.handle
        if read_outcome(run.attempt_dir(block)) is not None:
            return False
        if attempt.process is not None:
            if not is_alive(attempt.process):
                return False
            if attempt.handle is not None and self._executor.adopt(attempt.handle):
                return True
            if self.supervisor.watch(block.id, attempt.process):
                return True
        elif give_up(run.attempt_dir(block)):
            return False  # nobody had begun it, and whoever comes late leaves user code alone; also in a cancelled run
        else:  # its engine was killed before it heard where the attempt runs: the lock names who has begun it
            handle: Handle = {"block_run_id": block.id, "attempt": block.attempt, "dir": str(run.attempt_dir(block))}
            if self._executor.adopt(handle):
                block.handle = handle
                return True
        if is_locked(run.attempt_dir(block)):
            self._unwatched[block.id] = (run, block)
            return True
        return False

    def ended(self) -> list[BlockRunId]:
        """Return the block runs whose process nobody tells of and which have ended; look every few seconds."""
        return [
            number
            for number, (run, block) in self._unwatched.items()
            if read_outcome(run.attempt_dir(block)) is not None or not is_locked(run.attempt_dir(block))
        ]

    def abandon(self, attempts: Iterable[Attempt], grace_s: float) -> None:
        """End the processes of a run that cannot go on; what they seal is looked at by nobody."""
        for attempt in attempts:
            if attempt.process is None or attempt.handle is None or not is_alive(attempt.process):
                continue
            if self._executor.adopt(attempt.handle):
                self._executor.cancel(attempt.handle, grace_s)

    def forget(self, block: ActiveBlock) -> None:
        """Stop looking after an attempt that has ended."""
        self._unwatched.pop(block.id, None)
