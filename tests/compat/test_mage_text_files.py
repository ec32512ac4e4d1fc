"""`triggers.yaml`, `io_config.yaml` and the project's `metadata.yaml` are text: comments and every other byte stay."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spellbook_core.services import files
from tests.conftest import make_project

TRIGGERS = """# who fires what
triggers:
- description:   # none yet
  envs: [dev, prod]
  last_enabled_at: 2024-01-01 00:00:00
  name: nightly
  schedule_interval: '@daily'
  schedule_type: time
  settings: {skip_if_previous_running: true, allow_blocks_to_fail: false}
  sla:
  start_time: 2024-01-01 02:00:00
  status: active
  token: "{{ env_var('TOKEN') }}"
  variables:
    rows: 010     # mage reads 8
"""
IO_CONFIG = """version: 0.1.1
default:
  # PostgreSQL, see the wiki
  POSTGRES_HOST: "{{ env_var('PGHOST') }}"
  POSTGRES_PORT: {{ env_var('PGPORT') }}
  POSTGRES_PASSWORD: 'p#ss'   # no comment
dev: {MYSQL_HOST: localhost}
"""
PROJECT = """project_type: standalone

# kept for 90 days
variables_retention_period: '90d'
notification_config:
  alert_on: [trigger_failure]
  slack_config: {webhook_url: "{{ mage_secret_var('slack') }}"}
queue_config:
  concurrency: 20
spellbook_unknown: ~
"""
NAMES = {"pipelines/main/triggers.yaml": TRIGGERS, "io_config.yaml": IO_CONFIG, "metadata.yaml": PROJECT}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
@pytest.mark.parametrize("name", NAMES)
def test_file_keeps_its_bytes_and_an_edit_its_place(name, mark, ending, context, tmp_path):
    project = make_project(tmp_path, files={})
    path = project / name
    before = mark + NAMES[name].replace("\n", ending).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(before)
    text, digest = files.read(context, "demo", name)
    digest = files.write(context, "demo", name, text, expected_hash=digest)
    assert path.read_bytes() == before
    lines = text.splitlines(keepends=True)
    edited = "".join([*lines[:3], f"# a new line{ending}", *lines[3:]])
    files.write(context, "demo", name, edited, expected_hash=digest)
    after = path.read_bytes()
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    assert [line for line in new if line not in old] == [f"# a new line{ending}".encode()]
    assert [line for line in new if line in old] == old


TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=200)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS.filter(lambda text: not text.startswith("\ufeff")))
def test_any_text_comes_back_as_it_was_written(context, tmp_path, text):
    project = tmp_path / "projects" / "demo"
    if not project.exists():
        make_project(tmp_path)
    (project / "io_config.yaml").write_bytes(text.encode())
    found, digest = files.read(context, "demo", "io_config.yaml")
    assert found == text
    files.write(context, "demo", "io_config.yaml", found, expected_hash=digest)
    assert (project / "io_config.yaml").read_bytes() == text.encode()
