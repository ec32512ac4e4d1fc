"""Runs, kills and edits at random moments on one real workspace; then everything that was promised is checked.

The same seed makes the same acts with the same pauses. What a block executed is counted outside the product: each one
appends a line to a file when it begins and when it ends.
"""

from __future__ import annotations

import os
import random
import select
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from spellbook_core.engine.active import read_outcome
from spellbook_core.engine.leader import read_info
from spellbook_core.engine.supervise import identity, is_alive
from spellbook_core.errors import ChangedOnDiskError, SpellbookError
from spellbook_core.model.naming import BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.run import NewRun, Selection, Status
from spellbook_core.project.metadata import load_pipeline
from spellbook_core.runs.records import ProcessIdentity
from spellbook_core.services import blocks, engines, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import BlockFile, make_project, wait_until

SETTLE_S = 15.0
"""How long after the last kill a state may be wrong (the promise), and what is under way may take to end."""

VICTIM_S = 1.0
"""How long a block's process is waited for that can be killed."""

UNENDED_RUNS = 4
PROJECT, PIPELINE = ProjectName("demo"), PipelineUuid("main")

BODY = """
import os, pathlib, time
from spellbook_core import current_run

def mark(word):
    now = current_run()
    line = f"{{word}} {{now.run_id}} {{now.block_run_id}} {{now.attempt}}\\n"
    path = pathlib.Path(__file__).parents[1] / "marks"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, line.encode())
    os.close(handle)

@{kind}
def work(*args, **kwargs):
    mark("begin")
    time.sleep({seconds})
    mark("end")
    return {{"from": args, "bytes": "x" * 20_000}}
"""
SCRATCH = "@data_loader\ndef scratch(*args, **kwargs):\n    return {number}\n"


def make_workspace(root: Path) -> None:
    """Write a project whose pipeline loads, fans out to two blocks and joins; and one that is only edited."""

    def body(kind: str, seconds: float, *parents: str) -> BlockFile:
        return BlockFile(BODY.format(kind=kind, seconds=seconds), kind, parents)

    graph = {
        "load": body("data_loader", 0.05),
        "left": body("transformer", 0.15, "load"),
        "right": body("transformer", 0.1, "load"),
        "join": body("data_exporter", 0.05, "left", "right"),
    }
    make_project(root, blocks={"scratch": SCRATCH.format(number=0)}, pipeline="edited")
    make_project(root, blocks=graph, pipeline="main")


