"""The engine process: started on demand, one per workspace, small, and independent of whoever talks to it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from spellbook_core.engine.leader import read_info
from spellbook_core.engine.messages import MAX_SOCKET_PATH_BYTES, encode, receive_line
from spellbook_core.model.run import NewRun, Status
from spellbook_core.services import engines, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import BlockFile, chain, make_project, wait_until

ROOT = Path(__file__).resolve().parents[2]
NEW = NewRun("demo", "main", "manual")
WAITS = """
import pathlib, time

@data_loader
def wait(*args, **kwargs):
    here = pathlib.Path(__file__).parent
    (here / 'waiting').touch()
    while not (here / 'go').exists():
        time.sleep(0.02)
    return 1
"""


@pytest.fixture
def ctx(tmp_path):
    make_project(tmp_path, blocks=chain(2))
    made = open_context(tmp_path)
    yield made
    engines.stop(made)
    made.close()


def carried(ctx, run):
    wait_until(lambda: runs.get(ctx, run.id).status.is_terminal, 60.0, what="the run ends")
    return runs.get(ctx, run.id)


def connect(ctx) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(engines.event_socket(ctx))
    return connection


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_engine_starts_on_demand(ctx):
    of_other_tests = set(psutil.Process().children())
    assert not engines.status(ctx).is_running
    run = runs.start(ctx, NEW)
    status = engines.status(ctx)
    assert status.is_running
    assert carried(ctx, run).status is Status.COMPLETED
    assert engines.ensure(ctx).pid == status.pid
    assert psutil.Process(status.pid).ppid() != os.getpid()
    assert set(psutil.Process().children()) <= of_other_tests


def test_stop_ends_the_process(ctx):
    pid = engines.ensure(ctx).pid
    engines.stop(ctx)
    wait_until(lambda: is_gone(pid), what="the engine is gone")
    status = engines.status(ctx)
    assert (status.is_running, status.problem) == (False, "No engine is running; it starts with the next run.")
    engines.stop(ctx)


def test_files_of_the_engine_are_private(ctx):
    engines.ensure(ctx)
    for name in ("engine.json", "engine.lock", "engine.log", "engine.sock"):
        assert (ctx.workspace.state_dir / name).stat().st_mode & 0o077 == 0, name


@pytest.mark.guarantee("F11")
def test_second_engine_ends_at_once(ctx):
    leader = engines.ensure(ctx).pid
    command = [sys.executable, "-m", "spellbook_core.services.engine_process", str(ctx.workspace.root)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=ROOT, check=False)
    assert second.returncode == 2
    assert f"already leads {ctx.workspace.root} (process {leader})" in second.stderr
    assert engines.status(ctx).pid == leader


@pytest.mark.guarantee("F11")
def test_many_who_want_an_engine_get_one(ctx):
    code = (
        "import sys; from pathlib import Path; from spellbook_core.services import engines, wiring;"
        "print(engines.ensure(wiring.open_context(Path(sys.argv[1]))).pid)"
    )
    command = [sys.executable, "-c", code, str(ctx.workspace.root)]
    wanting = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(4)]
    pids = {process.communicate(timeout=60)[0].strip() for process in wanting}
    assert pids == {str(engines.status(ctx).pid)}


def test_engine_loads_nothing_heavy(ctx):
    """It would cost 120 MB (pandas) to 400 MB (torch), and it must never unpickle."""
    carried(ctx, runs.start(ctx, NEW))
    maps = Path(f"/proc/{engines.status(ctx).pid}/maps").read_text()
    assert set(re.findall(r"/(pandas|torch|duckdb|pyarrow|numpy|streamlit)/", maps)) == set()


@pytest.mark.guarantee("F2")
def test_run_outlives_whoever_started_it(ctx, tmp_path):
    """A process like the page's starts a run and is killed in the middle of it: the run completes."""
    project = make_project(tmp_path, pipeline="slow", blocks={"wait": BlockFile(WAITS, "data_loader"), **{}})
    code = (
        "import sys, time; from pathlib import Path; from spellbook_core.services import runs, wiring;"
        "from spellbook_core.model.run import NewRun;"
        "run = runs.start(wiring.open_context(Path(sys.argv[1])), NewRun('demo', 'slow', 'manual'));"
        "print(run.id, flush=True); time.sleep(60)"
    )
    page = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True
    )
    run_id = int(page.stdout.readline())
    wait_until(lambda: (project / "data_loaders/waiting").exists(), what="the block runs")
    os.killpg(page.pid, signal.SIGKILL)
    page.communicate()
    (project / "data_loaders/go").touch()
    wait_until(lambda: runs.get(ctx, run_id).status is Status.COMPLETED, what="the run completes")


