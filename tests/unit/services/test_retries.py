"""Runs that repeat an earlier one: real runs in this process, so that every execution is seen."""

from __future__ import annotations

import os

import pytest

from spellbook_core.engine.plan import NothingToRunError
from spellbook_core.engine.solo import run_alone
from spellbook_core.engine.supervise import boot_id, identity
from spellbook_core.errors import NotFoundError
from spellbook_core.executors.inline import InlineExecutor
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.run import Code, NewRun, Selection, Share, Status
from spellbook_core.model.staleness import Freshness
from spellbook_core.runs.records import ProcessIdentity
from spellbook_core.services import retries, runs
from tests.conftest import BlockFile, make_project

MARK = """
import pathlib

def mark(word):
    with (pathlib.Path(__file__).parents[1] / 'ran').open('a') as file:
        file.write(word + ' ')

"""
LOAD = MARK + "@data_loader\ndef load(*args, **kwargs):\n    mark('load')\n    return kwargs.get('rows', 1)\n"
FAIL = MARK + "@transformer\ndef middle(data, *args, **kwargs):\n    mark('middle')\n    raise ValueError('bad')\n"
WORK = MARK + "@transformer\ndef middle(data, *args, **kwargs):\n    mark('middle')\n    return data + 1\n"
LAST = (
    MARK
    + "@data_exporter\ndef last(data, *args, **kwargs):\n    mark('last')\n"
    + "    return str(kwargs['ds']) + str(data)\n"
)


def blocks(middle=WORK):
    return {
        "load": BlockFile(LOAD, "data_loader"),
        "side": BlockFile(LOAD.replace("mark('load')", "mark('side')"), "data_loader"),
        "middle": BlockFile(middle, "transformer", ("load",)),
        "last": BlockFile(LAST, "data_exporter", ("middle",)),
    }


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path, blocks=blocks(FAIL), variables={"rows": 3})


@pytest.fixture
def run(context, clock, settings):
    """Run a request to its end in this process."""

    def ended(new=None):
        executor = InlineExecutor()
        new = new or NewRun("demo", "main", "manual")
        try:
            return run_alone(context.workspace, context.store, executor, clock, settings, new, lambda event: None)
        finally:
            executor.close()

    return ended


def executed(project):
    """Return the blocks that executed since the last look."""
    path = project / "ran"
    words = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return words


def by_block(context, run):
    return {found.block: found for found in runs.block_runs(context, run.id)}


def mend(project, text=WORK):
    (project / "transformers/middle.py").write_text(text)


def test_retry_runs_only_what_did_not_complete(context, project, run):
    first = run()
    assert sorted(executed(project)) == ["load", "middle", "side"]
    mend(project)
    second = run(retries.repeat_of(context, first.id))
    assert (second.status, second.again.run_id) == (Status.COMPLETED, first.id)
    assert executed(project) == ["middle", "last"]
    found, before = by_block(context, second), by_block(context, first)
    assert [found[name].reused for name in ("load", "side", "middle", "last")] == [True, True, False, False]
    assert found["load"].reason == f"completed in run {first.id}"
    assert found["load"].outputs == before["load"].outputs
    assert found["load"].reused_from == before["load"].id
    assert before["middle"].status is Status.FAILED
    assert found["middle"].reason == f"it did not complete in run {first.id}"


def test_what_is_shared_is_fresh_afterwards(context, project, run):
    mended = run(retries.repeat_of(context, run().id, code=Code.THEN))
    assert mended.status is Status.FAILED
    mend(project)
    run(retries.repeat_of(context, mended.id))
    states = {name: found.state for name, found in runs.staleness(context, "demo", "main").items()}
    assert states["load"] is states["middle"] is Freshness.FRESH


def test_shared_output_leads_to_the_run_that_made_it(context, project, run):
    first = run()
    second = run(retries.repeat_of(context, first.id))
    third = run(retries.repeat_of(context, second.id))
    assert by_block(context, third)["load"].reused_from == by_block(context, first)["load"].id


def test_retry_from_a_block_runs_it_and_all_below(context, project, run):
    mend(project)
    first = run()
    executed(project)
    second = run(retries.repeat_of(context, first.id, start=BlockUuid("middle")))
    assert second.status is Status.COMPLETED
    assert executed(project)[0] == "middle"
    reasons = {name: found.reason for name, found in by_block(context, second).items()}
    assert reasons["load"] == reasons["side"] == f"completed in run {first.id}"
    assert reasons["middle"] == f"run {first.id} is retried from here"


