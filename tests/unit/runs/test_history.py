"""The run store is lost; the history comes back from the folders of the runs."""

from __future__ import annotations

import json

import pytest
import yaml

from spellbook_core.engine.solo import run_alone
from spellbook_core.executors.inline import InlineExecutor
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.outcome import OUTCOME_FILE
from spellbook_core.model.run import NewRun, Selection, Status
from spellbook_core.runs.run_file import RUN_FILE
from spellbook_core.services import retries, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import LOADER, PASS_ON, BlockFile, make_project

BAD = "@transformer\ndef bad(data, *args, **kwargs):\n    raise ValueError('bad')\n"
BLOCKS = {
    "load": BlockFile(LOADER, "data_loader"),
    "bad": BlockFile(BAD, "transformer", ("load",)),
    "after": BlockFile(PASS_ON, "transformer", ("bad",)),
}


@pytest.fixture
def project(tmp_path):
    made = make_project(tmp_path, blocks=BLOCKS)
    path = made / "pipelines/main/metadata.yaml"
    (made / "conditionals").mkdir()
    (made / "conditionals/holds.py").write_text("@condition\ndef f(*args, **kwargs):\n    return True\n")
    condition = {"uuid": "holds", "name": "holds", "type": "conditional", "language": "python"}
    document = {**yaml.safe_load(path.read_text()), "conditionals": [{**condition, "upstream_blocks": ["bad"]}]}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return made


@pytest.fixture
def run(context, clock, settings, project):
    def ended(new=None):
        executor = InlineExecutor()
        new = new or NewRun("demo", "main", "manual", variables={"rows": 3})
        try:
            return run_alone(context.workspace, context.store, executor, clock, settings, new, lambda event: None)
        finally:
            executor.close()

    return ended


def everything(ctx):
    """Return all that screens show of the history."""
    listed = runs.list_runs(ctx).runs
    found = {run.id: runs.block_runs(ctx, run.id) for run in listed}
    code = {found.id: runs.code(ctx, found) for one in found.values() for found in one}
    return listed, found, code, runs.latest_block_runs(ctx, "demo", "main"), runs.latest_outputs(ctx, "demo", "main")


@pytest.fixture
def lose(context, tmp_path):
    """Lose the store, in one of several ways; return a context that opens the workspace anew."""
    made = []

    def lost(how="garbage"):
        context.close()
        path = context.workspace.database_path
        if how == "deleted":
            path.unlink()
        else:
            path.write_bytes(b"garbage" * 4000)
        made.append(open_context(tmp_path))
        return made[-1]

    yield lost
    for ctx in made:
        ctx.close()


@pytest.mark.guarantee("F25")
@pytest.mark.parametrize("how", ["garbage", "deleted"])
def test_history_is_read_back_whole(context, run, lose, how):
    first = run()
    run(retries.repeat_of(context, first.id))
    run(NewRun("demo", "main", "notebook", Selection((BlockUuid("load"),))))
    before = everything(context)
    ctx = lose(how)
    assert everything(ctx) == before
    assert bool(list(ctx.workspace.state_dir.glob("state.db.corrupt-*"))) is (how == "garbage")
    assert "The history of 3 runs was read back" in ctx.store.warnings()[-1]
    assert ctx.store.create_run(NewRun("demo", "main", "manual"), now=ctx.clock.now()).id == 4


@pytest.mark.guarantee("F25")
def test_unended_run_is_pieced_together_and_can_be_retried(context, run, lose, project):
    first = run()
    (context.workspace.runs_dir / str(first.id) / RUN_FILE).unlink()
    before = {found.key: found for found in runs.block_runs(context, first.id)}
    ctx = lose()
    (found,) = runs.list_runs(ctx).runs
    assert (found.id, found.status, found.error.code) == (first.id, Status.FAILED, "SB-RUN-061")
    after = {found.key: found for found in runs.block_runs(ctx, first.id)}
    assert set(after) == {"load", "holds@bad", "bad"}
    for name in ("load", "bad"):
        assert after[name].outputs == before[name].outputs
        assert (after[name].status, after[name].error) == (before[name].status, before[name].error)
        assert runs.code(ctx, after[name]) == BLOCKS[name].source
    (project / "transformers/bad.py").write_text(PASS_ON)
    executor = InlineExecutor()
    new = retries.repeat_of(ctx, first.id)
    again = run_alone(ctx.workspace, ctx.store, executor, ctx.clock, ctx.settings, new, lambda event: None)
    executor.close()
    assert again.status is Status.COMPLETED
    assert {found.key for found in runs.block_runs(ctx, again.id) if found.reused} == {"load"}


def test_block_without_outcome_is_told_as_lost(context, run, lose):
    first = run()
    folder = context.workspace.runs_dir / str(first.id)
    (folder / RUN_FILE).unlink()
    (folder / "1.1" / OUTCOME_FILE).unlink()
    ctx = lose()
    load = runs.block_runs(ctx, first.id)[0]
    assert (load.status, load.error.code) == (Status.FAILED, "SB-RUN-061")


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"run": {}}', "null", '{"run": {"id": 1}, "block_runs": 3}'])
def test_damaged_record_costs_no_more_than_itself(context, run, lose, damage):
    first, second = run(), run()
    (context.workspace.runs_dir / str(first.id) / RUN_FILE).write_text(damage)
    for task in (context.workspace.runs_dir / str(first.id)).glob("*/task.json"):
        task.write_text(damage)
    ctx = lose()
    assert [found.id for found in runs.list_runs(ctx).runs] == [second.id]


def test_record_of_another_version_keeps_what_is_known(context, run, lose):
    first = run()
    path = context.workspace.runs_dir / str(first.id) / RUN_FILE
    record = json.loads(path.read_text())
    record["run"]["a_column_of_tomorrow"] = 1
    path.write_text(json.dumps(record))
    assert runs.get(lose(), first.id).variables == {"rows": 3}
