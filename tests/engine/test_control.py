"""Retries, timeouts and sensors with real processes and a real engine."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
from click.testing import CliRunner

from spellbook_core.cli.following import logs
from spellbook_core.engine.supervise import identity, is_alive
from spellbook_core.model.run import NewRun, Status
from spellbook_core.services import engines, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import PASS_ON, BlockFile, make_project, wait_until

NEW = NewRun("demo", "main", "manual")
FLAKY = """
import pathlib

@data_loader
def load(*args, **kwargs):
    here = pathlib.Path(__file__).parent / 'ran'
    with here.open('a') as file:
        file.write('x')
    count = len(here.read_text())
    print('attempt', count)
    if count < 3:
        raise ValueError(f'attempt {count}')
    return count
"""
SLOW_AT_FIRST = """
import pathlib, time

@data_loader
def load(*args, **kwargs):
    here = pathlib.Path(__file__).parent / 'ran'
    with here.open('a') as file:
        file.write('x')
    while len(here.read_text()) < 2:
        time.sleep(0.05)
    return 1
"""
SENSOR = """
import pathlib

@sensor
def look(*args, **kwargs):
    project = pathlib.Path(kwargs['repo_path'])
    with (project / 'sensors/looks').open('a') as file:
        file.write('x')
    return (project / 'data/ready.csv').exists()
