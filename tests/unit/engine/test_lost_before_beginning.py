"""Attempts lost before user code: started anew, fenced, bounded. And runs on which the runner itself fails."""

from __future__ import annotations

import pytest

from spellbook_core.engine import runner as runner_module
from spellbook_core.engine.runner import Runner
from spellbook_core.engine.supervise import give_up
from spellbook_core.engine.unbegun import MAX_STARTS_ANEW
from spellbook_core.errors import StorageError
from spellbook_core.model.run import NewRun, Status
from spellbook_core.model.task import LOCK_FILE
from tests.conftest import chain, make_project
from tests.unit.engine.conftest import FakeExecutor


def statuses(context, run):
    return {found.block: found.status.value for found in context.store.block_runs(run.id)}


@pytest.mark.guarantee("F5")
@pytest.mark.parametrize("how", [{"exit_status": -9}, {"exit_status": None, "reason": "worker lost"}])
def test_attempt_lost_before_user_code_is_started_anew(context, tmp_path, start, runner, executor, how):
    make_project(tmp_path, blocks=chain(1))
    executor.begins = False
    run = start()
    folder = executor.folders["b0"]
    executor.exited("b0", **how)
    runner.on_executor()
    (waiting,) = context.store.block_runs(run.id)
    assert (waiting.status, waiting.waiting_for) == (
        Status.QUEUED,
        "another start: its process was lost before it began",
    )
    runner.on_time()
    assert executor.tasks["b0"].attempt == 2
    assert give_up(folder), "the first attempt can never begin"
    executor.completes("b0")
    runner.on_executor()
    assert context.store.run(run.id).status is Status.COMPLETED


def test_block_that_is_lost_every_time_fails_in_the_end(context, tmp_path, start, runner, executor):
    make_project(tmp_path, blocks=chain(1))
    executor.begins = False
    run = start()
    for _ in range(MAX_STARTS_ANEW + 1):
        executor.exited("b0", exit_status=-9)
        runner.on_executor()
        runner.on_time()
    assert statuses(context, run) == {"b0": "failed"}
    assert context.store.block_runs(run.id)[0].attempt == MAX_STARTS_ANEW + 1


@pytest.mark.parametrize("reason", ["timeout", "cannot start: no fork"])
def test_attempt_ended_on_purpose_is_not_started_anew(context, tmp_path, start, runner, executor, reason):
    make_project(tmp_path, blocks=chain(1))
    executor.begins = False
    run = start()
    executor.exited("b0", exit_status=None, reason=reason)
    runner.on_executor()
    assert statuses(context, run) == {"b0": "failed"}


@pytest.mark.guarantee("F6")
@pytest.mark.parametrize("folder_exists", [True, False])
def test_engine_killed_between_intent_and_start_starts_the_block(
    context, tmp_path, start, runner, clock, settings, folder_exists
):
    """The attempt's row is stored, its process was never made: the next engine makes it, and nothing fails."""
    make_project(tmp_path, blocks=chain(1))
    runner._executor.begins = False
    run = start()
    folder = runner._executor.folders["b0"]
    if not folder_exists:
        (folder / "task.json").unlink()
        folder.rmdir()
    second = FakeExecutor(clock)
    other = Runner(context.workspace, context.store, second, clock, settings, lambda event: None)
    other.take_new()
    other.on_time()
    assert second.tasks["b0"].attempt == 2
    assert (folder / LOCK_FILE).exists() is folder_exists
    folder.mkdir(exist_ok=True)
    runner._executor.completes("b0")
    runner.on_executor()  # the first engine wakes up: what it says of an attempt given up records nothing
    assert statuses(context, run) == {"b0": "running"}
    second.completes("b0")
    other.on_executor()
    other.close()
    assert context.store.block_runs(run.id)[0].attempt == 2
    assert statuses(context, run) == {"b0": "completed"}


@pytest.mark.guarantee("F5")
def test_attempt_lost_in_a_cancelled_run_never_begins(context, tmp_path, start, runner, clock, settings):
    """Its engine was killed before its process was known, and the run cancelled: who comes late finds that."""
    make_project(tmp_path, blocks=chain(2))
    runner._executor.begins = False
    run = start()
    folder = runner._executor.folders["b0"]
    context.store.request_cancel(run.id, now=clock.now())
    second = FakeExecutor(clock)
    other = Runner(context.workspace, context.store, second, clock, settings, lambda event: None)
    other.take_new()
    other.close()
    assert statuses(context, run) == {"b0": "cancelled", "b1": "cancelled"}
    assert (folder / LOCK_FILE).read_text() == "given up"
    assert second.tasks == {}


def test_engine_killed_while_a_block_waits_for_another_start_starts_it(
    context, tmp_path, start, runner, executor, clock, settings
):
    make_project(tmp_path, blocks=chain(1))
    executor.begins = False
    start()
    executor.exited("b0", exit_status=-9)
    runner.on_executor()
    second = FakeExecutor(clock)
    other = Runner(context.workspace, context.store, second, clock, settings, lambda event: None)
    other.take_new()
    other.on_time()
    other.close()
    assert second.tasks["b0"].attempt == 2


def test_run_that_the_runner_fails_on_leaves_no_block_running(
    context, tmp_path, start, executor, clock, settings, monkeypatch
):
    """Resuming fails by a fault of ours: the run fails with all its blocks, and the runs after it go on."""
    make_project(tmp_path, blocks=chain(2))
    first = start()
    second = context.store.create_run(NewRun("demo", "main", "manual"), now=clock.now())

    def broken(*args):
        raise KeyError("a spec of tomorrow")

    monkeypatch.setattr(runner_module, "restore", broken)
    fake = FakeExecutor(clock)
    other = Runner(context.workspace, context.store, fake, clock, settings, lambda event: None)
    other.take_new()
    assert statuses(context, first) == {"b0": "failed", "b1": "upstream_failed"}
    found = context.store.run(first.id)
    assert (found.status, found.error.code) == (Status.FAILED, "SB-RUN-062")
    assert context.store.run(second.id).status is Status.RUNNING
    other.close()


def test_full_disk_fails_no_run(context, tmp_path, runner, clock, monkeypatch):
    """The store refuses while a run begins: the run waits for the next look, and is begun then."""
    make_project(tmp_path, blocks=chain(1))
    run = context.store.create_run(NewRun("demo", "main", "manual"), now=clock.now())

    def full(*args, **kwargs):
        raise StorageError("No space left on device", hint="free some")

    with monkeypatch.context() as patch:
        patch.setattr(context.store, "begin_run", full)
        with pytest.raises(StorageError):
            runner.take_new()
    assert context.store.run(run.id).status is Status.QUEUED
    clock.advance(60)
    runner.take_new()
    assert context.store.run(run.id).status is Status.RUNNING


def test_lease_is_written_with_the_run_that_it_carries(context, tmp_path, executor, clock, settings):
    """Whoever finds a run running finds who carries it: the two are one transaction."""
    make_project(tmp_path, blocks=chain(1))
    run = context.store.create_run(NewRun("demo", "main", "manual"), now=clock.now())

    def lease():
        assert context.store.run(run.id).status is Status.RUNNING
        raise StorageError("No space left on device", hint="free some")

    told = (context.workspace, context.store, executor, clock, settings, lambda event: None)
    runner = Runner(*told, lease=lease)
    with pytest.raises(StorageError):
        runner.take_new()
    runner.close()
    assert context.store.run(run.id).status is Status.QUEUED
