"""A block's settings are written in mage's keys, and nothing else of the file changes."""

from __future__ import annotations

import pytest
import yaml

from spellbook_core.engine.sensing import BadSensorSettingError
from spellbook_core.model.retry import BadRetryConfigError, RetryPolicy
from spellbook_core.services import pipelines
from spellbook_core.services.block_settings import (
    BlockSettings,
    ProcessSettings,
    inherited_retries,
    save_settings,
    settings_of,
)
from tests.conftest import BlockFile, make_project


@pytest.fixture
def project(tmp_path):
    look = {"configuration": {"file_source": {"path": "sensors/look.py"}, "poll_interval": 5}, "color": "teal"}
    blocks = {
        "load": BlockFile("", "data_loader", settings={"timeout": "180"}),
        "look": BlockFile("", "sensor", settings=look),
    }
    return make_project(tmp_path, blocks=blocks)


def entry(project, uuid):
    document = yaml.safe_load((project / "pipelines/main/metadata.yaml").read_text())
    return next(block for block in document["blocks"] if block["uuid"] == uuid)


def test_settings_are_written_in_the_keys_of_mage(context, project):
    wanted = BlockSettings({"retries": 3, "delay": 5, "exponential_backoff": False}, 30.0)
    save_settings(context, "demo", "main", "load", wanted)
    found = entry(project, "load")
    assert found["retry_config"] == {"retries": 3, "delay": 5, "exponential_backoff": False}
    assert found["timeout"] == 30
    assert settings_of(pipelines.load(context, "demo", "main").pipeline.block("load")) == wanted


def test_sensor_keeps_the_rest_of_its_configuration(context, project):
    save_settings(context, "demo", "main", "look", BlockSettings({}, None, {"timeout": 60, "watch": "data/*.csv"}))
    assert entry(project, "look")["configuration"] == {
        "file_source": {"path": "sensors/look.py"},
        "timeout": 60,
        "watch": "data/*.csv",
    }
    assert entry(project, "look")["color"] == "teal"


def test_empty_settings_take_the_keys_away(context, project):
    save_settings(context, "demo", "main", "load", BlockSettings({"retries": 1}, 9.0))
    save_settings(context, "demo", "main", "load", BlockSettings({}))
    assert not entry(project, "load")["retry_config"]
    assert entry(project, "load")["timeout"] is None


def test_unheedable_settings_are_refused_and_nothing_is_written(context, project):
    before = (project / "pipelines/main/metadata.yaml").read_bytes()
    with pytest.raises(BadRetryConfigError, match="retries"):
        save_settings(context, "demo", "main", "load", BlockSettings({"retries": -1}))
    with pytest.raises(BadSensorSettingError, match="watch"):
        save_settings(context, "demo", "main", "look", BlockSettings({}, None, {"watch": "../x"}))
    assert (project / "pipelines/main/metadata.yaml").read_bytes() == before


def test_block_inherits_from_pipeline_and_project(context, project):
    (project / "metadata.yaml").write_text("retry_config: {retries: 2, delay: 7}\n")
    path = project / "pipelines/main/metadata.yaml"
    path.write_text(path.read_text() + "retry_config:\n  delay: 1\n")
    loaded = pipelines.load(context, "demo", "main").pipeline
    assert inherited_retries(context, "demo", loaded) == RetryPolicy(2, 1)


def test_validate_tells_settings_that_cannot_be_heeded(context, tmp_path):
    blocks = {
        "load": BlockFile("", "data_loader", settings={"retry_config": {"retries": "many"}}),
        "look": BlockFile("", "sensor", settings={"configuration": {"watch": "/etc/passwd"}}),
        "clean": BlockFile("", "transformer", ("load",), settings={"configuration": {"cache": "sometimes"}}),
    }
    make_project(tmp_path, blocks=blocks)
    found = pipelines.validate(context, "demo", "main")
    told = {(finding.block, finding.code) for finding in found if finding.severity == "error"}
    assert {("load", "SB-RUN-030"), ("look", "SB-RUN-031"), ("clean", "SB-RUN-020")} <= told


def test_memory_limit_and_environment_are_kept_in_the_configuration(context, project):
    process = ProcessSettings("2GB", {"STAGE": "test", "TOKEN": "{{ secret('API_TOKEN') }}"})
    save_settings(context, "demo", "main", "load", BlockSettings({}, None, None, process))
    assert entry(project, "load")["configuration"] == {
        "memory_limit": "2GB",
        "env": {"STAGE": "test", "TOKEN": "{{ secret('API_TOKEN') }}"},
    }
    assert settings_of(pipelines.load(context, "demo", "main").pipeline.block("load")).process == process
    save_settings(context, "demo", "main", "load", BlockSettings({"retries": 1}))
    assert entry(project, "load")["configuration"]["memory_limit"] == "2GB"
    save_settings(context, "demo", "main", "load", BlockSettings({}, None, None, ProcessSettings()))
    assert not entry(project, "load")["configuration"]


@pytest.mark.parametrize(
    ("process", "message"),
    [
        (ProcessSettings("lots"), "memory_limit: lots"),
        (ProcessSettings("1KB"), "memory_limit: 1KB"),
        (ProcessSettings(env={"A B": "1"}), "no name of a variable"),
        (ProcessSettings(env={"API_TOKEN": "in-plain-sight"}), "API_TOKEN would be readable"),
    ],
)
def test_process_that_cannot_be_is_refused(context, project, process, message):
    before = (project / "pipelines/main/metadata.yaml").read_bytes()
    with pytest.raises(ValueError, match=message):
        save_settings(context, "demo", "main", "load", BlockSettings({}, None, None, process))
    assert (project / "pipelines/main/metadata.yaml").read_bytes() == before
