"""Retries and sensors in the runner: what waits, until when, and what ends it. The clock moves only when told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spellbook_core.engine.runner import Runner
from spellbook_core.model.run import Selection, Status
from tests.conftest import BlockFile, make_project
from tests.unit.engine.conftest import FakeExecutor

RETRIES = {"retry_config": {"retries": 2, "delay": 5, "max_delay": 60, "exponential_backoff": True}}


@pytest.fixture
def only(context):
    """Return the newest block run of the run's only block, or of the one named."""

    def find(run, name=None):
        return next(found for found in context.store.block_runs(run.id) if name in (None, found.block))

    return find


def retried(**config):
    return {"flaky": BlockFile("", "data_loader", settings={"retry_config": {**RETRIES["retry_config"], **config}})}


def sensor(**configuration):
    return {"look": BlockFile("", "sensor", settings={"configuration": configuration})}


def test_failed_attempt_waits_for_its_retry(tmp_path, clock, start, runner, executor, events, only, context):
    make_project(tmp_path, blocks=retried())
    run = start()
    executor.fails("flaky")
    runner.on_executor()
    found = only(run)
    assert (found.status, found.waiting_for, found.retried) == (Status.QUEUED, "retry 1 of 2", 1)
    assert (found.waiting_since, found.due_at) == (clock.now(), clock.now() + timedelta(seconds=5))
    assert runner.next_due_s() == 5
    assert (runner.workers, runner.is_idle) == (0, False)
    assert events[-1]["status"] == "queued"
    (earlier,) = context.store.earlier_attempts(found.id)
    assert (earlier.attempt, earlier.error.exception) == (1, "ValueError: no")


def test_retry_starts_when_due_and_not_before(tmp_path, clock, start, runner, executor, only):
    make_project(tmp_path, blocks=retried())
    run = start()
    executor.fails("flaky")
    runner.on_executor()
    clock.advance(4.9)
    runner.on_time()
    assert only(run).status is Status.QUEUED
    clock.advance(0.1)
    runner.on_time()
    assert (only(run).status, only(run).attempt, only(run).waiting_for) == (Status.RUNNING, 2, None)
    assert executor.tasks["flaky"].attempt == 2
    executor.completes("flaky")
    runner.on_executor()
    assert (only(run).status, only(run).retried) == (Status.COMPLETED, 1)
    assert runner.is_idle
    assert runner.next_due_s() is None


def test_last_retry_fails_the_block_with_its_error(tmp_path, clock, start, runner, executor, only, context):
    make_project(tmp_path, blocks=retried())
    run = start()
    for delay_s in (5, 10):
        executor.fails("flaky")
        runner.on_executor()
        assert runner.next_due_s() == delay_s
        clock.advance(delay_s)
        runner.on_time()
    executor.fails("flaky")
    runner.on_executor()
    found = only(run)
    assert (found.status, found.attempt, found.error.exception) == (Status.FAILED, 3, "ValueError: no")
    assert [end.attempt for end in context.store.earlier_attempts(found.id)] == [1, 2]
    assert context.store.run(run.id).status is Status.FAILED


@pytest.mark.parametrize(
    ("exit_status", "reason"), [(-9, "timeout"), (None, "worker lost"), (-11, None), (None, "cannot start: no fork")]
)
def test_every_way_to_fail_is_retried(tmp_path, start, runner, executor, only, exit_status, reason):
    make_project(tmp_path, blocks=retried())
    run = start()
    executor.exited("flaky", exit_status=exit_status, reason=reason)
    runner.on_executor()
    assert only(run).waiting_for == "retry 1 of 2"


@pytest.mark.parametrize("code", ["SB-WRK-002", "SB-WRK-003", "SB-WRK-012"])
def test_what_must_fail_again_is_not_retried(tmp_path, start, runner, executor, only, code):
    """The text that runs is that of the run's start: a syntax error in it stays."""
    make_project(tmp_path, blocks=retried())
    run = start()
    executor.fails("flaky", code)
    runner.on_executor()
    assert only(run).status is Status.FAILED


