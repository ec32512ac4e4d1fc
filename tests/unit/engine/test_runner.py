"""The runner's logic with a hand-written executor: no process, no waiting."""

from __future__ import annotations

import dataclasses
import os

import pytest

from spellbook_core.engine.ports import Exited, Progressed, Sealed
from spellbook_core.engine.runner import Runner
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.outcome import ErrorReport
from spellbook_core.model.run import NewRun, Selection, Status
from spellbook_core.runs.store import StoreBusyError
from tests.conftest import BlockFile, chain, make_project
from tests.unit.engine.conftest import FakeExecutor


def statuses(context, run):
    return {found.block: found.status.value for found in context.store.block_runs(run.id)}


def test_blocks_run_one_after_the_other(context, tmp_path, start, runner, executor, events):
    make_project(tmp_path, blocks=chain(2), variables={"rows": 3})
    run = start(variables={"more": 1})
    assert list(executor.tasks) == ["b0"]
    assert executor.tasks["b0"].variables == {"rows": 3, "more": 1}
    executor.completes("b0")
    runner.on_executor()
    assert list(executor.tasks) == ["b0", "b1"]
    assert [entry.block for entry in executor.tasks["b1"].inputs] == ["b0"]
    executor.completes("b1")
    runner.on_executor()
    assert context.store.run(run.id).status is Status.COMPLETED
    assert runner.is_idle
    assert [(event.get("block"), event["status"]) for event in events] == [
        (None, "running"),
        ("b0", "running"),
        ("b0", "completed"),
        ("b1", "running"),
        ("b1", "completed"),
        (None, "completed"),
    ]


def test_intent_is_stored_before_submit(context, tmp_path, start, executor, monkeypatch):
    make_project(tmp_path, blocks=chain(1))
    seen = []

    def submit(task, attempt_dir, *, ahead=()):
        seen.append((context.store.attempts(task.run_id), (attempt_dir / "task.json").exists()))
        return {}

    monkeypatch.setattr(executor, "submit", submit)
    start()
    ((attempts, has_task),) = seen
    assert [(attempt.attempt, attempt.process) for attempt in attempts] == [(1, None)]
    assert has_task


def test_process_is_recorded_when_it_is_told_to_have_started(context, tmp_path, start, runner, executor):
    make_project(tmp_path, blocks=chain(1))
    run = start()
    executor.started("b0")
    runner.on_executor()
    (attempt,) = context.store.attempts(run.id)
    assert attempt.process.pid == os.getpid()
    assert attempt.handle == {"block": "b0"}


def test_process_that_is_told_with_the_end_of_its_block_is_not_recorded(context, tmp_path, start, runner, executor):
    """Nobody looks for it any more."""
    make_project(tmp_path, blocks=chain(1))
    run = start()
    executor.started("b0")
    executor.completes("b0")
    runner.on_executor()
    assert statuses(context, run) == {"b0": "completed"}
    assert [attempt.process for attempt in context.store.attempts(run.id)] == [None]


def test_process_that_could_not_be_recorded_is_recorded_with_the_next_change(
    context, tmp_path, start, runner, executor, monkeypatch
):
    make_project(tmp_path, blocks=chain(1))
    run = start()
    executor.started("b0")

    def refuse(*told):
        raise StoreBusyError("locked", hint="wait")

    with monkeypatch.context() as patch:
        patch.setattr(context.store, "record_process", refuse)
        with pytest.raises(StoreBusyError, match="locked"):
            runner.on_executor()
    assert runner.next_due_s() is None  # else the loop would turn without a pause
    runner.take_new()
    (attempt,) = context.store.attempts(run.id)
    assert attempt.process.pid == os.getpid()


def test_limit_holds_over_all_runs(tmp_path, start, runner, executor):
    make_project(tmp_path, blocks={name: BlockFile("", "data_loader") for name in ("a", "b", "c")})
    make_project(tmp_path, pipeline="second", blocks={"d": BlockFile("", "data_loader")})
    start()
    start(pipeline="second")
    assert list(executor.tasks) == ["a", "b"]
    executor.completes("a")
    runner.on_executor()
    assert list(executor.tasks) == ["a", "b", "c"]
    assert runner.workers == 2


def test_failed_block_stops_its_descendants_only(context, tmp_path, start, runner, executor):
    blocks = {
        "bad": BlockFile("", "data_loader"),
        "good": BlockFile("", "data_loader"),
        "child": BlockFile("", "transformer", ("bad",)),
        "leaf": BlockFile("", "transformer", ("child",)),
    }
    make_project(tmp_path, blocks=blocks)
    run = start()
    executor.seal("bad", ErrorReport("SB-WRK-001", "no", "fix"))
    executor.exited("bad")
    executor.completes("good")
    runner.on_executor()
    assert statuses(context, run) == {
        "bad": "failed",
        "good": "completed",
        "child": "upstream_failed",
        "leaf": "upstream_failed",
    }
    found = context.store.run(run.id)
    assert (found.status, found.blocks_done, found.blocks_total) == (Status.FAILED, 4, 4)


