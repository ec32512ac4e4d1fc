"""F47 to F51: any name works or is refused with a better one, links stay whole, and what cannot run says so first."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from spellbook_core.engine.solo import run_alone
from spellbook_core.errors import AlreadyExistsError, BadNameError
from spellbook_core.executors.inline import InlineExecutor
from spellbook_core.model.run import NewRun, Status
from spellbook_core.services import blocks, pipelines, runs
from tests.conftest import LOADER, PASS_ON, BlockFile, make_project

SPELLBOOK = Path(sys.executable).with_name("spellbook")
NAMES = [
    "한글",
    "数据 加载",
    "данные",
    "تحميل البيانات",
    "δεδομένα",
    "naïve façade",
    "Ünïcödé",
    "İstanbul",
    "straße",
    "load 🚀 data",
    "2026 numbers",
    "x" * 200,
    "A-b.c",
    "tab\tand space",
    "  spaced  ",
    "UPPER",
    "__init__x",
    "class",
    "select",
    "e\u0301tude",
]
DEVICES = ["con", "NUL", "com1"]


def run(ctx, pipeline="main"):
    executor = InlineExecutor()
    try:
        new = NewRun("demo", pipeline, "manual")
        return run_alone(ctx.workspace, ctx.store, executor, ctx.clock, ctx.settings, new, lambda event: None)
    finally:
        executor.close()


def add(ctx, name, *parents, pipeline="main", block_type="custom"):
    source = LOADER.replace("data_loader", block_type)
    return blocks.add_block(ctx, "demo", pipeline, block_type=block_type, name=name, text=source, parents=parents)


def command(root: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run([SPELLBOOK, *arguments], cwd=root, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.guarantee("F47")
def test_names_in_any_script_are_made_run_renamed_and_removed(tmp_path, context):
    make_project(tmp_path, blocks={})
    made = {name: add(context, name) for name in NAMES}
    assert len({block.uuid for block in made.values()}) == len(NAMES)
    loaded = pipelines.load(context, "demo", "main").pipeline
    assert {block.uuid for block in loaded.blocks} == {block.uuid for block in made.values()}
    ended = run(context)
    assert ended.status is Status.COMPLETED
    assert {found.block for found in runs.block_runs(context, ended.id)} == {block.uuid for block in made.values()}
    for number, block in enumerate(made.values()):
        new = blocks.rename(context, "demo", "main", block.uuid, f"이름 {number} é")
        blocks.remove(context, "demo", "main", new, delete_file=True)
    assert pipelines.load(context, "demo", "main").pipeline.blocks == ()
    assert list((tmp_path / "projects" / "demo" / "custom").glob("*.py")) == []


@pytest.mark.guarantee("F47")
@pytest.mark.parametrize("other", ["UPPER", "upper", unicodedata.normalize("NFD", "한글"), "한글"])
def test_names_that_a_disk_confuses_are_one_name(tmp_path, context, other):
    make_project(tmp_path, blocks={})
    add(context, "한글")
    add(context, "Upper")
    with pytest.raises(AlreadyExistsError, match="already"):
        add(context, other)


@pytest.mark.guarantee("F47")
@pytest.mark.parametrize("name", DEVICES)
def test_names_of_devices_are_refused(tmp_path, context, name):
    make_project(tmp_path, blocks={})
    with pytest.raises(BadNameError, match="Windows keeps that name"):
        add(context, name)


@pytest.mark.guarantee("F48")
def test_pipelines_that_share_a_renamed_block_both_run(tmp_path, context):
    make_project(tmp_path, blocks={"load": LOADER, "more": PASS_ON})
    make_project(tmp_path, blocks={"load": LOADER, "other": PASS_ON}, pipeline="second")
    with pytest.raises(AlreadyExistsError, match="already"):
        add(context, "load", block_type="data_loader")
    assert blocks.rename(context, "demo", "main", "load", "read") == "read"
    for pipeline in ("main", "second"):
        ended = run(context, pipeline)
        assert ended.status is Status.COMPLETED
        assert "read" in {found.block for found in runs.block_runs(context, ended.id)}


@pytest.mark.guarantee("F49")
def test_cycle_is_named_with_its_path_wherever_it_is_met(tmp_path, context):
    one = BlockFile(PASS_ON, "transformer", ("b",))
    two = BlockFile(PASS_ON, "transformer", ("a",))
    make_project(tmp_path, blocks={"a": one, "b": two})
    for arguments in (("validate", "projects/demo", "main"), ("run", "projects/demo", "main")):
        status, printed = command(tmp_path, *arguments)
        assert (status, "a → b → a" in printed) == (2, True), printed


@pytest.mark.guarantee("F50")
def test_each_problem_is_named_before_anything_runs(tmp_path, context):
    project = make_project(tmp_path, blocks={"load": LOADER, "more": PASS_ON, "last": PASS_ON})
    (project / "transformers" / "more.py").unlink()
    file = project / "pipelines" / "main" / "metadata.yaml"
    file.write_text(file.read_text().replace("upstream_blocks:\n  - more\n", "upstream_blocks:\n  - nowhere\n"))
    status, printed = command(tmp_path, "validate", "projects/demo", "main", "--json")
    findings = json.loads(printed)["pipelines"][0]["findings"]
    problems = [(found["severity"], found["block"], found["message"]) for found in findings]
    assert status == 2
    assert ("error", "more", "The file of block 'more' is not there: transformers/more.py.") in problems
    unknown = "Block 'last' has the parent 'nowhere', which is not in the pipeline: no link."
    assert ("warning", "last", unknown) in problems  # mage leaves such a link out, and runs
    status, printed = command(tmp_path, "run", "projects/demo", "main")
    assert (status, "transformers/more.py" in printed) == (2, True), printed
    assert runs.list_runs(context).total == 0