def test_notebook_runs_a_block_once(tmp_path, start, runner, executor, only):
    make_project(tmp_path, blocks=retried())
    run = start(trigger="notebook", selection=Selection(("flaky",)))
    executor.fails("flaky")
    runner.on_executor()
    assert only(run).status is Status.FAILED


def test_project_pipeline_and_block_set_retries(tmp_path, start, runner, executor, only):
    block = BlockFile("", "data_loader", settings={"retry_config": {"retries": 3, "delay": 1}})
    project = make_project(tmp_path, blocks={"flaky": block})
    (project / "metadata.yaml").write_text("retry_config: {retries: 9, delay: 9, max_delay: 99}\n")
    pipeline = project / "pipelines/main/metadata.yaml"
    pipeline.write_text(pipeline.read_text() + "retry_config: {max_delay: 3}\n")
    run = start()
    executor.fails("flaky")
    runner.on_executor()
    assert only(run).waiting_for == "retry 1 of 1"  # 1 + 2 s would reach the pipeline's 3 s
    assert runner.next_due_s() == 1


def test_bad_retries_fail_the_run_and_name_the_block(tmp_path, start, context):
    make_project(tmp_path, blocks=retried(retries="many"))
    run = start()
    error = context.store.run(run.id).error
    assert (error.code, error.facts["block"]) == ("SB-RUN-030", "flaky")
    assert "retries: many" in error.message


def test_cancel_ends_a_waiting_block_at_once(tmp_path, clock, start, runner, executor, only, context):
    make_project(tmp_path, blocks={**retried(), "child": BlockFile("", "transformer", ("flaky",))})
    run = start()
    executor.fails("flaky")
    runner.on_executor()
    context.store.request_cancel(run.id, now=clock.now())
    clock.advance(4.5)  # the look at all runs; a click wakes it at once
    runner.take_new()
    assert {found.status for found in context.store.block_runs(run.id)} == {Status.CANCELLED}
    assert context.store.run(run.id).status is Status.CANCELLED
    assert runner.next_due_s() is None


def test_waiting_block_holds_no_place(tmp_path, start, runner, executor):
    make_project(tmp_path, blocks={**retried(), "b": BlockFile("", "data_loader"), "c": BlockFile("", "data_loader")})
    start()
    assert list(executor.tasks) == ["flaky", "b"]
    executor.fails("flaky")
    runner.on_executor()
    assert list(executor.tasks) == ["flaky", "b", "c"]


@pytest.mark.guarantee("F10")
@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(hours=-1)])
def test_jump_of_the_clock_moves_no_retry(tmp_path, clock, start, runner, executor, only, jump):
    make_project(tmp_path, blocks=retried())
    run = start()
    executor.fails("flaky")
    runner.on_executor()
    clock.at += jump
    runner.on_time()
    assert (only(run).status, runner.next_due_s()) == (Status.QUEUED, 5)
    clock.advance(5)
    runner.on_time()
    assert only(run).status is Status.RUNNING


@pytest.mark.guarantee("F10")
def test_jump_of_the_clock_ends_no_sensor(tmp_path, clock, start, runner, executor, only):
    make_project(tmp_path, blocks=sensor(poll_interval=10, timeout=60))
    run = start()
    clock.at += timedelta(days=1)
    executor.completes("look", is_met=False)
    runner.on_executor()
    assert (only(run).status, runner.next_due_s()) == (Status.QUEUED, 10)


@pytest.mark.guarantee("F10")
@pytest.mark.parametrize(
    ("blocks", "delay_s"),
    [(retried(), 5), (sensor(poll_interval=10, timeout=60), 10)],
    ids=["retry", "sensor"],
)
@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(days=-1)], ids=["on", "back"])
def test_clock_that_jumps_while_no_engine_led_moves_nothing(
    tmp_path, clock, start, runner, executor, only, context, settings, blocks, delay_s, jump
):
    make_project(tmp_path, blocks=blocks)
    run = start()
    (name,) = blocks
    executor.fails(name) if name == "flaky" else executor.completes(name, is_met=False)
    runner.on_executor()
    clock.advance(1)
    clock.at += jump
    second = FakeExecutor(clock)
    other = Runner(context.workspace, context.store, second, clock, settings, lambda event: None)
    other.take_new()
    assert (only(run).status, other.next_due_s()) == (Status.QUEUED, delay_s - 1)
    clock.advance(delay_s - 1)
    other.on_time()
    assert only(run).status is Status.RUNNING
    other.close()