"""


def retried(source, timeout=None, **config):
    settings = {"retry_config": {"retries": 2, "delay": 0.2, "max_delay": 600, "exponential_backoff": True, **config}}
    return BlockFile(source, "data_loader", settings=settings if timeout is None else {**settings, "timeout": timeout})


def sensing(**configuration):
    return {
        "look": BlockFile(SENSOR, "sensor", settings={"configuration": configuration}),
        "after": BlockFile(PASS_ON, "transformer", ("look",)),
    }


@pytest.fixture
def ctx(tmp_path):
    (tmp_path / "projects").mkdir()
    made = open_context(tmp_path)
    yield made
    engines.stop(made)
    made.close()


def ended(ctx, run, timeout_s=30.0):
    wait_until(lambda: runs.get(ctx, run.id).status.is_terminal, timeout_s, what=f"run {run.id} ends")
    return runs.get(ctx, run.id).status


def first(ctx, run):
    return runs.block_runs(ctx, run.id)[0]


def waiting(ctx, run):
    def found():
        return [seen for seen in runs.block_runs(ctx, run.id) if seen.waiting_for]

    return wait_until(found, what="the block waits")[0]


def test_block_that_fails_twice_then_succeeds_completes(ctx, tmp_path):
    """Each attempt has its own log, error and folder."""
    project = make_project(tmp_path, blocks={"flaky": retried(FLAKY)})
    run = runs.run_here(ctx, NEW, lambda event: None)
    assert run.status is Status.COMPLETED
    assert (project / "data_loaders/ran").read_text() == "xxx"
    found = first(ctx, run)
    assert (found.attempt, found.retried, found.error) == (3, 2, None)
    attempts = runs.earlier_attempts(ctx, found)
    assert [attempt.error.exception for attempt in attempts] == ["ValueError: attempt 1", "ValueError: attempt 2"]
    for number in (1, 2, 3):
        assert [f"attempt {number}"] == [
            line.text for line in runs.log_tail(ctx, found, attempt=number).lines if line.stream == "stdout"
        ]


def test_log_of_each_attempt_is_printed(ctx, tmp_path):
    make_project(tmp_path, blocks={"flaky": retried(FLAKY)})
    run = runs.run_here(ctx, NEW, lambda event: None)
    for number, found in ((1, "attempt 1"), (2, "attempt 2"), (None, "attempt 3")):
        options = () if number is None else ("--attempt", str(number))
        told = CliRunner().invoke(logs, [str(run.id), *options, "--path", str(tmp_path)])
        assert told.exit_code == 0, told.output
        assert next(line for line in told.stdout.splitlines() if "| attempt" in line).endswith(found)


@pytest.mark.guarantee("F35")
def test_attempt_that_never_ends_is_timed_out_and_retried(ctx, tmp_path):
    project = make_project(tmp_path, blocks={"slow": retried(SLOW_AT_FIRST, timeout=1)})
    run = runs.run_here(ctx, NEW, lambda event: None)
    assert run.status is Status.COMPLETED
    found = first(ctx, run)
    (attempt,) = runs.earlier_attempts(ctx, found)
    assert "time limit of 1 s" in attempt.error.message
    assert 1 <= (attempt.ended_at - attempt.started_at).total_seconds() < 4
    assert (project / "data_loaders/ran").read_text() == "xx"


@pytest.mark.guarantee("F35")
def test_block_fails_when_its_last_attempt_is_timed_out(ctx, tmp_path):
    source = "import time\n\n@data_loader\ndef load(*args, **kwargs):\n    time.sleep(600)\n"
    make_project(tmp_path, blocks={"slow": retried(source, timeout=0.5, retries=1)})
    run = runs.run_here(ctx, NEW, lambda event: None)
    found = first(ctx, run)
    assert (run.status, found.attempt, found.error.code) == (Status.FAILED, 2, "SB-WRK-009")


@pytest.mark.guarantee("F5")
def test_killed_worker_is_retried_as_its_policy_says(ctx, tmp_path):
    project = make_project(tmp_path, blocks={"slow": retried(SLOW_AT_FIRST)})
    run = runs.start(ctx, NEW)
    wait_until(lambda: (project / "data_loaders/ran").exists(), what="the block runs")
    (attempt,) = wait_until(lambda: [a for a in ctx.store.attempts(run.id) if a.process], what="its process is known")
    os.kill(attempt.process.pid, signal.SIGKILL)
    assert ended(ctx, run) is Status.COMPLETED
    (lost,) = runs.earlier_attempts(ctx, first(ctx, run))
    assert lost.error.code in {"SB-WRK-008", "SB-WRK-011"}
    assert (project / "data_loaders/ran").read_text() == "xx"


@pytest.mark.guarantee("F6")
def test_engine_killed_while_a_block_waits_is_followed_by_one_that_retries(ctx, tmp_path):
    project = make_project(tmp_path, blocks={"flaky": retried(FLAKY, delay=3)})
    run = runs.start(ctx, NEW)
    due_at = waiting(ctx, run).due_at
    pid = engines.status(ctx).pid
    process = identity(pid)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(process), what="the engine is dead")
    assert (first(ctx, run).status, first(ctx, run).due_at) == (Status.QUEUED, due_at)
    engines.ensure(ctx)
    assert ended(ctx, run) is Status.COMPLETED
    assert (project / "data_loaders/ran").read_text() == "xxx"
    assert first(ctx, run).attempt == 3


def test_cancel_of_a_waiting_block_does_not_wait(ctx, tmp_path):
    make_project(tmp_path, blocks={"flaky": retried(FLAKY, delay=500)})
    run = runs.start(ctx, NEW)
    assert waiting(ctx, run).waiting_for == "retry 1 of 1"
    runs.cancel(ctx, run.id)
    assert ended(ctx, run, 5.0) is Status.CANCELLED
    assert first(ctx, run).status is Status.CANCELLED


def test_sensor_is_polled_until_true(ctx, tmp_path):
    project = make_project(tmp_path, blocks=sensing(poll_interval=0.5))
    (project / "data").mkdir()
    run = runs.start(ctx, NEW)
    found = waiting(ctx, run)
    assert (found.waiting_for, found.waiting_since) == ("the sensor's next look", found.first_started_at)
    wait_until(lambda: len((project / "sensors/looks").read_text()) >= 3, what="it looks again")
    (project / "data/ready.csv").touch()
    assert ended(ctx, run) is Status.COMPLETED
    assert [found.status for found in runs.block_runs(ctx, run.id)] == [Status.COMPLETED] * 2


def test_waiting_sensor_holds_no_process_and_is_woken_by_its_file(ctx, tmp_path):
    project = make_project(tmp_path, blocks=sensing(poll_interval=3600, watch="data/*.csv"))
    (project / "data").mkdir()
    run = runs.start(ctx, NEW)
    assert "data/*.csv" in waiting(ctx, run).waiting_for
    (attempt,) = ctx.store.attempts(run.id)
    wait_until(lambda: attempt.process is None or not psutil.pid_exists(attempt.process.pid), what="no worker is left")
    assert engines.status(ctx).workers == 0
    (project / "data/other.txt").touch()
    (project / "data/ready.csv").touch()
    assert ended(ctx, run) is Status.COMPLETED
    assert len((project / "sensors/looks").read_text()) == 2


def test_sensor_looks_at_once_after_a_restart(ctx, tmp_path):
    """Its file came while no engine watched."""
    project = make_project(tmp_path, blocks=sensing(poll_interval=3600, watch="data/ready.csv"))
    run = runs.start(ctx, NEW)
    waiting(ctx, run)
    engines.stop(ctx)
    (project / "data").mkdir()
    (project / "data/ready.csv").touch()
    engines.ensure(ctx)
    assert ended(ctx, run) is Status.COMPLETED


def test_sensor_gives_up_after_its_timeout(ctx, tmp_path):
    make_project(tmp_path, blocks=sensing(poll_interval=0.5, timeout=1.2))
    run = runs.run_here(ctx, NEW, lambda event: None)
    found = first(ctx, run)
    assert (run.status, found.error.code) == (Status.FAILED, "SB-RUN-032")
    assert "was not true within 1.2 s" in found.error.message
    assert runs.block_runs(ctx, run.id)[1].status is Status.UPSTREAM_FAILED


def test_sensor_in_the_notebook_is_one_call_with_its_result(ctx, tmp_path):
    project = make_project(tmp_path, blocks=sensing())
    run = runs.run_block(ctx, "demo", "main", "look")
    assert ended(ctx, run) is Status.COMPLETED
    assert (project / "sensors/looks").read_text() == "x"
    assert first(ctx, run).outputs[0].summary.lower() == "false"
