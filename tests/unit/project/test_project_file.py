"""mage fills environment variables into a project's `metadata.yaml` before it reads it; so do we."""

from __future__ import annotations

import pytest

from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.project.concurrency import project_block_limit
from spellbook_core.project.environment import settings_of
from spellbook_core.project.environment_edit import with_packages
from spellbook_core.project.layout import Workspace
from spellbook_core.project.metadata import load_pipeline
from spellbook_core.project.periods import periods_of
from spellbook_core.project.retries import project_retry_config
from spellbook_core.project.validate import validate_pipeline
from tests.conftest import LOADER, make_project

TEXT = """project_type: main
variables_dir: {{ env_var('NOWHERE_SET') }}
variables_retention_period: {{ env_var("DAYS") }}d
openai_api_key: {{ mage_secret_var('key') }}
queue_config:
  concurrency: {{ env_var('PLACES', 3) }}
retry_config: {retries: {{ env_var('TRIES') }}}
spellbook:
  environment: {python: "{{ env_var('OWN_PYTHON') }}"}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = make_project(tmp_path, blocks={"load": LOADER})
    for name, value in {"DAYS": "30", "TRIES": "2", "OWN_PYTHON": "/usr/bin/python3\nx"}.items():
        monkeypatch.setenv(name, value)
    (root / "metadata.yaml").write_text(TEXT)
    return Workspace.open(tmp_path).project(ProjectName("demo"))


def findings(project):
    return validate_pipeline(project, load_pipeline(project.pipeline_file(PipelineUuid("main"))))


def test_environment_variables_are_filled_in(project):
    assert periods_of(project).runs.days == 30
    assert project_block_limit(project) == 3
    assert project_retry_config(project) == {"retries": 2}
    assert settings_of(project).python == "/usr/bin/python3 x"


def test_packages_are_written_below_expressions_that_stay(project):
    after = with_packages(TEXT, project.root / "metadata.yaml", ["polars"])
    assert after.startswith(TEXT[: TEXT.index("spellbook:")])


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "project_type: main\n"])
def test_file_without_settings_is_none_to_speak_of(project, text):
    (project.root / "metadata.yaml").write_text(text)
    assert findings(project) == []


def test_file_that_cannot_be_read_is_a_warning_with_its_line(project):
    (project.root / "metadata.yaml").write_text("project_type: main\nretry_config: {\n{% if x %}\n")
    (found,) = findings(project)
    assert (found.code, found.severity, found.file, found.line) == ("SB-PRJ-004", "warning", "metadata.yaml", 3)
    assert "not heeded" in found.message
