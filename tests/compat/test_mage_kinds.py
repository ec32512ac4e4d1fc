"""Conditions, callbacks, dynamic and replicated blocks as mage writes them, run unmodified."""

from __future__ import annotations

import json

import pytest
import yaml

from spellbook_core.model.run import NewRun, Status
from spellbook_core.services import runs
from spellbook_core.services.wiring import open_context

LOADER = """
if 'data_loader' not in globals():
    from mage_ai.data_preparation.decorators import data_loader
from typing import Dict, List

@data_loader
def load_data(*args, **kwargs) -> List[List[Dict]]:
    users = []
    metadata = []
    for i in range(3):
        users.append(dict(id=i, name=f'user_{i}'))
        metadata.append(dict(block_uuid=f'for_user_{i}'))
    return [
        users,
        metadata,
    ]
"""
CHILD = """
if 'transformer' not in globals():
    from mage_ai.data_preparation.decorators import transformer
if 'test' not in globals():
    from mage_ai.data_preparation.decorators import test
import pandas as pd

@transformer
def transform(data, *args, **kwargs):
    return pd.DataFrame([data]).assign(index=kwargs['dynamic_block_index'], by=kwargs['block_uuid'])

@test
def test_output(output, *args) -> None:
    assert output is not None, 'The output is undefined'
"""
EXPORTER = """
if 'data_exporter' not in globals():
    from mage_ai.data_preparation.decorators import data_exporter
import pandas as pd

@data_exporter
def export_data(data, *args, **kwargs):
    return pd.concat(data).to_dict('records')
"""
CONDITION = """
if 'condition' not in globals():
    from mage_ai.data_preparation.decorators import condition

@condition
def evaluate_condition(*args, **kwargs) -> bool:
    assert kwargs['pipeline_run'].pipeline_uuid == 'etl'
    return kwargs['allowed']
"""
CALLBACK = """
if 'callback' not in globals():
    from mage_ai.data_preparation.decorators import callback
import json, pathlib

def note(what):
    with (pathlib.Path(__file__).parents[1] / 'heard.txt').open('a') as file:
        file.write(json.dumps(what) + '\\n')

@callback('success')
def success_callback(parent_block_data, **kwargs):
    note(['success', kwargs['parent_block_uuid'], len(parent_block_data), kwargs['pipeline_uuid']])

@callback('failure')
def failure_callback(parent_block_data, **kwargs):
    note(['failure', kwargs['parent_block_uuid'], str(kwargs['__error']), type(kwargs['__error']).__name__])
"""
OLD_CALLBACK = """
if 'on_success' not in globals():
    from mage_ai.data_preparation.decorators import on_success
import pathlib

@on_success
def on_success_callback(**kwargs):
    (pathlib.Path(__file__).parents[1] / 'old.txt').write_text(kwargs['parent_block_uuid'])
"""


def entry(uuid, kind, *parents, **given):
    plain = {"all_upstream_blocks_executed": True, "color": None, "executor_type": "local_python", "status": "updated"}
    return {
        **plain,
        "configuration": {},
        "downstream_blocks": [],
        "has_callback": False,
        "language": "python",
        "name": uuid,
        "type": kind,
        "upstream_blocks": list(parents),
        "uuid": uuid,
        **given,
    }


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "projects" / "shop"
    files = {
        "data_loaders/users.py": LOADER,
        "transformers/each_user.py": CHILD,
        "data_exporters/together.py": EXPORTER,
        "conditionals/allowed.py": CONDITION,
        "callbacks/tell.py": CALLBACK,
        "callbacks/old.py": OLD_CALLBACK,
        "callbacks/users_callback.py": OLD_CALLBACK.replace("old.txt", "unlisted.txt"),
        "callbacks/together_callback.py": OLD_CALLBACK.replace("old.txt", "not_asked_for.txt"),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "metadata.yaml").write_text("project_type: standalone\n")
    return root


