"""What was promised, held against a workspace after a chaotic life. P1 to P8 are numbers of promises."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator

from spellbook_core.engine.active import read_outcome
from spellbook_core.engine.supervise import is_alive
from spellbook_core.errors import SpellbookError
from spellbook_core.model.outcome import Outcome
from spellbook_core.model.run import BlockRun, Status
from spellbook_core.project.metadata import load_pipeline
from spellbook_core.runs.records import RunFilter
from spellbook_core.services import engines, runs
from tests.conftest import wait_until
from tests.engine.chaos import Chaos
from tests.engine.chaos_workspace import DIAMOND, EDITED, KINDS, PROJECT, SECRET

GONE_S = 30.0
"""How long processes that were asked to end may take."""


def broken_promises(life: Chaos) -> list[str]:
    """Return every promise that does not hold now, in words; ends the page and the engine."""
    life.page.end()
    engines.stop(life.ctx)
    return [*_runs_broken(life), *_requests_broken(life), *_files_broken(life), *_processes_left(life)]


def started_anew(life: Chaos) -> int:
    """Return how many blocks were started anew, because what was killed had not begun."""
    begun = _marks(life, "begin")
    found = [each for run_id in life.started for each in runs.block_runs(life.ctx, run_id)]
    return sum(any(not begun[each.id, attempt] for attempt in range(1, each.attempt)) for each in found)


def _marks(life: Chaos, word: str) -> Counter[tuple[int, int]]:
    """Return (block run, attempt) -> how often it marked `word`."""
    path = life.root / "projects/demo/marks"
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return Counter((int(line[2]), int(line[3])) for line in lines if line[0] == word)


def _runs_broken(life: Chaos) -> Iterator[str]:
    """Every acknowledged run is stored and has ended (P1, P2), each block by a legal path, executed once (P3)."""
    begun, ended = _marks(life, "begin"), _marks(life, "end")
    for run_id in life.started:
        try:
            run, block_runs = runs.get(life.ctx, run_id), runs.block_runs(life.ctx, run_id)
        except SpellbookError as error:
            yield f"LOST: run {run_id}: {error}"
            continue
        statuses = {found.key: found.status for found in block_runs}
        counted = {found.status for found in block_runs if found.block_type != "callback"}
        if not run.status.is_terminal or any(not status.is_terminal for status in statuses.values()):
            yield f"run {run_id} is {run.status}: {statuses}"
        if block_runs and (run.status is Status.COMPLETED) != (counted == {Status.COMPLETED}):
            yield f"run {run_id} is {run.status}, its blocks are {statuses}"
        if run.status is Status.FAILED and Status.FAILED not in statuses.values() and run.error is None:
            yield f"run {run_id} failed and no block did"
        for attempt in life.ctx.store.attempts(run_id):
            if attempt.process is not None and is_alive(attempt.process):
                yield f"process {attempt.process.pid} of run {run_id} is alive"
        for each in block_runs:
            yield from (f"{each.key} ({each.id}) of run {run_id}: {what}" for what in _broken(life, each, begun, ended))


def _broken(life: Chaos, each: BlockRun, begun: Counter, ended: Counter) -> Iterator[str]:
    outcomes = [_outcome(life, each, attempt) for attempt in range(1, each.attempt + 1)]
    sealed = [outcome is not None and outcome.error is None for outcome in outcomes]
    if any(begun[each.id, attempt] > 1 for attempt in range(1, each.attempt + 1)):
        yield "DOUBLED: an attempt began twice"
    if any(begun[each.id, attempt] for attempt in range(each.attempt + 1, each.attempt + 3)):
        yield "DOUBLED: an attempt that nobody recorded began"
    if any(sealed[:-1]) and each.block_type != "sensor":
        yield "DOUBLED: it was started again after it had sealed a success"
    if sealed and sealed[-1] and each.status is not Status.COMPLETED and not _is_unmet_sensor(each, outcomes[-1]):
        yield f"LOST: it sealed a success and is {each.status}"
    longest_s = time.monotonic() - life.began
    if each.children is None and each.duration_s is not None and not 0 <= each.duration_s <= longest_s:
        yield f"it took {each.duration_s} s, by a clock that jumped"
    earlier = [found.attempt for found in life.ctx.store.earlier_attempts(each.id) if found.attempt < each.attempt]
    if earlier != list(range(1, each.attempt)):
        yield f"attempt {each.attempt} comes after {earlier}"
    if each.status is Status.FAILED and each.error is None:
        yield "failed without a reason"
    if each.status is Status.COMPLETED:
        last = (each.id, each.attempt)
        if each.attempt and (begun[last], ended[last], sealed[-1]) != (1, 1, True):
            yield f"completed with begin {begun[last]}, end {ended[last]}, sealed {sealed[-1]}"
        if not each.attempt and not each.reused and each.children is None and each.block_type != "callback":
            yield "completed without an attempt"
        for output in each.outputs:
            try:
                life.ctx.artifacts.verify(output.artifact)
            except SpellbookError as error:
                yield f"LOST: {error}"


def _outcome(life: Chaos, each: BlockRun, attempt: int) -> Outcome | None:
    return read_outcome(life.ctx.workspace.attempt_dir(each.run_id, each.id, attempt))


def _is_unmet_sensor(each: BlockRun, outcome: Outcome | None) -> bool:
    return each.block_type == "sensor" and outcome is not None and not outcome.is_met


def _requests_broken(life: Chaos) -> Iterator[str]:
    """A request started one run however often it was sent (P4's kin), and nobody without the token started any (P7)."""
    found = life.ctx.store.runs(RunFilter(), offset=0, limit=100_000).runs
    names = Counter(run.variables["request"] for run in found if "request" in run.variables)
    yield from (f"DOUBLED: request {name} started {count} runs" for name, count in names.items() if count > 1)
    yield from (f"a request was lost: {name}" for name in life.asked)
    if life.done["LET IN"] or any("by" in run.variables for run in found):
        yield "a stranger without the token started a run"


def _files_broken(life: Chaos) -> Iterator[str]:
    """Store and files are whole, the last acknowledged saves are there (P1); nothing was opened, left or told."""
    connection = sqlite3.connect(life.ctx.workspace.database_path)
    if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
        yield "the run store is damaged"
    connection.close()
    if list(life.ctx.workspace.state_dir.glob("*.corrupt-*")):
        yield "the run store was moved aside"
    project = life.ctx.workspace.project(PROJECT)
    if (project.root / "data_loaders/scratch.py").read_text() != life.saved_text:
        yield "LOST: the last acknowledged save of a block is not in its file"
    if load_pipeline(project.pipeline_file(EDITED)).pipeline.description != life.saved_description:
        yield "LOST: the last acknowledged save of a pipeline is not in its file"
    for pipeline in (DIAMOND, KINDS):
        load_pipeline(project.pipeline_file(pipeline))
    if (project.root / "data_loaders/opened").exists():
        yield "code of a pipeline that was only opened was run (P5)"
    if any(path.name == "outside" for path in life.root.parent.iterdir()):
        yield "a file was written outside of the project (P6)"
    for path in life.ctx.workspace.state_dir.rglob("*"):
        if path.is_file() and SECRET.encode() in path.read_bytes():
            yield f"the secret is in {path.relative_to(life.root)} (P8)"


def _processes_left(life: Chaos) -> Iterator[str]:
    try:
        wait_until(lambda: not life.world.processes(), GONE_S)
    except TimeoutError:
        yield f"processes {life.world.processes()} are left"
