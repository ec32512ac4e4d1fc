"""F27: a workspace may lie anywhere, and be moved."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spellbook_core.engine.solo import run_alone
from spellbook_core.executors.inline import InlineExecutor
from spellbook_core.model.run import NewRun, Status
from spellbook_core.services import retries, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import LOADER, PASS_ON, make_project

pytestmark = pytest.mark.guarantee("F27")

SPELLBOOK = Path(sys.executable).with_name("spellbook")
PLACES = ["프로젝트 ✨ a b", "with 'quotes' $(id) & ;", "x" * 200, "-rf", "ünïcode/deep er/and deeper"]


def run_in(ctx, new):
    executor = InlineExecutor()
    try:
        return run_alone(ctx.workspace, ctx.store, executor, ctx.clock, ctx.settings, new, lambda event: None)
    finally:
        executor.close()
        ctx.close()


@pytest.mark.parametrize("place", PLACES)
def test_pipeline_runs_wherever_the_workspace_lies(tmp_path, place):
    make_project(tmp_path / place, blocks={"load": LOADER, "more": PASS_ON})
    ended = subprocess.run(
        [SPELLBOOK, "run", "demo", "main"],
        cwd=tmp_path / place,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_linked_workspace_is_the_same_one(tmp_path):
    make_project(tmp_path / "real", blocks={"load": LOADER})
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert run_in(open_context(tmp_path / "link"), NewRun("demo", "main", "manual")).status is Status.COMPLETED
    assert runs.list_runs(open_context(tmp_path / "real")).total == 1


def test_moved_workspace_keeps_its_history_and_can_go_on(tmp_path):
    project = make_project(
        tmp_path / "before", blocks={"load": LOADER, "more": PASS_ON.replace("return data", "print('on'); 1 / 0")}
    )
    first = run_in(open_context(project.parents[1]), NewRun("demo", "main", "manual"))
    assert first.status is Status.FAILED
    moved = tmp_path / "다른 곳"
    (tmp_path / "before").rename(moved)
    ctx = open_context(moved)
    load, more = runs.block_runs(ctx, first.id)
    assert [line.text for line in runs.log(ctx, more).lines] == ["on"]
    assert ctx.artifacts.get(load.outputs[0].artifact) == 1
    (moved / "projects/demo/transformers/more.py").write_text(PASS_ON)
    again = run_in(ctx, retries.repeat_of(ctx, first.id))
    assert again.status is Status.COMPLETED
    assert [found.reused for found in runs.block_runs(ctx, again.id)] == [True, False]
