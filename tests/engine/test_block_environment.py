"""Environment variables of a pipeline and of a block: in the block's process, nowhere else, and part of what it is."""

from __future__ import annotations

import yaml

from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.model.run import NewRun, Status
from spellbook_core.services import pipelines, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import BlockFile, make_project

SOURCE = """
@transformer
def show(*args, **kwargs):
    import os

    return f"{os.environ['STAGE']} {os.environ['SIZE']}"
"""
PLACE = ProjectName("demo"), PipelineUuid("main")


def test_blocks_environment_lies_over_the_pipelines(tmp_path):
    own = {"configuration": {"env": {"SIZE": "large"}}}
    blocks = {"plain": BlockFile(SOURCE, "transformer"), "special": BlockFile(SOURCE, "transformer", settings=own)}
    file = make_project(tmp_path, blocks=blocks) / "pipelines/main/metadata.yaml"
    document = yaml.safe_load(file.read_text())
    document["executor_config"] = {"env": {"STAGE": "test", "SIZE": "small"}, "other": 1}
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    ctx = open_context(tmp_path)

    def ran() -> dict[str, tuple[str, bool]]:
        run = runs.run_here(ctx, NewRun(*PLACE, "cli"), lambda event: None)
        found = runs.block_runs(ctx, run.id)
        assert run.status is Status.COMPLETED, [one.error for one in found]
        return {one.block: (one.outputs[0].summary, one.reused) for one in found}

    assert ran() == {"plain": ("'test small'", False), "special": ("'test large'", False)}
    assert ran() == {"plain": ("'test small'", True), "special": ("'test large'", True)}
    document["executor_config"]["env"]["SIZE"] = "tiny"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    stale = runs.staleness(ctx, *PLACE)
    assert {name: state.reasons for name, state in stale.items()} == {
        "plain": ("its configuration changed",),
        "special": (),
    }
    assert ran() == {"plain": ("'test tiny'", False), "special": ("'test large'", True)}
    kept = pipelines.load(ctx, *PLACE).document["executor_config"]
    assert kept == {"env": {"STAGE": "test", "SIZE": "tiny"}, "other": 1}
    ctx.close()
