"""Housekeeping as processes see it: the command, the idle engine, and a kill at every step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spellbook_core.artifacts import sweep
from spellbook_core.model.run import NewRun, Status
from spellbook_core.runs.records import BlockEnd, BlockSpec, NewBlockRun
from spellbook_core.services import clean_up_process, housekeeping
from spellbook_core.services.wiring import open_context
from tests.conftest import FrozenClock, chain, make_project, wait_until

SPELLBOOK = str(Path(sys.executable).with_name("spellbook"))
KILLED = """
import os, sys
left = int(sys.argv[2])
watched = {"os.rename", "shutil.rmtree", "os.remove", "os.rmdir", "sqlite3.connect"}

def count(event, arguments):
    global left
    if event in watched:
        left -= 1
        if left == 0:
            os._exit(9)

from pathlib import Path
from spellbook_core.services import housekeeping
from spellbook_core.services.wiring import open_context
ctx = open_context(Path(sys.argv[1]))
sys.addaudithook(count)
housekeeping.clean(ctx)
"""


def fill(root: Path, *, old: int) -> None:
    """Store `old` runs of 100 days ago and one of today, each with its own output."""
    ctx = open_context(root)
    for number in range(old + 1):
        at = datetime.now(UTC) - timedelta(days=100 if number < old else 0)
        output = ctx.artifacts.put(f"value {number}" * 100)
        if number < old:
            folder = ctx.artifacts.folder(output.artifact)
            for path in [*folder.iterdir(), folder]:
                os.utime(path, (at.timestamp(), at.timestamp()))
        run = ctx.store.create_run(NewRun("demo", "main", "manual"), now=at)
        planned = NewBlockRun("b0", "data_loader", "", "", "h", BlockSpec())
        (block_run,) = ctx.store.begin_run(run.id, [planned], now=at)
        attempt = ctx.store.start_attempt(block_run, now=at)
        folder = ctx.workspace.attempt_dir(run.id, block_run, attempt)
        folder.mkdir(parents=True)
        (folder / "log.jsonl").write_text("x" * 1000)
        ctx.store.end_block(block_run, BlockEnd(Status.COMPLETED, at, outputs=(output,)))
        ctx.store.end_run(run.id, Status.COMPLETED, None, now=at)
    ctx.close()


@pytest.fixture
def root(tmp_path):
    make_project(tmp_path, blocks=chain(1))
    return tmp_path


@pytest.mark.guarantee("F53")
def test_gc_tells_first_and_removes_then(root):
    fill(root, old=3)

    def gc(*options: str) -> dict[str, object]:
        done = subprocess.run([SPELLBOOK, "gc", "--json", *options], cwd=root, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    told = gc("--dry-run")
    assert not told["is_done"]
    assert told["removed"]["runs"]["count"] == told["removed"]["outputs"]["count"] == 3
    done = gc()
    assert done["is_done"]
    assert (done["removed"], done["frees_bytes"]) == (told["removed"], told["frees_bytes"])
    assert gc()["frees_bytes"] == 0
    fill(root, old=4)
    assert gc("--dry-run", "--keep", "2", "--older", "101d")["removed"]["runs"]["count"] == 3
    assert gc("--dry-run", "--older", "101d")["removed"]["runs"]["count"] == 0
    wrong = subprocess.run([SPELLBOOK, "gc", "--older", "soon"], cwd=root, capture_output=True, text=True, check=False)
    assert (wrong.returncode, "30d" in wrong.stderr) == (2, True)
    gc()
    people = subprocess.run([SPELLBOOK, "gc", "--dry-run"], cwd=root, capture_output=True, text=True, check=True)
    assert "Would free 0 B of" in people.stdout


def test_clean_up_killed_at_any_step_is_finished_by_the_next(root):
    fill(root, old=2)
    ends = []
    for step in range(1, 14):
        ends.append(subprocess.run([sys.executable, "-c", KILLED, str(root), str(step)], check=False).returncode)
        fill(root, old=1)
    assert ends.count(9) >= 10, "it was killed at several steps"
    ctx = open_context(root)
    housekeeping.clean(ctx)
    newest = ctx.store.latest_outputs("demo", "main")["b0"].outputs
    assert all(ctx.artifacts.has(output.artifact) for output in newest)
    runs = {int(path.name) for path in ctx.workspace.runs_dir.iterdir()}
    assert runs == ctx.store.upkeep.known_runs()
    needed = {digest for holder in ctx.store.upkeep.holders() for digest in holder.digests}
    assert needed <= set(sweep.stored(ctx.workspace.artifacts_dir))
    assert not list((ctx.workspace.artifacts_dir / "tmp").iterdir())
    ctx.close()


def test_idle_engine_cleans_up_once_a_day(root):
    fill(root, old=2)
    ctx = open_context(root)
    ctx.clock = FrozenClock(datetime.now(UTC))
    clean_ups = clean_up_process.CleanUps(ctx)
    try:
        clean_ups.on_beat(0)
        assert housekeeping.last_clean_up(ctx) is None, "it has not been idle for long"
        ctx.clock.advance(clean_up_process.FIRST_AFTER_S + 1)
        clean_ups.on_beat(0)
        wait_until(lambda: housekeeping.last_clean_up(ctx), what="the clean-up")
        assert len(ctx.store.upkeep.known_runs()) == 1
        assert not clean_ups.is_due()
        ctx.clock.advance(86_400)
        assert clean_ups.is_due()
        ctx.settings = replace(ctx.settings, clean_up_hours=0.0)
        assert not clean_ups.is_due()
    finally:
        clean_ups.stop()
        ctx.close()
