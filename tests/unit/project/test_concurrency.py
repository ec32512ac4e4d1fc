from __future__ import annotations

from datetime import timedelta

import pytest

from spellbook_core.model.concurrency import Concurrency, IfRunning
from spellbook_core.project.concurrency import BadConcurrencyError, concurrency_of, project_block_limit
from spellbook_core.project.metadata import load_pipeline
from spellbook_core.project.periods import Periods, parse_period, periods_of
from spellbook_core.project.validate import validate_pipeline
from tests.conftest import chain, make_project


def of(**config) -> Concurrency:
    return concurrency_of({"concurrency_config": config})


def test_without_a_word_one_run_goes_at_a_time():
    assert concurrency_of({}) == concurrency_of({"concurrency_config": None}) == Concurrency(None, 1, None)


def test_keys_of_mage_mean_what_they_mean_there():
    found = of(block_run_limit=4, pipeline_run_limit=2, pipeline_run_limit_all_triggers=3)
    assert found == Concurrency(4, 3, 2, IfRunning.QUEUE)
    assert of(pipeline_run_limit=2) == Concurrency(None, None, 2, IfRunning.QUEUE)
    assert of(on_pipeline_run_limit_reached="skip").if_running is IfRunning.SKIP
    assert of(on_pipeline_run_limit_reached="wait").if_running is IfRunning.QUEUE


def test_own_policy_goes_before_that_of_mage():
    found = of(if_running="cancel_running", on_pipeline_run_limit_reached="skip")
    assert found == Concurrency(None, 1, None, IfRunning.CANCEL_RUNNING)
    assert of(if_running="allow", pipeline_run_limit=2) == Concurrency(None, None, None, IfRunning.ALLOW)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"block_run_limit": 0}, "block_run_limit: 0"),
        ({"block_run_limit": True}, "block_run_limit: True"),
        ({"pipeline_run_limit": "2"}, "pipeline_run_limit: 2"),
        ({"if_running": "maybe"}, "if_running: maybe"),
        ({"on_pipeline_run_limit_reached": "explode"}, "on_pipeline_run_limit_reached: explode"),
    ],
)
def test_what_cannot_be_is_refused_by_name(config, named):
    with pytest.raises(BadConcurrencyError, match=named):
        of(**config)
    with pytest.raises(BadConcurrencyError, match="no mapping"):
        concurrency_of({"concurrency_config": [1]})


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("queue_config:\n  concurrency: 3\n", 3),
        ("queue_config:\n  concurrency: many\n", None),
        ("queue_config: 3\n", None),
        ("a: [\n", None),
        ("project_type: standalone\n", None),
    ],
)
def test_limit_of_a_project_is_read_leniently(tmp_path, workspace, text, limit):
    project = make_project(tmp_path, blocks=chain(1))
    (project / "metadata.yaml").write_text(text)
    assert project_block_limit(workspace.project("demo")) == limit


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("90d", timedelta(days=90)),
        (" 12 H ", timedelta(hours=12)),
        ("4w", timedelta(weeks=4)),
        ("1m", timedelta(days=30)),
        ("0d", None),
        ("-1d", None),
        ("90", None),
        ("soon", None),
        ("9" * 30 + "d", None),
    ],
)
def test_periods_are_whole_and_have_a_unit(text, period):
    assert parse_period(text) == period


def test_periods_of_a_project(tmp_path, workspace):
    project = make_project(tmp_path, blocks=chain(1))
    (project / "metadata.yaml").write_text("variables_retention_period: 7d\nlogging_config:\n  retention_period: 2d\n")
    assert periods_of(workspace.project("demo")) == Periods(timedelta(days=7), timedelta(days=2))
    (project / "metadata.yaml").unlink()
    assert periods_of(workspace.project("demo")) == Periods()


def test_validate_names_what_cannot_be(tmp_path, workspace):
    project = make_project(tmp_path, blocks=chain(1))
    path = project / "pipelines" / "main" / "metadata.yaml"
    path.write_text(path.read_text() + "concurrency_config:\n  if_running: maybe\n")
    findings = validate_pipeline(workspace.project("demo"), load_pipeline(path))
    assert [(one.code, one.severity) for one in findings if "if_running" in one.message] == [("SB-PIP-050", "error")]