def test_subscriber_hears_every_step(ctx):
    with connect(ctx) as connection:
        connection.sendall(encode({"op": "subscribe"}))
        connection.sendall(encode({"op": "ping"}))
        assert receive_line(connection)["op"] == "pong"
        run = runs.start(ctx, NEW)
        heard = []
        with connection.makefile("rb") as lines:
            for line in lines:
                heard.append(json.loads(line))
                if heard[-1]["kind"] == "run" and heard[-1]["status"] == "completed":
                    break
    assert {event["run_id"] for event in heard} == {run.id}
    assert [(e["block"], e["status"]) for e in heard if e["kind"] == "block_run"] == [
        ("b0", "running"),
        ("b0", "completed"),
        ("b1", "running"),
        ("b1", "completed"),
    ]


def test_subscriber_that_does_not_read_is_dropped(ctx, tmp_path):
    source = "from spellbook_core import log_metric\n@data_loader\ndef load(*args, **kwargs):\n    return 1\n"
    make_project(tmp_path, blocks={f"b{n}": BlockFile(source, "data_loader") for n in range(60)}, pipeline="wide")
    with connect(ctx) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        deaf.sendall(encode({"op": "subscribe"}))
        run = runs.start(ctx, NewRun("demo", "wide", "manual"))
        assert carried(ctx, run).status is Status.COMPLETED


def test_nonsense_on_the_socket_is_survived(ctx):
    with connect(ctx) as connection:
        connection.sendall(b'no json\n[1]\n{"op": "unknown"}\n{"op": "prepare", "project": "../x"}\n')
        connection.sendall(encode({"op": "ping"}))
        assert receive_line(connection)["op"] == "pong"
    with connect(ctx) as endless:
        try:
            endless.sendall(b"x" * 200_000)
            assert endless.recv(1) == b""
        except ConnectionError:
            pass
    assert engines.status(ctx).is_running


def test_prepared_project_has_a_warm_process(ctx):
    engines.prepare(ctx, "demo")
    engine = psutil.Process(engines.status(ctx).pid)
    wait_until(lambda: engine.children(), what="a warm process")


def test_idle_engine_ends(tmp_path, monkeypatch):
    monkeypatch.setenv("SPELLBOOK_IDLE_EXIT_S", "0.2")
    make_project(tmp_path, blocks=chain(1))
    ctx = open_context(tmp_path)
    pid = engines.ensure(ctx).pid
    wait_until(lambda: is_gone(pid), 20.0, what="the idle engine ends")
    ctx.close()


def test_term_ends_the_engine_at_once(ctx):
    pid = engines.ensure(ctx).pid
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: is_gone(pid), 5.0, what="the engine ends")
    assert read_info(ctx.workspace) is None


def test_long_paths_have_a_socket(tmp_path):
    root = tmp_path / ("프로젝트 ✨ " + "a" * 80) / ("b" * 60)
    root.mkdir(parents=True)
    make_project(root, blocks=chain(1))
    ctx = open_context(root)
    path = Path(engines.event_socket(ctx))
    assert len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES
    assert path.parent.stat().st_mode & 0o077 == 0
    assert carried(ctx, runs.start(ctx, NEW)).status is Status.COMPLETED
    engines.stop(ctx)
    assert not path.parent.exists()
    ctx.close()


def test_idle_engine_uses_no_time(ctx):
    """It sleeps until something happens: no polling."""
    engine = psutil.Process(engines.ensure(ctx).pid)
    before = engine.num_ctx_switches().voluntary
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() - begun > 1.0, what="a second")
    assert engine.num_ctx_switches().voluntary - before < 20


def test_engine_that_cannot_start_says_why(tmp_path, monkeypatch):
    make_project(tmp_path, blocks=chain(1))
    ctx = open_context(tmp_path)
    monkeypatch.setenv("SPELLBOOK_PORT", "no number")
    with pytest.raises(engines.EngineStartError, match="SPELLBOOK_PORT is 'no number'"):
        engines.ensure(ctx)
    ctx.close()
