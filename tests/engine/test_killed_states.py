"""kill -9 in the states around user code: before it begins, while it is cancelled, when it has told its children, and
while its environment is made. Those within an attempt are in `test_kill_points`, waiting ones in `test_control`."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from spellbook_core.engine.active import read_outcome
from spellbook_core.engine.supervise import identity, is_alive
from spellbook_core.executors import building
from spellbook_core.model.run import NewRun, Status
from spellbook_core.project.environment import interpreter_of
from spellbook_core.services import engines, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import PASS_ON, BlockFile, make_project, wait_until
from tests.engine.test_environments import ADD, SECTION, wheel

SETTLED_S = 15.0
"""The promise: no state is wrong for longer."""

NEW = NewRun("demo", "main", "manual")
GATED = """
import pathlib, signal, time
{signals}
@data_loader
def work(*args, **kwargs):
    here = pathlib.Path(__file__).parents[1]
    with (here / 'ran').open('a') as file:
        file.write('x')
    while not (here / 'go').exists():
        time.sleep(0.01)
    return {answer}
"""
DEAF = "for number in (signal.SIGINT, signal.SIGTERM):\n    signal.signal(number, signal.SIG_IGN)\n"
CHILD = """
import pathlib

@data_exporter
def child(number, *args, **kwargs):
    with (pathlib.Path(__file__).parents[1] / 'children').open('a') as file:
        file.write(f'{number} ')
    return number