def test_exit_without_outcome_is_a_failure(context, tmp_path, start, runner, executor):
    make_project(tmp_path, blocks=chain(1))
    run = start()
    executor.exited("b0", exit_status=0)
    runner.on_executor()
    (found,) = context.store.block_runs(run.id)
    assert found.status is Status.FAILED
    assert "without a result" in found.error.message


def test_sealed_success_stands_although_killed(context, tmp_path, start, runner, executor):
    make_project(tmp_path, blocks=chain(1))
    run = start()
    executor.seal("b0")
    executor.exited("b0", exit_status=-9, reason="cancelled")
    runner.on_executor()
    assert statuses(context, run) == {"b0": "completed"}


def test_timeout_is_told_although_interrupted(context, tmp_path, start, runner, executor):
    make_project(tmp_path, blocks=chain(1))
    run = start()
    executor.seal("b0", ErrorReport("SB-WRK-006", "KeyboardInterrupt", ""))
    executor.exited("b0", exit_status=-2, reason="timeout")
    runner.on_executor()
    (found,) = context.store.block_runs(run.id)
    assert "time limit" in found.error.message


def test_cancel_ends_run(context, tmp_path, start, runner, executor, clock):
    make_project(tmp_path, blocks=chain(2))
    run = start()
    context.store.request_cancel(run.id, now=clock.now())
    runner.take_new()
    runner.take_new()
    assert executor.cancelled == ["b0"]
    assert runner.is_cancelling
    executor.exited("b0", exit_status=-2, reason="cancelled")
    runner.on_executor()
    assert statuses(context, run) == {"b0": "cancelled", "b1": "cancelled"}
    assert context.store.run(run.id).status is Status.CANCELLED


def test_run_cancelled_in_the_queue_never_begins(context, tmp_path, runner, executor, clock):
    make_project(tmp_path, blocks=chain(1))
    run = context.store.create_run(NewRun("demo", "main", "manual"), now=clock.now())
    context.store.request_cancel(run.id, now=clock.now())
    runner.take_new()
    assert context.store.run(run.id).status is Status.CANCELLED
    assert executor.tasks == {}


def test_event_of_older_attempt_is_ignored(context, tmp_path, start, runner, executor):
    make_project(tmp_path, blocks=chain(1))
    run = start()
    task = executor.tasks["b0"]
    executor.events.append(Exited(task.block_run_id, task.attempt - 1, 1))
    executor.events.append(Progressed(task.block_run_id, task.attempt - 1, "log"))
    runner.on_executor()
    assert statuses(context, run) == {"b0": "running"}


def test_child_starts_when_its_parent_has_sealed(context, tmp_path, start, runner, executor):
    """The next block does not wait for a process to end, nor does its late end change anything."""
    make_project(tmp_path, blocks=chain(2))
    run = start()
    executor.sealed("b0")
    runner.on_executor()
    assert list(executor.tasks) == ["b0", "b1"]
    assert runner.workers == 1
    executor.exited("b0", exit_status=-11, crash_trace="late")
    runner.on_executor()
    assert statuses(context, run) == {"b0": "completed", "b1": "running"}


def test_sealed_without_outcome_waits_for_the_end(context, tmp_path, start, runner, executor):
    make_project(tmp_path, blocks=chain(1))
    run = start()
    task = executor.tasks["b0"]
    executor.events.append(Sealed(task.block_run_id, task.attempt))
    runner.on_executor()
    assert statuses(context, run) == {"b0": "running"}
    executor.exited("b0", exit_status=3)
    runner.on_executor()
    assert statuses(context, run) == {"b0": "failed"}


@pytest.mark.parametrize(("reason", "status"), [("timeout", "failed"), ("cancelled", "cancelled")])
def test_failure_sealed_while_being_ended_has_that_reason(
    context, tmp_path, start, runner, executor, clock, reason, status
):
    make_project(tmp_path, blocks=chain(1))
    run = start()
    if reason == "cancelled":
        context.store.request_cancel(run.id, now=clock.now())
        runner.take_new()
    executor.sealed("b0", ErrorReport("SB-WRK-006", "KeyboardInterrupt", ""), reason)
    runner.on_executor()
    assert statuses(context, run) == {"b0": status}


