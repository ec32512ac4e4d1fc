"""Block runs that wait for another attempt: when each is due, and which files make it due at once."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from spellbook_core.clock import Clock
from spellbook_core.engine.active import ActiveBlock, ActiveRun, Under
from spellbook_core.engine.filewatch import FileWatch
from spellbook_core.engine.postponing import is_sensing
from spellbook_core.engine.sensing import SHORTEST_S, sensor_policy
from spellbook_core.engine.supervise import boot_id
from spellbook_core.engine.timers import Timers
from spellbook_core.model.naming import BlockRunId
from spellbook_core.runs.records import Waiting


class Waits:
    """Knows the waiting blocks of one runner. Holds no process, and a thread only while files are watched."""

    def __init__(self, clock: Clock) -> None:
        """Know of none yet."""
        self._clock = clock
        self._timers = Timers(clock)
        self.files = FileWatch()
        self._waiting: dict[BlockRunId, Under] = {}
        self._looked_at: dict[BlockRunId, float] = {}
        self._touched: set[BlockRunId] = set()
        self._begun: dict[BlockRunId, float] = {}

    def starts(self, run: ActiveRun, block: ActiveBlock) -> None:
        """Watch the files of a sensor whose attempt is about to start, so that no change is missed from then on.

        Nobody asks of any other block how long it has waited.
        """
        if not is_sensing(run, block):
            return
        self._touched.discard(block.id)
        if block.id not in self._begun:
            is_first = block.attempt == 1
            self._begun[block.id] = self._clock.monotonic() - (0.0 if is_first else self.elapsed_s(run, block))
            if is_first and _timeout_s(run, block) is not None:
                _note(_begun_file(run, block), self._begun[block.id])
        self.files.add(block.id, run.project.root, sensor_policy(block.spec.configuration))

    def elapsed_s(self, run: ActiveRun, block: ActiveBlock) -> float:
        """Return the seconds since the first attempt of a block began.

        By the monotonic clock, which the runners of one boot share; after a reboot as the store has it.
        """
        begun = self._begun.get(block.id)
        if begun is None and _timeout_s(run, block) is not None:
            begun = _noted(_begun_file(run, block))
        if begun is not None:
            return max(0.0, self._clock.monotonic() - begun)
        since = block.first_started_at
        return 0.0 if since is None else max(0.0, (self._clock.now() - since).total_seconds())

    def begin(self, run: ActiveRun, block: ActiveBlock, waiting: Waiting) -> None:
        """Have a block wait from now on, after an attempt of it ended."""
        block.retried = waiting.retried
        self._waiting[block.id] = (run, block)
        if waiting.due_at is not None:
            delay_s = (waiting.due_at - self._clock.now()).total_seconds()
            self._timers.arm(block.id, delay_s)
            _note(_due_file(run, block), self._clock.monotonic() + delay_s)
        self._looked_at[block.id] = self._clock.monotonic()
        if block.id in self._touched:
            self._wake(block.id)
        if waiting.forget is not None:
            shutil.rmtree(run.attempt_dir(block, waiting.forget), ignore_errors=True)
            run.folders.pop((block.id, waiting.forget), None)

    def resume(self, run: ActiveRun, block: ActiveBlock) -> None:
        """Have a block wait on that waited for an earlier runner.

        One that watches files is due at once: what changed while no engine watched is not known.
        """
        self._waiting[block.id] = (run, block)
        elapsed_s = self.elapsed_s(run, block)
        self._begun[block.id] = self._clock.monotonic() - elapsed_s
        policy = sensor_policy(block.spec.configuration) if is_sensing(run, block) else None
        if policy is not None:
            self.files.add(block.id, run.project.root, policy)
        is_watching = policy is not None and bool(policy.watch)
        left_s = 0.0 if is_watching else self._left_s(run, block)
        self._timers.arm(block.id, min(left_s, _longest_s(run, block, elapsed_s)))

    def _left_s(self, run: ActiveRun, block: ActiveBlock) -> float:
        """Return the seconds until a block is due: by the monotonic clock, after a reboot by the stored time."""
        if block.due_at is None:
            return 0.0
        due = _noted(_due_file(run, block))
        return due - self._clock.monotonic() if due is not None else (block.due_at - self._clock.now()).total_seconds()

    def end(self, block: ActiveBlock) -> None:
        """Forget a block that has ended."""
        if self._waiting.pop(block.id, None) is not None:
            self._timers.disarm(block.id)
        self._looked_at.pop(block.id, None)
        if self._begun.pop(block.id, None) is not None:
            self.files.drop(block.id)
            self._touched.discard(block.id)

    def next_due_s(self) -> float | None:
        """Return the seconds until the first block is due; None when none waits for a time."""
        return self._timers.next_due_s()

    def due(self) -> list[Under]:
        """Return the blocks that are due; they wait no longer."""
        return [self._waiting.pop(number) for number in self._timers.due()]

    def on_files(self) -> None:
        """Make the sensors due that watch a file which changed."""
        for number in self.files.changed():
            if number in self._waiting:
                self._wake(number)
            else:
                self._touched.add(number)  # it looks right now, and may have looked too early

    def _wake(self, block_run_id: BlockRunId) -> None:
        since_s = self._clock.monotonic() - self._looked_at.get(block_run_id, 0.0)
        self._timers.arm(block_run_id, SHORTEST_S - since_s)

    def close(self) -> None:
        """Let go of the files that are watched."""
        self.files.close()


def _longest_s(run: ActiveRun, block: ActiveBlock, elapsed_s: float) -> float:
    """Return how long a block may wait at most, whatever a wall clock that was put back says."""
    if is_sensing(run, block):
        policy = sensor_policy(block.spec.configuration)
        return policy.interval_s if policy.timeout_s is None else min(policy.interval_s, policy.timeout_s - elapsed_s)
    delays = block.spec.retry.delays()
    return delays[block.retried - 1] if 0 < block.retried <= len(delays) else 0.0


def _timeout_s(run: ActiveRun, block: ActiveBlock) -> float | None:
    return sensor_policy(block.spec.configuration).timeout_s if is_sensing(run, block) else None


def _begun_file(run: ActiveRun, block: ActiveBlock) -> Path:
    """Return the file that says when a sensor which may time out began to look."""
    return run.attempt_dir(block).parent / f"{block.id}.begun"


def _due_file(run: ActiveRun, block: ActiveBlock) -> Path:
    """Return the file that says when a block is due that waits after its newest attempt."""
    return run.attempt_dir(block) / "due"


def _note(file: Path, at: float) -> None:
    with suppress(OSError):  # a full disk: the next runner goes by the wall clock
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text(f"{boot_id()} {at!r}", "ascii")


def _noted(file: Path) -> float | None:
    """Return the monotonic seconds that were noted; None when that was in another boot, or not at all."""
    with suppress(OSError, ValueError):
        boot, at = file.read_text("ascii").split(" ")
        return float(at) if boot == boot_id() else None
    return None