@pytest.mark.guarantee("F10")
@pytest.mark.parametrize("jump", [timedelta(0), timedelta(days=1), timedelta(days=-1)], ids=["none", "on", "back"])
@pytest.mark.parametrize("looks", [0, 1], ids=["it looks", "it waits"])
def test_sensor_keeps_its_time_over_a_restart(
    tmp_path, clock, start, runner, executor, only, context, settings, jump, looks
):
    """Whether it is looking or waiting as the engine is killed, and whatever becomes of the wall clock then."""
    make_project(tmp_path, blocks=sensor(poll_interval=40, timeout=60))
    run = start()
    executor.completes("look", is_met=False)
    if looks:
        runner.on_executor()
    clock.advance(50)
    clock.at += jump
    second = FakeExecutor(clock)
    other = Runner(context.workspace, context.store, second, clock, settings, lambda event: None)
    other.take_new()
    if looks:
        other.on_time()
        second.completes("look", is_met=False)
        other.on_executor()
    assert (only(run).status, other.next_due_s()) == (Status.QUEUED, 10)
    clock.advance(10)
    other.on_time()
    second.completes("look", is_met=False)
    other.on_executor()
    assert only(run).error.code == "SB-RUN-032"
    other.close()


@pytest.mark.guarantee("F10")
@pytest.mark.parametrize(("jump", "left_s"), [(timedelta(seconds=2), 2), (timedelta(days=-1), 5)], ids=["on", "back"])
def test_retry_goes_by_the_wall_clock_after_a_reboot_and_waits_no_longer_than_its_delay(
    tmp_path, clock, start, runner, executor, only, context, settings, monkeypatch, jump, left_s
):
    make_project(tmp_path, blocks=retried())
    run = start()
    executor.fails("flaky")
    runner.on_executor()
    clock.advance(1)
    clock.at += jump
    clock.seconds = 3.0
    monkeypatch.setattr("spellbook_core.engine.waits.boot_id", lambda: "another")
    other = Runner(context.workspace, context.store, FakeExecutor(clock), clock, settings, lambda event: None)
    other.take_new()
    assert (only(run).status, other.next_due_s()) == (Status.QUEUED, left_s)
    other.close()


def test_sensor_goes_by_the_wall_clock_after_a_reboot(
    tmp_path, clock, start, runner, executor, only, context, settings, monkeypatch
):
    make_project(tmp_path, blocks=sensor(poll_interval=40, timeout=60))
    run = start()
    executor.completes("look", is_met=False)
    runner.on_executor()
    clock.advance(50)
    clock.seconds = 3.0
    monkeypatch.setattr("spellbook_core.engine.waits.boot_id", lambda: "another")
    second = FakeExecutor(clock)
    other = Runner(context.workspace, context.store, second, clock, settings, lambda event: None)
    other.take_new()
    other.on_time()
    second.completes("look", is_met=False)
    other.on_executor()
    assert (only(run).status, other.next_due_s()) == (Status.QUEUED, 10)
    other.close()


def test_next_runner_waits_on(tmp_path, clock, start, runner, executor, only, context, settings):
    make_project(tmp_path, blocks=retried())
    run = start()
    executor.fails("flaky")
    runner.on_executor()
    clock.advance(2)
    second = FakeExecutor(clock)
    other = Runner(context.workspace, context.store, second, clock, settings, lambda event: None)
    other.take_new()
    assert (other.next_due_s(), second.tasks) == (3, {})
    clock.advance(3)
    other.on_time()
    assert second.tasks["flaky"].attempt == 2
    second.fails("flaky")
    other.on_executor()
    assert only(run).waiting_for == "retry 2 of 2"
    other.close()


