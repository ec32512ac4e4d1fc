"""Blocks that run once per item, conditions and callbacks when engines are killed and runs are cancelled."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter

import pytest

from spellbook_core.model.run import Again, NewRun, Share, Status
from spellbook_core.services import engines, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import LOADER, BlockFile, make_project, wait_until
from tests.engine.test_block_kinds import ALL, ITEMS, add_ons, told

CHILD = """
import pathlib, time

@data_exporter
def child(number, *args, **kwargs):
    here = pathlib.Path(__file__).parents[1]
    with (here / 'called.txt').open('a') as file:
        file.write(f'{number}\\n')
    while not (here / f'go{number}').exists() and not (here / 'go').exists():
        time.sleep(0.02)
    if (here / 'fail').exists() and number == 1:
        raise ValueError('not now')
    return number * 10
"""
NEW = NewRun("demo", "main", "manual")


@pytest.fixture
def project(tmp_path):
    dynamic, reduced = {"configuration": {"dynamic": True}}, {"configuration": {"reduce_output": True}}
    blocks = {
        "items": BlockFile(ITEMS, "data_loader", settings=dynamic),
        "child": BlockFile(CHILD, "data_exporter", ("items",), settings=reduced),
        "all": BlockFile(ALL, "custom", ("child",)),
    }
    return make_project(tmp_path, blocks=blocks, variables={"count": 4})


@pytest.fixture
def ctx(project, tmp_path):
    made = open_context(tmp_path)
    yield made
    (project / "go").touch()
    engines.stop(made)
    made.close()


def called(project) -> Counter:
    file = project / "called.txt"
    return Counter(file.read_text().split()) if file.exists() else Counter()


def by_key(ctx, run):
    return {found.key: found for found in runs.block_runs(ctx, run.id)}


def kill_engine(ctx) -> None:
    os.kill(engines.status(ctx).pid, signal.SIGKILL)
    wait_until(lambda: not engines.status(ctx).is_running, what="the engine is gone")


def test_killed_engine_runs_no_sealed_child_again(ctx, project):
    """Sealed before, adopted while they run, or not begun yet: each child is executed once, and all are gathered."""
    run = runs.start(ctx, NEW)
    wait_until(lambda: called(project), what="a child runs")
    first = next(iter(called(project)))
    (project / f"go{first}").touch()
    wait_until(lambda: by_key(ctx, run)[f"child:{first}"].status is Status.COMPLETED, what="it is sealed")
    kill_engine(ctx)
    (project / "go").touch()
    engines.ensure(ctx)
    ended = runs.wait(ctx, run.id, 60)
    assert ended.status is Status.COMPLETED
    assert called(project) == {str(number): 1 for number in range(4)}
    found = by_key(ctx, run)
    assert found["child"].children == ("0", "1", "2", "3")
    gathered = found["all"].outputs[0].artifact
    assert ctx.artifacts.get(gathered) == {"all": [0, 10, 20, 30]}


def test_cancelled_run_ends_its_children_and_calls_who_waits_for_that(ctx, project):
    add_ons(project, callbacks=[("tell", told("tell", "@callback('cancelled')"), ["child"])])
    run = runs.start(ctx, NEW)
    wait_until(lambda: called(project), what="a child runs")
    began = set(called(project))
    runs.cancel(ctx, run.id)
    ended = runs.wait(ctx, run.id, 60)
    assert ended.status is Status.CANCELLED
    found = by_key(ctx, run)
    assert found["child"].status is found["all"].status is Status.CANCELLED
    heard = [line for line in (project / "called.txt").read_text().split("\n") if line.startswith("{")]
    assert len(heard) >= len(began)
    assert {json.loads(line)["parent"] for line in heard} == {"child"}
    states = {found[f"tell@child:{n}"].status for n in range(4)}
    assert states <= {Status.COMPLETED, Status.CANCELLED}


def test_retry_runs_only_the_children_that_failed(ctx, project):
    (project / "go").touch()
    (project / "fail").touch()
    first = runs.wait(ctx, runs.start(ctx, NEW).id, 60)
    assert first.status is Status.FAILED
    (project / "fail").unlink()
    again = NewRun("demo", "main", "manual", again=Again(first.id, Share.COMPLETED))
    second = runs.start(ctx, again)
    assert runs.wait(ctx, second.id, 60).status is Status.COMPLETED
    assert called(project) == {"0": 1, "1": 2, "2": 1, "3": 1}, "an exporter that was done is not done again"
    found = by_key(ctx, second)
    assert found["child:0"].reason == f"completed in run {first.id}"
    assert ctx.artifacts.get(found["all"].outputs[0].artifact) == {"all": [0, 10, 20, 30]}


def test_shared_children_are_handed_on_by_a_run_that_starts_below(ctx, project):
    (project / "go").touch()
    first = runs.wait(ctx, runs.start(ctx, NEW).id, 60)
    again = NewRun("demo", "main", "manual", again=Again(first.id, Share.ABOVE, start="all"))
    second = runs.start(ctx, again)
    assert runs.wait(ctx, second.id, 60).status is Status.COMPLETED
    found = by_key(ctx, second)
    assert found["child"].children == ("0", "1", "2", "3")
    assert ctx.artifacts.get(found["all"].outputs[0].artifact) == {"all": [0, 10, 20, 30]}
    assert called(project) == {str(number): 1 for number in range(4)}


def test_callbacks_of_a_block_that_never_began_stay_silent_on_cancel(ctx, project):
    add_ons(project, callbacks=[("tell", told("tell", "@callback('cancelled')"), ["all"])])
    run = runs.start(ctx, NEW)
    wait_until(lambda: called(project), what="a child runs")
    runs.cancel(ctx, run.id)
    assert runs.wait(ctx, run.id, 60).status is Status.CANCELLED
    assert by_key(ctx, run)["tell@all"].status is Status.CANCELLED
    assert "{" not in (project / "called.txt").read_text()


def test_run_is_not_over_before_its_callbacks_are(tmp_path):
    slow = "import time\n@callback('success')\ndef tell(*args, **kwargs):\n    time.sleep(0.5)\n"
    project = make_project(tmp_path, blocks={"load": LOADER})
    add_ons(project, callbacks=[("tell", slow, ["load"])])
    made = open_context(tmp_path)
    try:
        run = runs.run_here(made, NewRun("demo", "main", "cli"), lambda event: None)
        found = by_key(made, run)
        assert found["tell@load"].duration_s >= 0.5
        assert run.ended_at >= found["tell@load"].ended_at
    finally:
        made.close()