@dataclass
class Chaos:
    """One chaotic life of a workspace.

    Attributes:
        acts: What was done, in order, for whoever replays it.
        kills: How many processes were killed.
        started: Runs that were acknowledged.
    """

    root: Path
    seed: int
    acts: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    started: list[RunId] = field(default_factory=list)

    def __post_init__(self) -> None:
        make_workspace(self.root)
        self.random = random.Random(self.seed)
        self.ctx = open_context(self.root)
        self._clients = [self._text() for _ in range(2)]
        self._saved = self._clients[0][0]
        self._number = 0

    def live(self, *, until: Callable[[Chaos], bool]) -> None:
        """Act at random moments until told; edits and cancels in between are part of it."""
        weights = {self.start: 4, self.kill_worker: 9, self.kill_zygote: 1, self.kill_engine: 1, self.edit: 2}
        while not until(self):
            self.ensure_work()
            act = self.random.choices([*weights, self.cancel], [*weights.values(), 1])[0]
            self.acts.append(act.__name__)
            act()
            select.select([], [], [], self.random.uniform(0.0, 0.12))  # a random moment, not a wait

    def ensure_work(self) -> None:
        """Keep at least two runs under way; whoever asks for one starts the engine when none leads."""
        while len(self._unended()) < 2:
            self.start()

    def start(self) -> None:
        """Start a run, as the page does."""
        if len(self._unended()) >= UNENDED_RUNS:
            return
        new = NewRun(PROJECT, PIPELINE, "manual", Selection(is_fresh=True))
        with suppress(SpellbookError, OSError):  # the engine was killed while it was asked: nothing was acknowledged
            self.started.append(runs.start(self.ctx, new).id)

    def kill_worker(self) -> None:
        """Kill a block's process, wherever it is: beginning, in user code, writing, sealing, leaving."""
        with suppress(TimeoutError):
            wait_until(self._workers, VICTIM_S)
        select.select([], [], [], self.random.uniform(0.0, 0.1))
        alive = self._workers()
        if alive:
            self._kill("worker", self.random.choice(alive).pid)

    def _workers(self) -> list[ProcessIdentity]:
        found = [a.process for run in self._unended() for a in self.ctx.store.attempts(run) if a.process is not None]
        return [process for process in found if is_alive(process)]

    def kill_zygote(self) -> None:
        """Kill the process that forks the blocks."""
        for process in self._workers():
            parent = _parent(process.pid)
            if parent is not None and "worker.zygote" in _command(parent):
                self._kill("zygote", parent)
                return

    def kill_engine(self) -> None:
        """Kill the engine; the next one who needs it starts another."""
        info = read_info(self.ctx.workspace)
        if info is not None and "engine_process" in _command(info.pid):
            self._kill("engine", info.pid)
            if self.random.random() < 0.5:
                engines.ensure(self.ctx)

    def cancel(self) -> None:
        """Cancel a run."""
        unended = self._unended()
        if unended:
            runs.cancel(self.ctx, self.random.choice(unended))

    def edit(self) -> None:
        """Save a block as one of two clients, each of which knows only what it read last."""
        at = self.random.randrange(2)
        self._number += 1
        text = SCRATCH.format(number=self._number)
        try:
            blocks.save_source(
                self.ctx,
                PROJECT,
                PipelineUuid("edited"),
                BlockUuid("scratch"),
                text,
                expected_hash=self._clients[at][1],
            )
            self._saved = text
        except ChangedOnDiskError:
            pass
        self._clients[at] = self._text()

    def _text(self) -> tuple[str, str]:
        found = blocks.source(self.ctx, PROJECT, PipelineUuid("edited"), BlockUuid("scratch"))
        return found.text, found.content_hash

    def _unended(self) -> list[RunId]:
        return [found.id for found in self.ctx.store.unended_runs()]

    def _kill(self, what: str, pid: int) -> None:
        process = identity(pid)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.kills[what] += 1
        if process is not None and what != "worker":
            wait_until(lambda: not is_alive(process), what=f"the {what} is dead")

    # -- what was promised ----------------------------------------------------------------------------------------

    def settle(self) -> float:
        """Stop killing, start the engine anew and wait until every run has ended; return how long that took."""
        engines.stop(self.ctx)
        began = time.monotonic()
        engines.ensure(self.ctx)
        wait_until(lambda: not self._unended(), SETTLE_S, what=f"runs {self._unended()} end")
        return time.monotonic() - began

    def broken_promises(self) -> list[str]:
        """Return every promise that does not hold now, in words; the workspace is at rest."""
        engines.stop(self.ctx)
        found = [*self._runs_broken(), *self._files_broken()]
        return found

    def _runs_broken(self) -> Iterator[str]:
        begun, ended = self.marks("begin"), self.marks("end")
        for run_id in self.started:
            run, block_runs = runs.get(self.ctx, run_id), runs.block_runs(self.ctx, run_id)
            statuses = {found.block: found.status for found in block_runs}
            if not run.status.is_terminal or any(not status.is_terminal for status in statuses.values()):
                yield f"run {run_id} is {run.status}: {statuses}"
            if (run.status is Status.COMPLETED) != (set(statuses.values()) == {Status.COMPLETED}):
                yield f"run {run_id} is {run.status}, its blocks are {statuses}"
            if run.status is Status.FAILED and Status.FAILED not in statuses.values():
                yield f"run {run_id} failed and no block did"
            for attempt in self.ctx.store.attempts(run_id):
                if attempt.process is not None and is_alive(attempt.process):
                    yield f"process {attempt.process.pid} of run {run_id} is alive"
            for block_run in block_runs:
                yield from self._block_run_broken(block_run, begun[block_run.id], ended[block_run.id])

    def _block_run_broken(self, block_run, begun: int, ended: int) -> Iterator[str]:
        name = f"{block_run.block} ({block_run.id}) of run {block_run.run_id}"
        outcome = read_outcome(runs.attempt_dir(self.ctx, block_run)) if block_run.attempt else None
        is_sealed = outcome is not None and outcome.error is None
        if begun > 1:
            yield f"DOUBLED: {name} began {begun} times"
        if is_sealed and block_run.status is not Status.COMPLETED:
            yield f"LOST: {name} sealed a success and is {block_run.status}"
        if block_run.status is Status.COMPLETED:
            if (begun, ended, is_sealed) != (1, 1, True):
                yield f"{name} completed with begin {begun}, end {ended}, sealed {is_sealed}"
            for output in block_run.outputs:
                try:
                    self.ctx.artifacts.verify(output.artifact)
                except SpellbookError as error:
                    yield f"LOST: {name}: {error}"
        if block_run.status is Status.FAILED and block_run.error is None:
            yield f"{name} failed without a reason"

    def _files_broken(self) -> Iterator[str]:
        connection = sqlite3.connect(self.ctx.workspace.database_path)
        if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            yield "the run store is damaged"
        connection.close()
        if list(self.ctx.workspace.state_dir.glob("*.corrupt-*")):
            yield "the run store was moved aside"
        if self._text()[0] != self._saved:
            yield "the last acknowledged save is not in the file"
        for name in ("main", "edited"):
            load_pipeline(self.ctx.workspace.project(PROJECT).pipeline_file(PipelineUuid(name)))

    def started_anew(self) -> int:
        """Return how many blocks were started anew, because what was killed had not begun."""
        found = [each for run_id in self.started for each in runs.block_runs(self.ctx, run_id)]
        return sum(each.attempt > 1 for each in found)

    def marks(self, word: str) -> Counter[int]:
        """Return block run -> how often it marked `word`."""
        path = self.root / "projects/demo/marks"
        lines = path.read_text().splitlines() if path.exists() else []
        return Counter(int(line.split()[2]) for line in lines if line.startswith(word))

    def close(self) -> None:
        """End the engine."""
        engines.stop(self.ctx)
        self.ctx.close()


@contextmanager
def chaos(root: Path, seed: int) -> Iterator[Chaos]:
    """Yield a life of a workspace in `root`, ended afterwards."""
    made = Chaos(root, seed)
    try:
        yield made
    finally:
        made.close()


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return None


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""
