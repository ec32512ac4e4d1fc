"""F16: another branch is checked out, or a merge leaves its marks, while a workspace is open."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from spellbook_core.engine.solo import run_alone
from spellbook_core.errors import SpellbookError
from spellbook_core.executors.inline import InlineExecutor
from spellbook_core.model.run import NewRun, Status
from spellbook_core.services import pipelines, runs
from tests.conftest import LOADER, PASS_ON, make_project

pytestmark = [pytest.mark.guarantee("F16"), pytest.mark.skipif(not shutil.which("git"), reason="needs git")]


def git(folder, *arguments):
    named = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=one")
    subprocess.run(["git", *named, *arguments], cwd=folder, check=True, capture_output=True)


def block_names(context):
    return [block.uuid for block in pipelines.load(context, "demo", "main").pipeline.blocks]


@pytest.fixture
def project(tmp_path):
    made = make_project(tmp_path, blocks={"load": LOADER})
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one block")
    git(tmp_path, "checkout", "-b", "two")
    make_project(tmp_path, blocks={"load": LOADER, "more": PASS_ON})
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "two blocks")
    return made


def test_graph_follows_the_branch(context, tmp_path, project):
    assert block_names(context) == ["load", "more"]
    git(tmp_path, "checkout", "one")
    assert block_names(context) == ["load"]
    git(tmp_path, "checkout", "two")
    assert block_names(context) == ["load", "more"]


def test_merge_marks_in_a_pipeline_are_named_with_their_line(context, project):
    path = project / "pipelines/main/metadata.yaml"
    path.write_text("<<<<<<< HEAD\n" + path.read_text() + "=======\n>>>>>>> two\n")
    with pytest.raises(SpellbookError) as told:
        pipelines.load(context, "demo", "main")
    assert told.value.code.startswith("SB-PRJ")
    assert "metadata.yaml" in told.value.message
    assert "line" in {**told.value.facts} or ":1" in told.value.message
    (listed,) = pipelines.list_pipelines(context, "demo")
    assert listed.problem, "the list shows it and goes on"


def test_merge_marks_in_a_block_fail_that_block_with_its_line(context, project, clock, settings):
    path = project / "transformers/more.py"
    path.write_text(path.read_text() + "<<<<<<< HEAD\n=======\n>>>>>>> two\n")
    executor = InlineExecutor()
    told = (context.workspace, context.store, executor, clock, settings, NewRun("demo", "main", "manual"))
    run = run_alone(*told, lambda event: None)
    executor.close()
    load, more = runs.block_runs(context, run.id)
    assert (load.status, more.status) == (Status.COMPLETED, Status.FAILED)
    assert more.error.line == len(PASS_ON.splitlines()) + 1
