"""A pipeline's limits are written in mage's keys, refused as the engine refuses them, and can be taken back."""

from __future__ import annotations

import pytest
import yaml

from spellbook_core.model.concurrency import IfRunning
from spellbook_core.model.run import NewRun
from spellbook_core.project.concurrency import BadConcurrencyError, concurrency_of
from spellbook_core.services import pipelines
from spellbook_core.services.pipeline_settings import (
    PipelineSettings,
    restore,
    save_settings,
    settings_of,
    with_priority,
)
from tests.conftest import chain, make_project


@pytest.fixture
def file(tmp_path):
    return make_project(tmp_path, blocks=chain(1)) / "pipelines/main/metadata.yaml"


def write(file, config):
    document = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**document, "concurrency_config": config}, sort_keys=False))


def config_of(file):
    return yaml.safe_load(file.read_text()).get("concurrency_config")


def read(context):
    return settings_of(pipelines.load(context, "demo", "main").pipeline)


def test_limits_are_written_in_the_keys_of_mage(context, file):
    wanted = PipelineSettings(4, 3, 2, IfRunning.SKIP, 10)
    save_settings(context, "demo", "main", wanted)
    assert config_of(file) == {
        "block_run_limit": 4,
        "on_pipeline_run_limit_reached": "skip",
        "pipeline_run_limit": 2,
        "pipeline_run_limit_all_triggers": 3,
        "priority": 10,
    }
    assert read(context) == wanted


@pytest.mark.parametrize("policy", list(IfRunning))
@pytest.mark.parametrize("before", [{}, {"on_pipeline_run_limit_reached": "skip"}, {"if_running": "allow"}])
def test_policy_is_what_the_engine_then_reads(context, file, policy, before):
    write(file, before)
    save_settings(context, "demo", "main", PipelineSettings(if_running=policy))
    assert concurrency_of(yaml.safe_load(file.read_text())).if_running is policy
    assert read(context) == PipelineSettings(if_running=policy)


def test_settings_that_say_nothing_leave_the_file_as_it_is(context, file):
    before = file.read_text()
    save_settings(context, "demo", "main", PipelineSettings())
    assert file.read_text() == before


def test_undo_gives_back_the_very_keys(context, file):
    config = {"if_running": "skip", "block_run_limit": 2, "theirs": [1]}
    write(file, config)
    before = save_settings(context, "demo", "main", PipelineSettings(priority=-5))
    assert config_of(file) == {"theirs": [1], "priority": -5}
    restore(context, "demo", "main", before)
    assert config_of(file) == config


@pytest.mark.parametrize(
    ("wanted", "named"),
    [(PipelineSettings(block_limit=0), "block_run_limit: 0"), (PipelineSettings(priority=101), "priority: 101")],
)
def test_what_the_engine_refuses_is_not_written(context, file, wanted, named):
    before = file.read_text()
    with pytest.raises(BadConcurrencyError, match=named):
        save_settings(context, "demo", "main", wanted)
    assert file.read_text() == before


def test_run_without_a_priority_gets_that_of_its_pipeline(context, file):
    write(file, {"priority": 7})
    assert with_priority(context, NewRun("demo", "main", "manual")).priority == 7
    assert with_priority(context, NewRun("demo", "main", "cli", priority=-3)).priority == -3
    assert with_priority(context, NewRun("demo", "main", "notebook")).priority == 0, "a person waits for it"
    write(file, {"priority": "soon"})
    assert with_priority(context, NewRun("demo", "main", "manual")).priority == 0