@pytest.mark.guarantee("F17")
def test_run_uses_the_code_of_its_start(context, tmp_path, start, runner, executor):
    project = make_project(tmp_path, blocks=chain(2))
    run = start()
    old = (project / "transformers/b1.py").read_text()
    (project / "transformers/b1.py").write_text("changed = 1")
    executor.completes("b0")
    runner.on_executor()
    assert executor.tasks["b1"].source == old
    assert context.store.code(context.store.block_runs(run.id)[1].code_hash) == old


def test_pipeline_gone_since_the_click_fails_the_run(context, tmp_path, start):
    make_project(tmp_path, blocks=chain(1))
    run = start(pipeline="elsewhere")
    found = context.store.run(run.id)
    assert found.status is Status.FAILED
    assert "elsewhere" in found.error.message


def test_single_block_takes_stored_outputs(context, tmp_path, start, runner, executor):
    make_project(tmp_path, blocks=chain(2))
    start(selection=Selection((BlockUuid("b0"),)))
    executor.completes("b0")
    runner.on_executor()
    run = start(selection=Selection((BlockUuid("b1"),)), trigger="notebook")
    assert executor.tasks["b1"].trigger == "notebook"
    assert [entry.block for entry in executor.tasks["b1"].inputs] == ["b0"]
    executor.completes("b1")
    runner.on_executor()
    assert context.store.run(run.id).status is Status.COMPLETED


def test_next_runner_goes_on(context, tmp_path, start, runner, executor, clock, settings):
    """A sealed success of the dead runner is adopted, not run again, and the rest of the plan runs."""
    make_project(tmp_path, blocks=chain(2))
    run = start()
    executor.seal("b0")
    second = FakeExecutor(clock)
    other = Runner(context.workspace, context.store, second, clock, settings, lambda event: None)
    other.take_new()
    assert list(second.tasks) == ["b1"]
    second.completes("b1")
    other.on_executor()
    other.close()
    assert statuses(context, run) == {"b0": "completed", "b1": "completed"}
    assert context.store.block_runs(run.id)[0].attempt == 1


def test_lost_worker_fails_its_block(context, tmp_path, start, runner, clock, settings):
    make_project(tmp_path, blocks=chain(2))
    run = start()
    other = Runner(context.workspace, context.store, FakeExecutor(clock), clock, settings, lambda event: None)
    other.take_new()
    other.close()
    assert statuses(context, run) == {"b0": "failed", "b1": "upstream_failed"}
    assert "lost" in context.store.block_runs(run.id)[0].error.message


@pytest.mark.guarantee("F7")
def test_foreign_process_with_same_number_is_not_ours(context, tmp_path, start, runner, executor, clock, settings):
    """A row that names a live process which started at another time is declared lost; that process lives on."""
    make_project(tmp_path, blocks=chain(1))
    run = start()
    executor.started("b0")
    runner.on_executor()
    (attempt,) = context.store.attempts(run.id)
    forged = dataclasses.replace(attempt.process, started="1")
    context.store.record_process(attempt.block_run_id, 1, {"block": "b0"}, forged)
    second = FakeExecutor(clock)
    other = Runner(context.workspace, context.store, second, clock, settings, lambda event: None)
    other.take_new()
    other.close()
    assert statuses(context, run) == {"b0": "failed"}
    assert second.cancelled == []


def test_end_waits_while_store_refuses(context, tmp_path, start, runner, executor, monkeypatch):
    """A locked store or a full disk delays the record of an end; nothing is lost."""
    make_project(tmp_path, blocks=chain(2))
    run = start()
    executor.completes("b0")

    def refuse(block_run_id, end):
        raise StoreBusyError("locked", hint="wait")

    with monkeypatch.context() as patch:
        patch.setattr(context.store, "end_block", refuse)
        with pytest.raises(StoreBusyError, match="locked"):
            runner.on_executor()
    assert statuses(context, run) == {"b0": "running", "b1": "initial"}
    runner.take_new()
    assert statuses(context, run) == {"b0": "completed", "b1": "running"}
    executor.completes("b1")
    runner.on_executor()
    assert context.store.run(run.id).status is Status.COMPLETED


@pytest.mark.guarantee("F25")
def test_runner_survives_loss_of_the_store(context, tmp_path, start, runner, executor):
    make_project(tmp_path, blocks=chain(2))
    start()
    context.workspace.database_path.unlink()
    executor.completes("b0")
    runner.on_executor()
    assert runner.is_idle
    again = start()
    assert again.id == 2
    executor.completes("b0")
    runner.on_executor()
    assert statuses(context, again) == {"b0": "completed", "b1": "running"}
