"""Where a SQL block reads and writes is kept in mage's keys, and nothing else of the file changes."""

from __future__ import annotations

import pytest
import yaml

from spellbook_core.errors import SpellbookError
from spellbook_core.services import pipelines
from spellbook_core.services.block_settings import BlockSettings, save_settings, settings_of
from tests.conftest import BlockFile, make_project

FILE = {"data_provider_database": "data/w.duckdb", "data_provider_table": "t", "export_write_policy": "replace"}


@pytest.fixture
def project(tmp_path):
    own = {"configuration": {"cache": "never", "data_provider": "duckdb", "use_raw_sql": True, "limit": 10}}
    blocks = {"ask": BlockFile("select 1", "data_loader", settings=own, language="sql"), "load": BlockFile("")}
    return make_project(tmp_path, blocks=blocks)


def configuration(project):
    return yaml.safe_load((project / "pipelines/main/metadata.yaml").read_text())["blocks"][0]["configuration"]


def test_database_of_a_block_is_written_in_the_keys_of_mage(context, project):
    found = settings_of(pipelines.load(context, "demo", "main").pipeline.block("ask"))
    assert found.sql == {"data_provider": "duckdb", "use_raw_sql": True}
    save_settings(context, "demo", "main", "ask", BlockSettings({}, sql={**FILE, "use_raw_sql": False}))
    assert configuration(project) == {"cache": "never", "limit": 10, **FILE}
    save_settings(context, "demo", "main", "ask", BlockSettings({}))
    assert configuration(project) == {"cache": "never", "limit": 10, **FILE}
    assert settings_of(pipelines.load(context, "demo", "main").pipeline.block("load")).sql is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"data_provider": "trino"},
        {"export_write_policy": "drop"},
        {"data_provider_database": "../w.duckdb"},
        {"data_provider_database": "/etc/w.duckdb"},
    ],
)
def test_what_cannot_be_used_is_not_written(context, project, wrong):
    before = configuration(project)
    with pytest.raises(SpellbookError, match=r"not known|refused"):
        save_settings(context, "demo", "main", "ask", BlockSettings({}, sql=wrong))
    assert configuration(project) == before