"""
pytestmark = [pytest.mark.guarantee("F5"), pytest.mark.guarantee("F6")]


@pytest.fixture
def ctx(tmp_path, monkeypatch):
    monkeypatch.setenv("SPELLBOOK_CANCEL_GRACE_S", "0.3")
    make_project(tmp_path, blocks={})
    made = open_context(tmp_path)
    yield made
    (tmp_path / "projects/demo/go").touch()
    engines.stop(made)
    made.close()


def kill(*pids):
    processes = [identity(pid) for pid in pids]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(is_alive(process) for process in processes if process), what="they are dead")


def warm_process(ctx):
    """Return the process that forks the blocks of the engine, once it is there."""
    engine = engines.status(ctx).pid

    def found():
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == engine and b"worker.zygote" in (folder / "cmdline").read_bytes():
                    return int(folder.name)
        return None

    return wait_until(found, 60, what="a warm process is there")


def worker_of(ctx, run):
    (attempt,) = wait_until(
        lambda: [a for a in ctx.store.attempts(run.id) if a.process], 60, what="its process is known"
    )
    return attempt.process


def ended(ctx, run, within_s=60.0):
    wait_until(lambda: runs.get(ctx, run.id).status.is_terminal, within_s, what="the run ends")
    return runs.get(ctx, run.id).status


@pytest.mark.parametrize("who", ["zygote", "engine", "everything"])
def test_block_whose_start_was_on_its_way_is_executed_once(ctx, tmp_path, who):
    """The attempt is recorded and handed over; the process that shall fork it has not read that yet."""
    blocks = {"work": BlockFile(GATED.format(signals="", answer=1), "data_loader")}
    project = make_project(tmp_path, blocks=blocks)
    (project / "go").touch()
    engines.ensure(ctx)
    engines.prepare(ctx, "demo")
    zygote, engine = warm_process(ctx), engines.status(ctx).pid
    os.kill(zygote, signal.SIGSTOP)
    run = runs.start(ctx, NEW)
    wait_until(lambda: ctx.store.attempts(run.id), what="the attempt is recorded")
    assert not (project / "ran").exists()
    kill(*{"zygote": [zygote], "engine": [engine], "everything": [engine, zygote]}[who])
    engines.ensure(ctx)
    with suppress(ProcessLookupError):
        os.kill(zygote, signal.SIGCONT)  # it comes late, when the next engine has given up what it was told to do
    assert ended(ctx, run) is Status.COMPLETED
    assert (project / "ran").read_text() == "x"
    assert runs.block_runs(ctx, run.id)[0].retried == 0


@pytest.mark.parametrize("who", ["worker", "engine", "everything"])
def test_cancel_is_brought_to_its_end(ctx, tmp_path, who):
    """A deaf block is being cancelled, its signals one after another, when somebody is killed."""
    blocks = {
        "work": BlockFile(GATED.format(signals=DEAF, answer=1), "data_loader"),
        "after": BlockFile(PASS_ON, "transformer", ("work",)),
    }
    project = make_project(tmp_path, blocks=blocks)
    run = runs.start(ctx, NEW)
    wait_until(lambda: (project / "ran").exists(), 60, what="the block runs")
    worker, engine = worker_of(ctx, run), engines.status(ctx).pid
    runs.cancel(ctx, run.id)
    kill(*{"worker": [worker.pid], "engine": [engine], "everything": [engine, worker.pid]}[who])
    engines.ensure(ctx)
    assert ended(ctx, run, SETTLED_S) is Status.CANCELLED
    assert {found.status for found in runs.block_runs(ctx, run.id)} == {Status.CANCELLED}
    wait_until(lambda: not is_alive(worker), SETTLED_S, what="the block's process has ended")


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_attempt_that_no_engine_heard_of_is_found_by_its_lock(ctx, tmp_path, is_cancelled):
    """The engine was killed between the begin of a block and the record of its process."""
    project = make_project(tmp_path, blocks={"work": BlockFile(GATED.format(signals="", answer=1), "data_loader")})
    run = runs.start(ctx, NEW)
    wait_until(lambda: (project / "ran").exists(), 60, what="the block runs")
    worker = worker_of(ctx, run)
    kill(engines.status(ctx).pid)
    connection = sqlite3.connect(ctx.workspace.database_path)
    with connection:
        connection.execute("UPDATE attempts SET handle = NULL, pid = NULL, process_started = NULL, boot_id = NULL")
    connection.close()
    engines.ensure(ctx)
    if is_cancelled:
        runs.cancel(ctx, run.id)
    else:
        (project / "go").touch()
    assert ended(ctx, run) is (Status.CANCELLED if is_cancelled else Status.COMPLETED)
    wait_until(lambda: not is_alive(worker), SETTLED_S, what="the block's process has ended")
    assert (project / "ran").read_text() == "x"


def test_children_are_made_once_though_their_number_was_sealed_while_no_engine_led(ctx, tmp_path):
    dynamic = {"configuration": {"dynamic": True}}
    blocks = {
        "work": BlockFile(GATED.format(signals="", answer="[[1, 2, 3]]"), "data_loader", settings=dynamic),
        "child": BlockFile(CHILD, "data_exporter", ("work",)),
    }
    project = make_project(tmp_path, blocks=blocks)
    run = runs.start(ctx, NEW)
    wait_until(lambda: (project / "ran").exists(), 60, what="the block runs")
    worker_of(ctx, run)
    kill(engines.status(ctx).pid)
    (project / "go").touch()
    (found,) = [each for each in runs.block_runs(ctx, run.id) if each.block == "work"]
    wait_until(lambda: read_outcome(runs.attempt_dir(ctx, found)), 60, what="it has sealed how many there are")
    assert not (project / "children").exists()
    engines.ensure(ctx)
    assert ended(ctx, run) is Status.COMPLETED
    assert sorted((project / "children").read_text().split()) == ["1", "2", "3"]
    assert (project / "ran").read_text() == "x"


def test_block_whose_environment_was_being_made_is_executed_once(ctx, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    source = "import tinypack\n" + GATED.format(signals="", answer="{'value': tinypack.VALUE}")
    requirements = wheel(tmp_path / "projects/demo/wheels")
    blocks = {"work": BlockFile(source, "data_loader"), "add": BlockFile(ADD, "transformer", ("work",))}
    project = make_project(tmp_path, blocks=blocks, files={"requirements.txt": requirements})
    (project / "metadata.yaml").write_text(SECTION + "    requirements: requirements.txt\n")
    (project / "go").touch()
    recipe = interpreter_of(ctx.workspace.project("demo")).recipe
    run = runs.start(ctx, NEW)
    wait_until(building.log_path(recipe.folder).exists, 60, what="the environment is being made")
    kill(engines.status(ctx).pid)
    engines.ensure(ctx)
    assert ended(ctx, run, 120.0) is Status.COMPLETED
    assert (project / "ran").read_text() == "x"
