"""Whole runs with real processes, through the engine process and in this one."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from spellbook_core.errors import NotFoundError, render_error
from spellbook_core.model.graph import CycleError
from spellbook_core.model.run import NewRun, Status, Upstream
from spellbook_core.project.containment import UnreadableFileError
from spellbook_core.services import engines, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import LOADER, BlockFile, chain, make_project, wait_until

FRAME = """
import pandas as pd

@data_loader
def load(*args, **kwargs):
    print('loading')
    return pd.DataFrame({'x': range(kwargs.get('rows', 3))})
"""
DOUBLE = """
@transformer
def double(frame, *args, **kwargs):
    return frame.assign(y=frame.x * 2)

@test
def test_rows(frame, *args):
    assert len(frame) > 0, 'no rows'
"""
FAILS = """
@transformer
def fail(data, *args, **kwargs):
    number = 0
    return 1 / number
"""
WAITS = """
import pathlib, time
from spellbook_core import log_metric

@data_loader
def wait(*args, **kwargs):
    here = pathlib.Path(__file__).parent
    print('waiting', flush=True)
    (here / 'waiting').touch()
    while not (here / 'go').exists():
        time.sleep(0.02)
    return 1
"""


def new(**changes) -> NewRun:
    return NewRun(**{"project": "demo", "pipeline": "main", "trigger": "manual", **changes})


def carried(ctx, run, timeout_s=60.0):
    """Return the run once it has ended."""
    wait_until(lambda: runs.get(ctx, run.id).status.is_terminal, timeout_s, what=f"run {run.id} ends")
    return runs.get(ctx, run.id)


def statuses(ctx, run):
    return {found.block: found.status.value for found in runs.block_runs(ctx, run.id)}


@pytest.fixture
def ctx(tmp_path):
    (tmp_path / "projects").mkdir()
    made = open_context(tmp_path)
    yield made
    engines.stop(made)
    made.close()


@pytest.fixture
def waiting(ctx, tmp_path):
    """A run whose only block waits for a file: (run, the file that lets it go on, its process's number)."""
    project = make_project(tmp_path, blocks={"wait": BlockFile(WAITS, "data_loader")})
    run = runs.start(ctx, new())
    wait_until(lambda: (project / "data_loaders/waiting").exists(), what="the block runs")
    (attempt,) = wait_until(lambda: [a for a in ctx.store.attempts(run.id) if a.process], what="its process is known")
    return run, project / "data_loaders/go", attempt.process.pid


def test_pipeline_runs_end_to_end(ctx, tmp_path):
    make_project(tmp_path, blocks={"load": FRAME, "double": DOUBLE}, variables={"rows": 5})
    run = carried(ctx, runs.start(ctx, new()))
    assert (run.status, run.error, run.blocks_done) == (Status.COMPLETED, None, 2)
    load, double = runs.block_runs(ctx, run.id)
    assert (load.rows, double.rows) == (5, 5)
    assert [column.name for column in double.outputs[0].columns] == ["x", "y"]
    assert [(test.name, test.passed) for test in double.tests] == [("test_rows", True)]
    assert "loading" in [line.text for line in runs.log(ctx, load).lines]
    assert runs.code(ctx, load) == FRAME
    assert load.cpu_s is not None
    assert runs.latest_outputs(ctx, "demo", "main")["double"] == double


def test_single_blocks_run_on_stored_outputs(ctx, tmp_path):
    make_project(tmp_path, blocks={"load": FRAME, "double": DOUBLE})
    with pytest.raises(LookupError, match="needs the output of 'load'"):
        runs.run_block(ctx, "demo", "main", "double")
    assert runs.list_runs(ctx).total == 0
    assert carried(ctx, runs.run_block(ctx, "demo", "main", "load")).status is Status.COMPLETED
    second = carried(ctx, runs.run_block(ctx, "demo", "main", "double"))
    assert (second.trigger, statuses(ctx, second)) == ("notebook", {"double": "completed"})


def test_tests_run_alone_on_the_stored_output(ctx, tmp_path):
    """The function does not run again; what it stored stays, and so does what is known of its making."""
    source = """
import pathlib
@data_loader
def load(*args, **kwargs):
    with (pathlib.Path(__file__).parent / 'ran').open('a') as file:
        file.write('x')
    return {'rows': 3}
"""
    project = make_project(tmp_path, blocks={"load": source})
    with pytest.raises(LookupError, match="'load' has no stored output") as refused:
        runs.run_block(ctx, "demo", "main", "load", tests_only=True)
    assert refused.value.code == "SB-RUN-004"
    made = carried(ctx, runs.run_block(ctx, "demo", "main", "load"))
    (before,) = runs.block_runs(ctx, made.id)
    test = "@test\ndef has_rows(output, *args):\n    assert output['rows'] == %d, 'rows'\n"
    (project / "data_loaders/load.py").write_text(source + test % 3)
    good = carried(ctx, runs.run_block(ctx, "demo", "main", "load", tests_only=True))
    (passed,) = runs.block_runs(ctx, good.id)
    assert [(found.name, found.passed) for found in passed.tests] == [("has_rows", True)]
    assert (passed.outputs, passed.reused) == (before.outputs, True)
    (project / "data_loaders/load.py").write_text(source + test % 4)
    bad = carried(ctx, runs.run_block(ctx, "demo", "main", "load", tests_only=True))
    (failed,) = runs.block_runs(ctx, bad.id)
    assert (failed.status, failed.tests[0].message, failed.outputs) == (Status.FAILED, "rows", before.outputs)
    assert (project / "data_loaders/ran").read_text() == "x"
    assert runs.latest_outputs(ctx, "demo", "main")["load"].outputs == before.outputs
    assert ctx.store.latest_made("demo", "main")["load"].parts is not None


def test_missing_ancestors_run_on_request(ctx, tmp_path):
    make_project(tmp_path, blocks={"load": FRAME, "double": DOUBLE})
    run = carried(ctx, runs.run_block(ctx, "demo", "main", "double", upstream=Upstream.MISSING))
    assert statuses(ctx, run) == {"load": "completed", "double": "completed"}


def test_failure_marks_children_and_names_the_line(ctx, tmp_path):
    blocks = {"load": FRAME, "fail": FAILS, "below": DOUBLE, "aside": BlockFile(LOADER, "data_loader")}
    make_project(tmp_path, blocks=blocks)
    run = carried(ctx, runs.start(ctx, new()))
    assert run.status is Status.FAILED
    assert statuses(ctx, run) == {
        "load": "completed",
        "fail": "failed",
        "below": "upstream_failed",
        "aside": "completed",
    }
    error = next(found.error for found in runs.block_runs(ctx, run.id) if found.block == "fail")
    assert (error.exception, error.line) == ("ZeroDivisionError: division by zero", 5)


def test_syntax_error_fails_its_block(ctx, tmp_path):
    make_project(tmp_path, blocks={"bad": BlockFile("def load(:\n", "data_loader")})
    run = carried(ctx, runs.start(ctx, new()))
    (bad,) = runs.block_runs(ctx, run.id)
    assert (bad.status, bad.error.line) == (Status.FAILED, 1)


def test_runs_that_cannot_be_are_refused_at_once(ctx, tmp_path):
    project = make_project(tmp_path, blocks=chain(3))
    (project / "transformers/b1.py").unlink()
    (project / "transformers/b2.py").rename(project / "b2.txt")
    both = r"files of 2 blocks are missing: transformers/b1\.py \(block 'b1'\), transformers/b2\.py \(block 'b2'\)"
    with pytest.raises(NotFoundError, match=both):
        runs.start(ctx, new())
    (project / "b2.txt").rename(project / "transformers/b2.py")
    with pytest.raises(NotFoundError, match=r"file of block 'b1' is missing: transformers/b1\.py") as caught:
        runs.start(ctx, new())
    assert "SB-RUN-007" in render_error(caught.value.to_dict())
    (project / "transformers/b1.py").write_bytes(b"# -*- coding: latin-1 -*-\nNAME = 'caf\xe9'\n")
    with pytest.raises(UnreadableFileError, match=r"b1\.py:2: this is no UTF-8 text \(byte 0xe9\)"):
        runs.start(ctx, new())
    looped = {"a": BlockFile(LOADER, "transformer", ("b",)), "b": BlockFile(LOADER, "transformer", ("a",))}
    make_project(tmp_path, blocks=looped, pipeline="loop")
    with pytest.raises(CycleError, match="a → b → a"):
        runs.start(ctx, new(pipeline="loop"))
    assert runs.list_runs(ctx).total == 0
    assert not engines.status(ctx).is_running


def test_cancel_ends_the_block_and_the_run(ctx, waiting):
    run, _, pid = waiting
    begun = time.monotonic()
    runs.cancel(ctx, run.id)
    assert carried(ctx, run).status is Status.CANCELLED
    assert time.monotonic() - begun < 3 * ctx.settings.cancel_grace_s + 2
    assert statuses(ctx, run) == {"wait": "cancelled"}
    wait_until(lambda: not psutil.pid_exists(pid), what="the process is gone")


def test_killed_worker_fails_its_block(ctx, waiting):
    run, _, pid = waiting
    os.kill(pid, signal.SIGKILL)
    assert carried(ctx, run, 15.0).status is Status.FAILED
    (block,) = runs.block_runs(ctx, run.id)
    assert "SIGKILL" in block.error.message


def test_exit_without_result_is_a_failure(ctx, tmp_path):
    source = "import os\n@data_loader\ndef load(*args, **kwargs):\n    os._exit(0)\n"
    make_project(tmp_path, blocks={"load": BlockFile(source, "data_loader")})
    run = carried(ctx, runs.start(ctx, new()))
    assert run.status is Status.FAILED
    assert "without a result" in runs.block_runs(ctx, run.id)[0].error.message


def test_wait_returns_the_ended_run(ctx, waiting):
    """It comes back at its deadline with the run as it is, and otherwise as soon as the engine tells the end."""
    run, _, _ = waiting
    assert runs.wait(ctx, run.id, timeout_s=0.05).status is Status.RUNNING
    runs.cancel(ctx, run.id)
    assert runs.wait(ctx, run.id, timeout_s=30.0).status is Status.CANCELLED
    assert runs.wait(ctx, run.id, timeout_s=0.0).status is Status.CANCELLED


def test_same_request_runs_once(ctx, tmp_path):
    make_project(tmp_path, blocks=chain(1))
    first = runs.start(ctx, new(request_id="click-1"))
    assert runs.start(ctx, new(request_id="click-1")).id == first.id
    carried(ctx, first)
    assert runs.list_runs(ctx).total == 1


def test_run_in_this_process(ctx, tmp_path):
    make_project(tmp_path, blocks={"load": FRAME, "double": DOUBLE})
    events = []
    run = runs.run_here(ctx, new(trigger="cli"), events.append)
    assert run.status is Status.COMPLETED
    assert [(e.get("block"), e["status"]) for e in events if e["kind"] != "log"] == [
        (None, "running"),
        ("load", "running"),
        ("load", "completed"),
        ("double", "running"),
        ("double", "completed"),
        (None, "completed"),
    ]
    assert not engines.status(ctx).is_running


def test_run_pipeline_takes_a_project_folder(tmp_path):
    project = make_project(tmp_path, blocks={"load": FRAME})
    run = runs.run_pipeline(project, "main", {"rows": 2})
    assert (run.status, run.variables) == (Status.COMPLETED, {"rows": 2})


@pytest.mark.guarantee("F12")
def test_runs_leave_nothing_behind(tmp_path):
    """50 times open a context, run, close: no more files, threads or children than after the first ones."""
    make_project(tmp_path, blocks=chain(1))
    me = psutil.Process()
    of_other_tests = set(me.children(recursive=True))

    def cycle() -> None:
        ctx = open_context(tmp_path)
        assert runs.run_here(ctx, new(trigger="cli"), lambda event: None).status is Status.COMPLETED
        ctx.close()

    def held() -> tuple[int, int]:
        return me.num_fds(), me.num_threads()

    cycle()
    before = held()
    for _ in range(50):
        cycle()
    assert held() <= before
    wait_until(lambda: set(me.children(recursive=True)) <= of_other_tests, 30.0, what="no child is left")
