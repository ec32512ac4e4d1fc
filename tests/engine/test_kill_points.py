"""kill -9 of the worker, of the process that forks it, and of everything, at each point of an attempt's life."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from spellbook_core.engine.supervise import identity, is_alive
from spellbook_core.errors import SpellbookError
from spellbook_core.model.run import Code, NewRun, Status
from spellbook_core.services import engines, retries, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import PASS_ON, BlockFile, make_project, wait_until

SETTLED_S = 15.0
"""The promise: no state is wrong for longer."""

WORK = """
import os, pathlib, time

HERE = pathlib.Path(__file__).parents[1]

def stop():
    (HERE / 'at').touch()
    while not (HERE / 'go').exists():
        time.sleep(0.01)

def stop_around(name, *, before):
    # What the worker calls on its way, in this very process: the artifact is moved in by os.rename, the outcome is
    # sealed by os.replace.
    real = getattr(os, name)

    def wrapped(*args):
        setattr(os, name, real)
        if before:
            stop()
        real(*args)
        if not before:
            stop()

    setattr(os, name, wrapped)

@data_loader
def work(*args, **kwargs):
    with (HERE / 'ran').open('a') as file:
        file.write('x')
    {stop}
    return {{'rows': 1}}
"""
POINTS = {
    "running": "stop()",
    "writing": "stop_around('rename', before=True)",
    "written": "stop_around('rename', before=False)",
    "sealing": "stop_around('replace', before=True)",
    "sealed": "stop_around('replace', before=False)",
}


@pytest.fixture
def ctx(tmp_path):
    make_project(tmp_path, blocks={})
    made = open_context(tmp_path)
    yield made
    (tmp_path / "projects/demo/go").touch()
    engines.stop(made)
    made.close()


def stopped_at(ctx, point):
    """Start a run and return it with its worker, which has stopped at the point."""
    root = ctx.workspace.root
    source = WORK.format(stop=POINTS[point])
    blocks = {"work": BlockFile(source, "data_loader"), "after": BlockFile(PASS_ON, "transformer", ("work",))}
    project = make_project(root, blocks=blocks)
    run = runs.start(ctx, NewRun("demo", "main", "manual"))
    wait_until(lambda: (project / "at").exists(), 60, what=f"the worker is {point}")
    (attempt,) = wait_until(lambda: [a for a in ctx.store.attempts(run.id) if a.process], what="its process is known")
    return run, attempt.process, project


def kill(*pids):
    processes = [identity(pid) for pid in pids]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(is_alive(process) for process in processes if process), what="they are dead")


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def victims(ctx, who, worker):
    zygote, engine = parent_of(worker.pid), engines.status(ctx).pid
    return {"worker": [worker.pid], "zygote": [zygote], "everything": [engine, zygote, worker.pid]}[who]


@pytest.mark.guarantee("F5")
@pytest.mark.guarantee("F6")
@pytest.mark.parametrize(
    ("point", "who"),
    [
        *((point, "worker") for point in POINTS),
        *((point, "zygote") for point in ("running", "sealed")),
        *((point, "everything") for point in ("writing", "sealing", "sealed")),
    ],
)
def test_state_is_right_soon_after_a_kill(ctx, point, who):
    run, worker, project = stopped_at(ctx, point)
    kill(*victims(ctx, who, worker))
    began = time.monotonic()
    if who == "everything":
        engines.ensure(ctx)
    (project / "go").touch()  # for `after`, and for a worker that nobody killed
    wait_until(lambda: runs.get(ctx, run.id).status.is_terminal, SETTLED_S, what="the run ends")
    assert time.monotonic() - began < SETTLED_S
    found = {each.block: each for each in runs.block_runs(ctx, run.id)}
    is_kept = point == "sealed"
    assert runs.get(ctx, run.id).status is (Status.COMPLETED if is_kept else Status.FAILED)
    assert found["work"].status is (Status.COMPLETED if is_kept else Status.FAILED)
    assert found["after"].status is (Status.COMPLETED if is_kept else Status.UPSTREAM_FAILED)
    assert is_kept or any(word in found["work"].error.message for word in ("lost", "SIGKILL"))
    assert runs.list_runs(ctx, statuses=[Status.RUNNING]).total == 0
    wait_until(lambda: not is_alive(worker), SETTLED_S, what="the worker is gone")  # the system ends it by itself
    if is_kept:
        with pytest.raises(SpellbookError, match="nothing to retry"):
            retries.retry(ctx, run.id)
    else:
        again = retries.retry(ctx, run.id, code=Code.THEN)
        assert runs.wait(ctx, again.id, 60).status is Status.COMPLETED
    for each in runs.latest_outputs(ctx, "demo", "main").values():
        for output in each.outputs:
            ctx.artifacts.verify(output.artifact)
    assert (project / "ran").read_text() == ("x" if is_kept else "xx")
