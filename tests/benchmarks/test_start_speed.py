"""How soon the page is there after a second `make start`, and what a workspace at rest costs in memory."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.sync.client import connect

from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.model.run import NewRun
from spellbook_core.services import engines, runs, wiring
from spellbook_core.worker.standby import STANDBY
from tests.conftest import make_project, wait_until

pytestmark = pytest.mark.benchmark_table

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 3
DEADLINE_S = 60.0


class Started:
    """A page started by make, and what its processes have cost."""

    def __init__(self, process: subprocess.Popen[str], address: str, token: str) -> None:
        self.process = process
        self.address = address
        self.bearer = {"Authorization": f"Bearer {token}"}

    def cpu_s(self) -> float:
        """Return user and system seconds of make, the page and their ended children."""
        total = 0.0
        top = psutil.Process(self.process.pid)
        for process in [top, *top.children(recursive=True)]:
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def first_page(self) -> None:
        """Ask for the page until it answers; the socket listens before the address is printed, so once is enough."""
        assert httpx.get(f"{self.address}/", headers=self.bearer, timeout=DEADLINE_S).status_code == 200

    def first_script_run(self) -> None:
        """Have Streamlit run the page's script for one session, as a browser would."""
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        url = f"ws://{self.address.removeprefix('http://')}/_stcore/stream"
        with connect(url, additional_headers=self.bearer, subprotocols=["streamlit"], max_size=None) as socket:
            wanted = BackMsg()
            wanted.rerun_script.query_string = ""
            socket.send(wanted.SerializeToString())
            while True:
                answer = ForwardMsg()
                answer.ParseFromString(socket.recv(timeout=DEADLINE_S))
                if answer.WhichOneof("type") == "script_finished":
                    return


@contextmanager
def make_start(project: Path) -> Iterator[Started]:
    """Run `make start` as a second time: the environment is there, nothing is installed."""
    venv = Path(sys.executable).parents[1]
    process = subprocess.Popen(
        [
            *("make", "--no-print-directory", "-C", str(ROOT), "start", f"PROJECT={project}"),
            *(f"VENV={venv}", "APP_STAMP=Makefile", "ARGS=--no-browser --port 0"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    timer = threading.Timer(DEADLINE_S, process.kill)
    timer.start()
    found = None
    for line in process.stdout:
        found = re.search(r"(http://\S+?)/\?\S*?token=(\S+)", line)
        if found:
            break
    timer.cancel()
    assert found, "make start printed no address"
    try:
        yield Started(process, found[1], found[2])
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.terminate()
        process.wait(DEADLINE_S)
        process.stdout.close()


def import_cpu_s(module: str) -> float:
    """Return the CPU seconds of a fresh interpreter that imports `module`."""
    before = os.times()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def stop_engine(workspace: Path) -> None:
    context = wiring.open_context(workspace)
    engines.stop(context)
    context.close()


def test_second_start_costs_little_more_than_importing_streamlit(tmp_path, report_row):
    project = make_project(tmp_path, blocks={"load": "@data_loader\ndef load(*args, **kwargs):\n    return 1\n"})
    pages, scripts, floors = [], [], []
    try:
        for _ in range(ROUNDS):
            floors.append(import_cpu_s("streamlit"))
            with make_start(project) as started:
                started.first_page()
                pages.append(started.cpu_s())
                started.first_script_run()
                scripts.append(started.cpu_s())
    finally:
        stop_engine(tmp_path)
    floor = statistics.median(floors)
    report_row(
        "second `make start` to the first page, CPU", ours=statistics.median(pages), floor=floor, unit="s", bound=3.0
    )
    report_row(
        "second `make start` until the first page is drawn, CPU",
        ours=statistics.median(scripts),
        floor=floor,
        unit="s",
        bound=None,
    )


@pytest.mark.parametrize(
    ("imports", "goal_mb"), [("", 250), ("import torch\n", 450)], ids=["without_torch", "with_torch"]
)
def test_memory_at_rest(tmp_path, report_row, imports, goal_mb):
    """PSS of page, engine and warm processes, after a first run and with one browser session; reported, with a goal."""
    source = f"{imports}@data_loader\ndef load(*args, **kwargs):\n    return 1\n"
    project = make_project(tmp_path, blocks={"load": source})
    context = wiring.open_context(tmp_path)
    try:
        with make_start(project) as started:
            started.first_page()
            started.first_script_run()
            run = runs.start(context, NewRun(ProjectName(project.name), PipelineUuid("main"), "manual"))
            wait_until(lambda: runs.get(context, run.id).status.is_terminal)
            engine_pid = engines.status(context).pid
            assert engine_pid is not None
            wait_until(lambda: is_at_rest(engine_pid), what="the children stand by")
            at_rest = sum(pss_mb(pid) for pid in (started.process.pid, engine_pid))
        what = f"memory at rest, {'with' if imports else 'without'} torch in the project (goal {goal_mb})"
        report_row(what, ours=at_rest, floor=None, unit="MB", bound=None)
    finally:
        engines.stop(context)
        context.close()


def is_at_rest(engine_pid: int) -> bool:
    """Return whether the warm process has its waiting children, each asleep, and no other."""
    try:
        family = psutil.Process(engine_pid).children(recursive=True)
        return len(family) == 1 + STANDBY and all(one.status() == psutil.STATUS_SLEEPING for one in family)
    except psutil.NoSuchProcess:  # a block's process that had still been leaving
        return False


def pss_mb(pid: int) -> float:
    """Return the proportional set size of a process and all below it, in MB of 10^6 bytes."""
    top = psutil.Process(pid)
    total = 0
    for process in [top, *top.children(recursive=True)]:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
        total += int(re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[1]) * 1024
    return total / 1e6