def write(project, *, dynamic, reduce_output, extra=()):
    blocks = [
        entry("together", "data_exporter", "each_user"),  # file order is not run order
        entry("users", "data_loader", configuration={"dynamic": dynamic}, has_callback=True),
        entry("each_user", "transformer", "users", configuration={"reduce_output": reduce_output}),
        *extra,
    ]
    document = {
        "blocks": blocks,
        "callbacks": [entry("tell", "callback", "together", "users"), entry("old", "callback", "together")],
        "conditionals": [entry("allowed", "conditional", "together")],
        "name": "etl",
        "type": "python",
        "uuid": "etl",
        "variables": {"allowed": True},
    }
    path = project / "pipelines" / "etl" / "metadata.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document))


def run(tmp_path, **variables):
    ctx = open_context(tmp_path)
    try:
        ended = runs.run_here(ctx, NewRun("shop", "etl", "cli", variables=variables), lambda event: None)
        found = {each.key: each for each in runs.block_runs(ctx, ended.id)}
        values = {key: [ctx.artifacts.get(output.artifact) for output in each.outputs] for key, each in found.items()}
        return ended, found, values
    finally:
        ctx.close()


@pytest.mark.parametrize(("dynamic", "reduce_output"), [(True, True), ({"parent": True}, "true")])
def test_dynamic_pipeline_of_mages_guide_runs(tmp_path, project, dynamic, reduce_output):
    write(project, dynamic=dynamic, reduce_output=reduce_output)
    ended, found, values = run(tmp_path)
    assert ended.status is Status.COMPLETED, [each.error for each in found.values()]
    assert values["together"] == [
        {"id": 0, "name": "user_0", "index": 0, "by": "for_user_0"},
        {"id": 1, "name": "user_1", "index": 1, "by": "for_user_1"},
        {"id": 2, "name": "user_2", "index": 2, "by": "for_user_2"},
    ]
    assert values["users"] == [
        [{"id": number, "name": f"user_{number}"} for number in range(3)],
        [{"block_uuid": f"for_user_{number}"} for number in range(3)],
    ]
    assert [(test.name, test.passed) for test in found["each_user"].tests] == [("test_output", True)]


def test_callbacks_of_both_spellings_are_called(tmp_path, project):
    write(project, dynamic=True, reduce_output=True)
    run(tmp_path)
    heard = [json.loads(line) for line in (project / "heard.txt").read_text().splitlines()]
    assert sorted(heard) == [["success", "together", 3, "etl"], ["success", "users", 2, "etl"]]
    assert (project / "old.txt").read_text() == "together"
    assert (project / "unlisted.txt").read_text() == "users"  # told of by has_callback and the name of its file only
    assert not (project / "not_asked_for.txt").exists()


def test_failure_is_handed_over_as_an_exception(tmp_path, project):
    write(project, dynamic=True, reduce_output=True)
    (project / "data_exporters" / "together.py").write_text(EXPORTER.replace("return", "raise KeyError('no user')\n#"))
    ended, _, _ = run(tmp_path)
    assert ended.status is Status.FAILED
    heard = [json.loads(line) for line in (project / "heard.txt").read_text().splitlines()]
    assert ["failure", "together", "'no user'", "KeyError"] in heard


def test_false_condition_is_condition_failed(tmp_path, project):
    write(project, dynamic=True, reduce_output=True)
    ended, found, _ = run(tmp_path, allowed=False)
    assert ended.status is Status.COMPLETED
    assert found["together"].status is Status.CONDITION_FAILED
    assert not (project / "old.txt").exists()


def test_children_of_children_without_reduce_run_once_per_item(tmp_path, project):
    write(project, dynamic=True, reduce_output=False)
    (project / "data_exporters" / "together.py").write_text(EXPORTER.replace("pd.concat(data)", "data"))
    ended, found, values = run(tmp_path)
    assert ended.status is Status.COMPLETED
    assert found["together"].children == ("0", "1", "2")
    assert [records[0]["name"] for records in (values[f"together:{n}"] for n in range(3))] == [
        "user_0",
        "user_1",
        "user_2",
    ]


def test_replica_of_a_child_runs_beside_it(tmp_path, project):
    twin = entry("each_user_again", "transformer", "users", replicated_block="each_user")
    write(project, dynamic=True, reduce_output=True, extra=[twin])
    ended, found, _ = run(tmp_path)
    assert ended.status is Status.COMPLETED
    assert found["each_user_again"].children == found["each_user"].children == ("0", "1", "2")
