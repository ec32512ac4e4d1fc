"""`triggers.yaml`, `io_config.yaml` and the project's `metadata.yaml` are text: comments and every other byte stay."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spellbook_core.project.environment_edit import with_packages
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


WORDS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp", "Co", "Cn")), max_size=12),
    st.sampled_from(["no", "12:30", "010", "~", "a: b", "# x", "line\nbreak", "{{ env_var('X') }}", "타이타닉"]),
)
KEYS = st.from_regex(r"[a-z가-힣][a-z_]{0,8}", fullmatch=True)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(0, 999), WORDS, st.dates(), st.lists(WORDS, max_size=2))
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=3)
TRIGGER = st.fixed_dictionaries(
    {"name": WORDS, "pipeline_uuid": st.just("main"), "schedule_type": st.sampled_from(["time", "api", "event"])},
    optional={
        "description": st.one_of(st.none(), WORDS),
        "envs": st.lists(st.sampled_from(["dev", "staging", "prod", "test"]), max_size=2),
        "last_enabled_at": st.one_of(st.none(), st.just("2024-01-01 00:00:00"), st.datetimes()),
        "schedule_interval": st.sampled_from([None, "@once", "@hourly", "@daily", "*/5 * * * *"]),
        "settings": st.fixed_dictionaries(
            {},
            optional={
                "allow_blocks_to_fail": st.booleans(),
                "create_initial_pipeline_run": st.booleans(),
                "landing_time_enabled": st.booleans(),
                "pipeline_run_limit": st.integers(1, 9),
                "skip_if_previous_running": st.booleans(),
                "timeout": st.integers(1, 9),
                "timeout_status": st.sampled_from(["failed", "cancelled"]),
                "zz_unknown": VALUES,
            },
        ),
        "sla": st.one_of(st.none(), st.integers(1, 9)),
        "start_time": st.one_of(st.none(), st.datetimes()),
        "status": st.sampled_from(["active", "inactive"]),
        "token": WORDS,
        "variables": OBJECTS,
        "zz_unknown": VALUES,
    },
)
CONFIGS = (
    "ai_config",
    "azure_container_instance_config",
    "ecs_config",
    "emr_config",
    "features",
    "gcp_cloud_run_config",
)
CONFIGS += ("k8s_executor_config", "ldap_config", "logging_config", "notification_config", "pipelines", "queue_config")
CONFIGS += ("retry_config", "settings_backend", "spark_config", "workspace_config", "zz_unknown")
DOCUMENTS = {
    "pipelines/main/triggers.yaml": st.fixed_dictionaries({"triggers": st.lists(TRIGGER, max_size=3)}),
    "io_config.yaml": st.fixed_dictionaries(
        {"version": st.just("0.1.1")},
        optional={"default": st.dictionaries(KEYS.map(str.upper), VALUES, max_size=4), "dev": OBJECTS},
    ),
    "metadata.yaml": st.fixed_dictionaries(
        {"project_type": st.sampled_from(["main", "sub", "standalone"])},
        optional={
            "help_improve_mage": st.booleans(),
            "openai_api_key": st.one_of(st.none(), WORDS),
            "project_uuid": WORDS,
            "remote_variables_dir": st.just("s3://bucket/path"),
            "variables_dir": st.just("~/.mage_data"),
            "variables_retention_period": st.just("90d"),
            **dict.fromkeys(CONFIGS, OBJECTS),
        },
    ),
}


@st.composite
def commented(draw, name):
    """The file as mage dumps it, with what a person writes into it: comments and empty lines."""
    text = yaml.safe_dump(draw(DOCUMENTS[name]), sort_keys=draw(st.booleans()), allow_unicode=draw(st.booleans()))
    lines = []
    for line in text.splitlines(keepends=True):
        if not line.startswith((" ", "-")):
            lines.append(draw(st.sampled_from(["", "", "# why: it is so\n", "\n"])))
        lines.append(line)
    return "".join([*lines, draw(st.sampled_from(["", "# the end\n"]))])


@pytest.mark.parametrize("name", DOCUMENTS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_generated_file_keeps_its_bytes(name, context, tmp_path, data):
    """Every key that mage has for the file, and keys that it has not, with comments."""
    text = data.draw(commented(name))
    path = tmp_path / "projects" / "demo" / name
    if not path.parent.exists():
        make_project(tmp_path)
    path.write_bytes(text.encode())
    found, digest = files.read(context, "demo", name)
    files.write(context, "demo", name, found, expected_hash=digest)
    assert path.read_bytes() == text.encode()


@settings(max_examples=40, deadline=None)
@given(commented("metadata.yaml"))
def test_the_one_edit_of_a_project_file_adds_its_section_and_nothing_else(text):
    once = with_packages(text, Path("metadata.yaml"), ["polars"])
    assert once.startswith(text)
    assert yaml.safe_load(once.removeprefix(text)) == {"spellbook": {"environment": {"packages": ["polars"]}}}
    again = with_packages(once, Path("metadata.yaml"), ["polars", "duckdb>=1"])
    assert again.startswith(text)
    assert yaml.safe_load(again)["spellbook"] == {"environment": {"packages": ["polars", "duckdb>=1"]}}