def test_failure_found_after_a_restart_is_retried(tmp_path, clock, start, executor, only, context, settings):
    """The engine died before it read the outcome: the next one reads it and waits for the retry."""
    make_project(tmp_path, blocks=retried())
    run = start()
    executor.fails("flaky")
    other = Runner(context.workspace, context.store, FakeExecutor(clock), clock, settings, lambda event: None)
    other.take_new()
    assert only(run).waiting_for == "retry 1 of 2"
    other.close()


def test_sensor_looks_again_until_it_is_true(tmp_path, clock, start, runner, executor, only):
    make_project(tmp_path, blocks={**sensor(), "child": BlockFile("", "transformer", ("look",))})
    run = start()
    first = clock.now()
    for _ in range(2):
        executor.completes("look", is_met=False)
        runner.on_executor()
        found = only(run, "look")
        assert (found.status, found.waiting_for) == (Status.QUEUED, "the sensor's next look")
        assert (found.waiting_since, runner.next_due_s(), runner.workers) == (first, 60, 0)
        clock.advance(60)
        runner.on_time()
    executor.completes("look", is_met=True)
    runner.on_executor()
    assert only(run, "look").status is Status.COMPLETED
    assert "child" in executor.tasks


def test_sensor_fails_when_its_time_is_up(tmp_path, clock, start, runner, executor, only):
    make_project(tmp_path, blocks=sensor(poll_interval=40, timeout=60))
    run = start()
    for wait_s in (40, 20):
        executor.completes("look", is_met=False)
        runner.on_executor()
        assert runner.next_due_s() == wait_s
        clock.advance(wait_s)
        runner.on_time()
    executor.completes("look", is_met=False)
    runner.on_executor()
    error = only(run).error
    assert (only(run).status, error.code) == (Status.FAILED, "SB-RUN-032")
    assert "not true within 60 s: 3 looks since 2026-01-05 02:00:00 UTC" in error.message


def test_sensor_that_raises_fails_or_is_retried(tmp_path, start, runner, executor, only):
    make_project(tmp_path, blocks=sensor())
    run = start()
    executor.fails("look")
    runner.on_executor()
    assert only(run).status is Status.FAILED


def test_sensor_is_called_once_in_the_notebook(tmp_path, start, runner, executor, only):
    make_project(tmp_path, blocks=sensor())
    run = start(trigger="notebook", selection=Selection(("look",)))
    executor.completes("look")
    runner.on_executor()
    assert only(run).status is Status.COMPLETED


def test_cancelled_sensor_is_cancelled_although_it_answered(tmp_path, clock, start, runner, executor, only, context):
    make_project(tmp_path, blocks=sensor())
    run = start()
    context.store.request_cancel(run.id, now=clock.now())
    clock.advance(4.5)
    runner.take_new()
    executor.completes("look", is_met=False)
    runner.on_executor()
    assert only(run).status is Status.CANCELLED


def test_old_looks_are_forgotten(tmp_path, clock, start, runner, executor, only, context):
    make_project(tmp_path, blocks=sensor(poll_interval=1))
    run = start()
    for _ in range(8):
        executor.completes("look", is_met=False)
        runner.on_executor()
        clock.advance(1)
        runner.on_time()
    assert [end.attempt for end in context.store.earlier_attempts(only(run).id)] == [4, 5, 6, 7, 8]
    folders = context.workspace.attempt_dir(run.id, only(run).id, 1).parent.iterdir()
    assert sorted(int(folder.name.rpartition(".")[2]) for folder in folders) == [4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("configuration", [{"poll_interval": "often"}, {"timeout": -1}, {"watch": "../secret"}])
def test_bad_sensor_fails_the_run_and_names_the_key(tmp_path, start, context, configuration):
    make_project(tmp_path, blocks=sensor(**configuration))
    error = context.store.run(start().id).error
    assert (error.code, error.facts["block"]) == ("SB-RUN-031", "look")
    assert next(iter(configuration)) in error.message