def test_block_edited_since_runs_again_with_todays_code(context, project, run):
    first = run()
    executed(project)
    (project / "data_loaders/load.py").write_text(LOAD.replace("1)", "2) * 10"))
    mend(project)
    again = by_block(context, run(retries.repeat_of(context, first.id)))
    assert executed(project) == ["load", "middle", "last"]
    assert again["load"].reason == f"it was edited since run {first.id}"


def test_comment_is_no_edit(context, project, run):
    first = run()
    executed(project)
    (project / "data_loaders/load.py").write_text(LOAD + "\n# looked at\n")
    run(retries.repeat_of(context, first.id))
    assert executed(project) == ["middle"]


def test_code_of_then_ignores_every_file_of_today(context, project, run):
    """Block edited, pipeline deleted: the run is repeated with the texts, variables and plan that it stored."""
    mend(project)
    first = run()
    executed(project)
    mend(project, "this is no Python")
    (project / "pipelines/main/metadata.yaml").unlink()
    second = run(retries.repeat_of(context, first.id, share=Share.NOTHING, code=Code.THEN))
    assert second.status is Status.COMPLETED
    assert {"load", "side"} <= set(executed(project))
    assert by_block(context, second)["last"].code_hash == by_block(context, first)["last"].code_hash
    assert by_block(context, second)["middle"].outputs == by_block(context, first)["middle"].outputs


def test_variables_and_execution_date_are_kept(context, project, run, clock):
    first = run(NewRun("demo", "main", "manual", variables={"rows": 40}))
    clock.advance(3 * 86_400)
    mend(project)
    second = run(retries.repeat_of(context, first.id, start=BlockUuid("load")))
    assert (second.variables, second.execution_date) == ({"rows": 40}, first.execution_date)
    assert second.created_at > first.created_at
    assert context.artifacts.get(by_block(context, second)["last"].outputs[0].artifact) == "2026-01-0541"


def test_missing_output_is_not_shared(context, project, run):
    first = run()
    executed(project)
    for name in ("load", "side"):
        for output in by_block(context, first)[name].outputs:
            folder = context.artifacts.folder(output.artifact)
            for file in folder.iterdir() if folder.exists() else ():
                file.unlink()
    mend(project)
    assert run(retries.repeat_of(context, first.id)).status is Status.COMPLETED
    assert sorted(executed(project)) == ["last", "load", "middle", "side"]


def test_completed_run_has_nothing_to_retry(context, project, run):
    mend(project)
    first = run()
    with pytest.raises(NothingToRunError, match="Every block of run 1 completed"):
        retries.retry(context, first.id)


def test_unknown_start_is_refused(context, project, run):
    first = run()
    with pytest.raises(NotFoundError, match="no block 'nowhere'"):
        retries.retry(context, first.id, start=BlockUuid("nowhere"))


def test_run_under_way_cannot_be_repeated(context, project, clock):
    queued = context.store.create_run(NewRun("demo", "main", "manual"), now=clock.now())
    with pytest.raises(retries.RunNotEndedError, match="Run 1 is queued"):
        retries.retry(context, queued.id)


def test_run_whose_process_is_gone_is_told_how_to_go_on(context, project, clock):
    """A power cut leaves it `running`: nobody who waits for its end would see it."""
    gone, living = ProcessIdentity(2**22 + 1, started="1", boot_id=boot_id()), identity(os.getpid())
    for owner, advice in ((gone, "`spellbook engine`: either goes on with it"), (living, "wait for its end")):
        left = context.store.create_run(NewRun("demo", "main", "cli"), now=clock.now(), owner=owner)
        with pytest.raises(retries.RunNotEndedError) as refused:
            retries.retry(context, left.id)
        assert advice in refused.value.hint
        assert ("is gone" in refused.value.message) == (owner is gone)


def test_run_of_one_block_is_repeated_as_such(context, project, run):
    run()
    mend(project)
    executed(project)
    single = run(NewRun("demo", "main", "notebook", Selection((BlockUuid("middle"),))))
    again = run(retries.repeat_of(context, single.id, share=Share.NOTHING, trigger="cli"))
    assert executed(project) == ["middle", "middle"]
    assert (again.trigger, again.blocks_total) == ("notebook", 1)


def test_request_sent_twice_repeats_once(context, project, run):
    first = run()
    mend(project)
    new = retries.repeat_of(context, first.id, request_id="a")
    assert run(new).id == run(new).id
