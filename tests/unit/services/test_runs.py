"""Reading runs through the services; starting them is tested with real processes in tests/engine."""

from __future__ import annotations

import json

import pytest

from spellbook_core.model.run import NewRun, Status
from spellbook_core.runs.records import BlockEnd, BlockSpec, NewBlockRun
from spellbook_core.runs.store import RunNotFoundError
from spellbook_core.services import runs


@pytest.fixture
def block_run(context, clock):
    """A completed block run with a log and metrics."""
    run = context.store.create_run(NewRun("demo", "main", "manual"), now=clock.now())
    block = NewBlockRun("load", "data_loader", "", "x = 1", "hash", BlockSpec())
    (number,) = context.store.begin_run(run.id, [block], now=clock.now())
    context.store.start_attempt(number, now=clock.now())
    context.store.end_block(number, BlockEnd(Status.COMPLETED, clock.now()))
    context.store.end_run(run.id, Status.COMPLETED, None, now=clock.now())
    found = runs.block_run(context, number)
    folder = runs.attempt_dir(context, found)
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_text(json.dumps({"t": 1.0, "s": "stdout", "l": "info", "m": "hello"}) + "\n")
    (folder / "metrics.jsonl").write_text(json.dumps({"t": 1.0, "name": "loss", "value": 0.5, "step": 1}) + "\n")
    return found


def test_files_of_an_attempt_are_found(context, block_run):
    assert runs.attempt_dir(context, block_run) == context.workspace.runs_dir / "1" / "1.1"
    assert [line.text for line in runs.log(context, block_run).lines] == ["hello"]
    assert [line.text for line in runs.log_tail(context, block_run).lines] == ["hello"]
    assert runs.metrics(context, block_run).series["loss"][0][:2] == (1.0, 0.5)
    assert runs.code(context, block_run) == "x = 1"


def test_runs_are_listed_and_found(context, block_run):
    page = runs.list_runs(context, project="demo", pipeline="main", statuses=[Status.COMPLETED], triggers=["manual"])
    assert (page.total, [run.id for run in page.runs]) == (1, [block_run.run_id])
    assert runs.get(context, block_run.run_id) == page.runs[0]
    assert runs.block_runs(context, block_run.run_id) == [block_run]
    assert runs.latest_block_runs(context, "demo", "main") == {"load": block_run}
    assert runs.latest_outputs(context, "demo", "main") == {"load": block_run}
    assert runs.list_runs(context, triggers=["schedule"]).total == 0


def test_cancelling_an_ended_run_starts_no_engine(context, block_run):
    runs.cancel(context, block_run.run_id)
    assert runs.get(context, block_run.run_id).status is Status.COMPLETED
    assert not context.workspace.engine_info_path.exists()


def test_unknown_run_is_refused(context):
    with pytest.raises(RunNotFoundError, match="There is no run 9"):
        runs.cancel(context, 9)
