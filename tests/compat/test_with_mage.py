"""Against a real mage-ai 0.9.80: it loads what Spellbook writes, and Spellbook loads and keeps what it writes.

Run by hand with `make test-mage`, which installs mage-ai into an environment of its own and names it here.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from spellbook_core.model.naming import ProjectName
from spellbook_core.model.run import NewRun, Status
from spellbook_core.project.metadata import load_pipeline, render_pipeline, save_pipeline
from spellbook_core.services import blocks, charts, pipelines, projects, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import BlockFile, make_project

PYTHON = os.environ.get("SPELLBOOK_TEST_MAGE", "")
GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "pipelines").glob("*/metadata.yaml"))
pytestmark = pytest.mark.skipif(not PYTHON, reason="names a Python with mage-ai 0.9.80; see make test-mage")


def mage(command: str, repo: Path, *arguments: str):
    script = str(Path(__file__).with_name("with_mage.py"))
    ended = subprocess.run(
        [PYTHON, script, command, str(repo), *arguments], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return json.loads(ended.stdout.splitlines()[-1])


def test_mage_loads_what_the_services_write(context):
    project = projects.create_project(context, "Our project")
    root = context.workspace.project(project).root
    uuid = pipelines.create(context, project, "타이타닉 study", description='the whole: "quoted", 010')
    at = (context, project, uuid)
    blocks.add_block(*at, block_type="data_loader", name="Load 데이터")
    blocks.add_block(*at, block_type="transformer", name="api/clean", parents=["load_데이터"])
    blocks.add_block(*at, block_type="custom", name="train", parents=["api/clean", "load_데이터"])
    blocks.add_block(*at, block_type="data_exporter", name="export", parents=["train"])
    blocks.set_variables(*at, {"rows": 3, "day": "2024-01-01", "flag": True, "names": ["a"], "text": "010"})
    settings = {"chart_type": "bar chart", "group_by": ["g"], "metrics": [{"aggregation": "sum", "column": "v"}]}
    charts.add(*at, parent="load_데이터", name="by group", settings=settings)
    path = context.workspace.project(project).pipeline_file(uuid)
    path.write_text(path.read_text().replace("has_callback: false", "has_callback: true"))
    (root / "callbacks").mkdir(exist_ok=True)
    (root / "callbacks" / "train_callback.py").write_text("# called\n")
    blocks.rename(*at, "train", "train model")
    blocks.set_parents(*at, "export", ["train_model", "api/clean"])
    found = mage("read", root, uuid)
    ours = pipelines.load(context, project, uuid).pipeline
    assert (found["name"], found["uuid"], found["description"]) == (ours.name, uuid, ours.description)
    assert found["variables"] == dict(ours.variables)
    assert list(found["blocks"]) == [block.uuid for block in ours.blocks]
    children = ours.children()
    for block in ours.blocks:
        seen = found["blocks"][block.uuid]
        assert seen["upstream"] == list(block.upstream_blocks)
        assert sorted(seen["downstream"]) == sorted(children[block.uuid])
        assert seen["content"] == blocks.source(*at, block.uuid).text
    assert {name: seen["called"] for name, seen in found["blocks"].items()} == {
        **dict.fromkeys(found["blocks"], ""),
        "train_model": "# called\n",
    }
    assert found["widgets"] == {"by_group": settings}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_mage_loads_an_old_file_after_our_edit(path, tmp_path):
    make_project(tmp_path, pipeline=path.parent.name)
    target = tmp_path / "projects" / "demo" / "pipelines" / path.parent.name / "metadata.yaml"
    target.write_bytes(path.read_bytes())
    file = load_pipeline(target)

    save_pipeline(file, replace(file.pipeline, description="edited 편집"), expected_hash=file.content_hash)
    found = mage("read", tmp_path / "projects" / "demo", path.parent.name)
    assert found["description"] == "edited 편집"
    assert list(found["blocks"]) == [block.uuid for block in file.pipeline.blocks]
    for block in file.pipeline.blocks:
        assert found["blocks"][block.uuid]["upstream"] == [p for p in block.upstream_blocks if file.pipeline.has(p)]


def test_settings_survive_a_save_of_mage_but_for_keys_that_it_does_not_know(tmp_path):
    own = {"cache": "always", "memory_limit": "1GB", "env": {"A": "1"}, "poll_interval": 5, "if_missing": [1]}
    settings = {"configuration": own, "timeout": 30, "retry_config": {"retries": 2}, "zz_unknown": 3}
    load = BlockFile("@data_loader\ndef load():\n    return 1\n", "data_loader", settings=settings)
    project = make_project(tmp_path, blocks={"load": load}, variables={"rows": 1})
    path = project / "pipelines" / "main" / "metadata.yaml"
    kept = {
        "executor_config": {"env": {"B": "2"}},
        "concurrency_config": {"if_running": "allow", "block_run_limit": 2},
        "retry_config": {"retries": 1},
    }
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **kept, "spellbook": {"environment": {}}}))
    mage("save", project, "main")
    after = yaml.safe_load(path.read_text())
    assert after["variables"] == {"rows": 1, "by_mage": 1}
    assert {key: after[key] for key in kept} == kept
    (block,) = after["blocks"]
    assert {key: block[key] for key in settings if key in block} == {k: settings[k] for k in list(settings)[:3]}
    assert "spellbook" not in after  # as the page on environments says: name it in the project, where mage is used too


def test_what_mage_writes_is_loaded_kept_and_run(tmp_path):
    repo = tmp_path / "mages"
    uuid = mage("make", repo)["uuid"]
    ctx = open_context(repo)
    try:
        project = ProjectName("mages")
        file = pipelines.load(ctx, project, uuid)
        assert file.warnings == ()
        assert render_pipeline(file.document, file.pipeline, text=file.text, old=file.pipeline) == file.text
        edited = render_pipeline(file.document, _described(file.pipeline), text=file.text, old=file.pipeline)
        changed = set(edited.splitlines()) ^ set(file.text.splitlines())
        assert {line.split(":")[0] for line in changed} == {"description"}
        pipeline = file.pipeline
        assert [block.uuid for block in pipeline.blocks] == ["load_타이타닉", "api/clean", "export"]
        assert pipeline.block("export").upstream_blocks == ("api/clean",)
        assert dict(pipeline.variables) == {"rows": 3, "day": "2024-01-01"}
        assert charts.of_block(pipeline, "load_타이타닉")[0].configuration["chart_type"] == "histogram"
        assert [(add_on.uuid, add_on.upstream_blocks) for add_on in pipeline.callbacks] == [("told", ("api/clean",))]
        assert [add_on.uuid for add_on in pipeline.conditionals] == ["guard"]
        errors = [each for each in pipelines.validate(ctx, project, uuid) if each.severity == "error"]
        assert errors == []
        loader = blocks.source(ctx, project, uuid, "load_타이타닉")
        text = (
            "import pandas as pd\n@data_loader\ndef load(*args, **kwargs):\n    return pd.DataFrame({'age': [1, 2]})\n"
        )
        blocks.save_source(ctx, project, uuid, "load_타이타닉", text, expected_hash=loader.content_hash)
        run = runs.run_here(ctx, NewRun(project, uuid, "cli"), lambda event: None)
        found = {each.block: each for each in runs.block_runs(ctx, run.id)}
        assert found["load_타이타닉"].status is Status.COMPLETED, found["load_타이타닉"].error
    finally:
        ctx.close()


def test_our_project_of_blocks_loads_in_mage(tmp_path):
    make_project(
        tmp_path,
        blocks={
            "a": BlockFile("@data_loader\ndef f():\n    return 1\n", "data_loader"),
            "double": BlockFile("@transformer\ndef f(x, **kwargs):\n    return x * 2\n", parents=("a",)),
            "again": BlockFile("", parents=("double",), settings={"replicated_block": "double"}),
        },
    )
    found = mage("read", tmp_path / "projects" / "demo", "main")
    assert found["blocks"]["again"]["replicated"] == "double"


def _described(pipeline):

    return replace(pipeline, description="other")
