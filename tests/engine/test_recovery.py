"""What happens to runs when the processes that carry them are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spellbook_core.engine.supervise import Supervisor, identity, is_alive
from spellbook_core.model.run import NewRun, Status
from spellbook_core.model.staleness import Freshness
from spellbook_core.services import engines, retries, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import PASS_ON, BlockFile, make_project, wait_until

ROOT = Path(__file__).resolve().parents[2]
WAITS = """
import pathlib, time

@data_loader
def wait(*args, **kwargs):
    here = pathlib.Path(__file__).parent
    with (here / 'ran').open('a') as file:
        file.write('x')
    while not (here / 'go').exists():
        time.sleep(0.02)
    return 1
"""
BLOCKS = {"wait": BlockFile(WAITS, "data_loader"), "after": BlockFile(PASS_ON, "transformer", ("wait",))}
NEW = NewRun("demo", "main", "manual")


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path, blocks=BLOCKS)


@pytest.fixture
def ctx(project, tmp_path):
    made = open_context(tmp_path)
    yield made
    (project / "data_loaders/go").touch()
    engines.stop(made)
    made.close()


@pytest.fixture
def running(ctx, project):
    """A run whose first block waits: (run, its process)."""
    run = runs.start(ctx, NEW)
    wait_until(lambda: (project / "data_loaders/ran").exists(), what="the block runs")
    (attempt,) = wait_until(lambda: [a for a in ctx.store.attempts(run.id) if a.process], what="its process is known")
    return run, attempt.process


def kill_engine(ctx):
    pid = engines.status(ctx).pid
    process = identity(pid)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(process), what="the engine is dead")


def ended(ctx, run, timeout_s=15.0):
    wait_until(lambda: runs.get(ctx, run.id).status.is_terminal, timeout_s, what="the run ends")
    return runs.get(ctx, run.id).status


def statuses(ctx, run):
    return {found.block: found.status.value for found in runs.block_runs(ctx, run.id)}


def test_killed_engine_is_followed_by_one_that_goes_on(ctx, project, running):
    """The block lives through it, is adopted, and the rest of the plan runs; nothing runs twice."""
    run, worker = running
    kill_engine(ctx)
    assert is_alive(worker)
    engines.ensure(ctx)
    (project / "data_loaders/go").touch()
    assert ended(ctx, run, 30.0) is Status.COMPLETED
    assert (project / "data_loaders/ran").read_text() == "x"


def test_output_of_an_adopted_block_is_fresh_afterwards(ctx, project, running):
    run, _ = running
    kill_engine(ctx)
    engines.ensure(ctx)
    (project / "data_loaders/go").touch()
    assert ended(ctx, run, 30.0) is Status.COMPLETED
    assert {state.state for state in runs.staleness(ctx, "demo", "main").values()} == {Freshness.FRESH}


@pytest.mark.guarantee("F5")
def test_success_sealed_while_no_engine_led_is_kept(ctx, project, running):
    run, worker = running
    kill_engine(ctx)
    (project / "data_loaders/go").touch()
    wait_until(lambda: not is_alive(worker), what="the block has ended")
    engines.ensure(ctx)
    assert ended(ctx, run, 30.0) is Status.COMPLETED
    assert (project / "data_loaders/ran").read_text() == "x"


@pytest.mark.guarantee("F5")
def test_worker_lost_with_its_engine_is_failed(ctx, running):
    run, worker = running
    kill_engine(ctx)
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(worker), what="the worker is dead")
    engines.ensure(ctx)
    assert ended(ctx, run) is Status.FAILED
    assert statuses(ctx, run) == {"wait": "failed", "after": "upstream_failed"}
    assert "lost" in runs.block_runs(ctx, run.id)[0].error.message


def test_adopted_block_can_be_cancelled(ctx, running):
    run, worker = running
    kill_engine(ctx)
    engines.ensure(ctx)
    runs.cancel(ctx, run.id)
    assert ended(ctx, run) is Status.CANCELLED
    assert not is_alive(worker)


def test_stopped_engine_leaves_blocks_running(ctx, project, running):
    run, worker = running
    engines.stop(ctx)
    assert is_alive(worker)
    engines.ensure(ctx)
    (project / "data_loaders/go").touch()
    assert ended(ctx, run, 30.0) is Status.COMPLETED


def test_queued_run_waits_for_the_next_engine(ctx, project):
    (project / "data_loaders/go").touch()
    run = ctx.store.create_run(NEW, now=ctx.clock.now())
    engines.ensure(ctx)
    assert ended(ctx, run, 30.0) is Status.COMPLETED


def test_run_of_killed_command_is_taken_over(ctx, project, tmp_path):
    """`spellbook run` is killed: the engine goes on with its run within three heartbeats."""
    code = (
        "import sys; from pathlib import Path; from spellbook_core.services import runs, wiring;"
        "from spellbook_core.model.run import NewRun;"
        "runs.run_here(wiring.open_context(Path(sys.argv[1])), NewRun('demo', 'main', 'cli'), lambda event: None)"
    )
    command = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, start_new_session=True)
    wait_until(lambda: (project / "data_loaders/ran").exists(), what="the block runs")
    engines.ensure(ctx)
    (run,) = runs.list_runs(ctx).runs
    command.kill()
    command.wait()
    (project / "data_loaders/go").touch()
    assert ended(ctx, run, 30.0) is Status.COMPLETED
    assert (project / "data_loaders/ran").read_text() == "x"


def test_end_of_a_stranger_is_told(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    supervisor = Supervisor()
    process = identity(child.pid)
    assert supervisor.watch(7, process)
    assert supervisor.ended() == []
    child.stdin.close()
    wait_until(supervisor.ended, fd=supervisor.fileno(), what="its end")
    child.wait()
    assert not is_alive(process)
    assert not supervisor.watch(8, process)
    supervisor.close()


def test_run_goes_on_though_its_pipeline_was_broken_meanwhile(ctx, project, running):
    """What a run needs is in the run store: an edit that goes wrong while no engine leads harms only later runs."""
    run, _ = running
    kill_engine(ctx)
    (project / "pipelines/main/metadata.yaml").write_text("blocks: [")
    engines.ensure(ctx)
    (project / "data_loaders/go").touch()
    assert ended(ctx, run, 30.0) is Status.COMPLETED


@pytest.mark.guarantee("F6")
def test_run_that_cannot_go_on_leaves_no_process_behind(ctx, project, running):
    """Its project is gone: the run and its blocks fail, and the block that an earlier engine started is ended."""
    run, worker = running
    kill_engine(ctx)
    project.rename(project.with_name("elsewhere"))
    engines.ensure(ctx)
    assert ended(ctx, run) is Status.FAILED
    assert statuses(ctx, run) == {"wait": "failed", "after": "upstream_failed"}
    wait_until(lambda: not is_alive(worker), 15.0, what="the block's process has been ended")
    project.with_name("elsewhere").rename(project)


@pytest.mark.guarantee("F25")
def test_store_lost_while_a_run_is_under_way_is_rebuilt(ctx, project, running, tmp_path):
    """The run ends with what is known of it, the engine goes on, and a retry finishes it."""
    run, worker = running
    ctx.close()
    ctx.workspace.database_path.unlink()
    (project / "data_loaders/go").touch()
    wait_until(lambda: not is_alive(worker), what="the block has ended")
    found = runs.get(ctx, run.id)
    assert (found.status, found.error.code) == (Status.FAILED, "SB-RUN-061")
    again = retries.retry(ctx, run.id)
    assert runs.wait(ctx, again.id, 60).status is Status.COMPLETED
