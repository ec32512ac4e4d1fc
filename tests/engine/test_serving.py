"""The page's server as a process: start, ports, events, runs over HTTP, and its end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from spellbook_core.services import engines, servers
from spellbook_core.services.wiring import Context, open_context
from tests.conftest import LOADER, make_project, wait_until

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
DEADLINE_S = 30.0

SLOW = """
import time


@data_loader
def load(*args, **kwargs):
    time.sleep(60)
"""

TELLS_TOKEN = """
import os


@data_loader
def load(*args, **kwargs):
    return os.environ.get("SPELLBOOK_TOKEN", "none")
"""


class Page:
    """A started page: what it printed, where it is, how to talk to it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        is_told = threading.Event()

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                self.lines.append(line)
                if "token=" in line:
                    is_told.set()
            is_told.set()

        self.client = httpx.Client(timeout=DEADLINE_S)
        self._reader = threading.Thread(target=read, daemon=True)
        self._reader.start()
        assert is_told.wait(DEADLINE_S)
        found = re.search(r"(http://127\.0\.0\.1:(\d+))/\?\S*?token=(\S+)", self.printed)
        assert found, self.printed
        self.address, self.port = found[1], int(found[2])
        self.client.base_url = self.address
        self.client.headers["Authorization"] = f"Bearer {found[3]}"

    @property
    def printed(self) -> str:
        return "".join(self.lines)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        status = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return status


@contextmanager
def page(command: list[str], workspace: Path) -> Iterator[Page]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SPELLBOOK_", "STREAMLIT_"))}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=workspace,
        env={**environment, "SPELLBOOK_WORKSPACE": str(workspace)},
    )
    started = None
    try:
        started = Page(process)
        yield started
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if started is not None:
            started.client.close()
        assert process.stdout is not None
        process.stdout.close()


def start_command(*options: str) -> list[str]:
    return [str(BIN / "spellbook"), "start", "--no-browser", "--port", "0", *options]


@pytest.fixture
def served_context(tmp_path: Path) -> Iterator[Context]:
    context = open_context(tmp_path, create=True)
    yield context
    engines.stop(context)
    context.close()


def events(lines: Iterator[str]) -> Iterator[dict[str, object]]:
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize(
    "command",
    [
        start_command(),
        [str(BIN / "streamlit"), "run", str(ROOT / "app.py"), "--server.port", "0"],
        [sys.executable, str(ROOT / "app.py")],
    ],
    ids=["spellbook start", "streamlit run app.py", "python app.py"],
)
def test_every_way_to_start_gives_the_same_app(tmp_path, served_context, command):
    make_project(tmp_path, blocks={"load": LOADER})
    with page(command, tmp_path) as started:
        shell = started.client.get("/")
        assert shell.status_code == 200
        assert "<div id=" in shell.text
        assert httpx.get(f"{started.address}/").status_code == 401
        wait_until(lambda: started.client.get("/api/health").json()["status"] == "ok")
        assert "Network URL" not in started.printed
        assert started.end() in {0, -signal.SIGTERM}


def test_busy_port_is_said_and_the_next_taken(tmp_path, served_context):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with page([str(BIN / "spellbook"), "start", "--no-browser", "--port", str(port)], tmp_path) as started:
            assert started.port > port
            assert f"Port {port} is busy; using {started.port}." in started.printed


def test_project_folder_opens_that_project(tmp_path, served_context):
    make_project(tmp_path, blocks={"load": LOADER}, name="titanic")
    with page([*start_command(), "projects/titanic"], tmp_path) as started:
        assert "/?project=titanic&token=" in started.printed


def test_empty_folder_becomes_a_workspace(tmp_path):
    (tmp_path / "fresh").mkdir()
    with page([*start_command(), "fresh"], tmp_path) as started:
        assert started.client.get("/api/runs").json()["total"] == 0
        assert (tmp_path / "fresh" / "projects").is_dir()
        context = open_context(tmp_path / "fresh")
        wait_until(lambda: engines.status(context).is_running, what="the engine, which would outlive this test")
        started.end()
    engines.stop(context)
    context.close()


def test_run_over_http_is_told_live_and_can_be_read(tmp_path, served_context):
    make_project(tmp_path, blocks={"load": LOADER})
    with page(start_command(), tmp_path) as started:
        with started.client.stream("GET", "/api/events", params={"project": "demo"}) as stream:
            told = events(stream.iter_lines())
            assert next(told) == {"kind": "engine", "status": "connected"}
            answer = started.client.post(
                "/api/projects/demo/pipelines/main/runs", json={"variables": {"n": 1}, "request_id": "once"}
            )
            assert answer.status_code == 201
            run_id = answer.json()["run_id"]
            assert answer.headers["location"] == f"/api/runs/{run_id}"
            kinds = set()
            for event in told:
                kinds.add(event["kind"])
                if event["kind"] == "run" and event["status"] == "completed":
                    break
            assert {"run", "block_run"} <= kinds
        again = started.client.post("/api/projects/demo/pipelines/main/runs", json={"request_id": "once"})
        assert again.json()["run_id"] == run_id
        shown = started.client.get(f"/api/runs/{run_id}").json()
        assert shown["state"] == "completed"
        assert shown["variables"] == {"n": 1}
        assert shown["blocks"][0]["outputs"][0]["summary"]
        listed = started.client.get("/api/runs", params={"state": "completed", "limit": 1}).json()
        assert [run["run_id"] for run in listed["runs"]] == [run_id]


def test_run_is_cancelled_over_http(tmp_path, served_context):
    make_project(tmp_path, blocks={"load": SLOW})
    with page(start_command(), tmp_path) as started, started.client.stream("GET", "/api/events") as stream:
        told = events(stream.iter_lines())
        next(told)
        run_id = started.client.post("/api/projects/demo/pipelines/main/runs", json={}).json()["run_id"]
        next(event for event in told if event["kind"] == "block_run" and event["status"] == "running")
        assert started.client.post(f"/api/runs/{run_id}/cancel", json={}).status_code == 202
        assert next(e for e in told if e["kind"] == "run" and e["status"] not in {"running", "queued"})["status"] == (
            "cancelled"
        )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/projects/none/pipelines/main/runs", 404),
        ("POST", "/api/projects/demo/pipelines/none/runs", 404),
        ("POST", "/api/projects/demo/pipelines/a..b%2fc/runs", 404),
        ("POST", "/api/projects/demo/pipelines/.hidden/runs", 400),
        ("POST", "/api/runs/99/cancel", 404),
        ("GET", "/api/runs/99", 404),
        ("GET", f"/api/runs/{10**30}", 404),
        ("GET", "/api/runs/abc", 404),
        ("GET", "/api/runs?limit=abc", 400),
        ("GET", "/api/runs?limit=-1", 400),
        ("GET", "/api/runs?state=nonsense", 400),
        ("GET", "/api/nothing", 404),
        ("DELETE", "/api/runs", 404),
    ],
)
def test_every_error_has_the_one_shape(shared_page, method, path, status):
    answer = shared_page.client.request(method, path, json={} if method != "GET" else None)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"code", "message", "hint", "facts"}
    assert answer.json()["code"].startswith("SB-")


@pytest.fixture(scope="module")
def shared_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    root = tmp_path_factory.mktemp("shared")
    make_project(root, blocks={"load": LOADER})
    with page(start_command(), root) as started:
        yield started
    context = open_context(root)
    engines.stop(context)
    context.close()


def test_changed_file_is_told(tmp_path, served_context):
    project = make_project(tmp_path, blocks={"load": LOADER})
    with page(start_command(), tmp_path) as started, started.client.stream("GET", "/api/events") as stream:
        told = events(stream.iter_lines())
        next(told)
        (project / "data_loaders" / "load.py").write_text(LOADER + "\n# changed\n")
        event = next(event for event in told if event["kind"] == "file")
        assert event == {"kind": "file", "project": "demo", "path": "data_loaders/load.py"}


def test_listeners_survive_the_engines_death(tmp_path, served_context):
    """The hub starts a new engine and says `connected` again, upon which listeners re-read everything."""
    make_project(tmp_path, blocks={"load": LOADER})
    with page(start_command(), tmp_path) as started, started.client.stream("GET", "/api/events") as stream:
        told = events(stream.iter_lines())
        next(told)
        before = engines.status(served_context).pid
        assert before is not None
        os.kill(before, signal.SIGKILL)
        assert next(event for event in told if event.get("status") == "connected")
        after = engines.status(served_context)
        assert after.is_running
        assert after.pid != before
        run_id = started.client.post("/api/projects/demo/pipelines/main/runs", json={}).json()["run_id"]
        assert next(e for e in told if e["kind"] == "run" and e["status"] == "completed")["run_id"] == run_id


def test_page_ends_at_once_although_somebody_listens(tmp_path, served_context):
    make_project(tmp_path, blocks={"load": LOADER})
    with page(start_command(), tmp_path) as started, started.client.stream("GET", "/api/events") as stream:
        next(events(stream.iter_lines()))
        assert servers.running(served_context.workspace) is not None
        assert started.end(signal.SIGINT) == 130
        assert "Traceback" not in started.printed
    assert servers.running(served_context.workspace) is None
    assert engines.status(served_context).is_running, "runs go on without the page"


def test_run_goes_on_when_the_page_is_killed(tmp_path, served_context):
    source = "import time\n\n\n@data_loader\ndef load(*args, **kwargs):\n    time.sleep(2)\n    return 1\n"
    make_project(tmp_path, blocks={"load": source})
    with page(start_command(), tmp_path) as started:
        run_id = started.client.post("/api/projects/demo/pipelines/main/runs", json={}).json()["run_id"]
        started.end(signal.SIGKILL)
    with page(start_command(), tmp_path) as again:
        assert wait_until(lambda: again.client.get(f"/api/runs/{run_id}").json()["state"] == "completed")


def test_stop_ends_page_and_engine(tmp_path, served_context):
    with page(start_command(), tmp_path) as started:
        wait_until(lambda: engines.status(served_context).is_running)
        ended = subprocess.run(
            [str(BIN / "spellbook"), "stop", str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
        )
        assert ended.stdout == "Ended the page and the engine.\n"
        started.process.wait(DEADLINE_S)
    assert not engines.status(served_context).is_running


def test_blocks_do_not_see_the_token(tmp_path, served_context):
    """SPELLBOOK_TOKEN is for the page alone; the engine and its blocks get an environment without it."""
    make_project(tmp_path, blocks={"load": TELLS_TOKEN})
    command = ["/usr/bin/env", "SPELLBOOK_TOKEN=a-long-secret-for-this-test", *start_command()]
    with page(command, tmp_path) as started, started.client.stream("GET", "/api/events") as stream:
        told = events(stream.iter_lines())
        next(told)
        run_id = started.client.post("/api/projects/demo/pipelines/main/runs", json={}).json()["run_id"]
        next(e for e in told if e["kind"] == "run" and e["status"] == "completed")
        summary = started.client.get(f"/api/runs/{run_id}").json()["blocks"][0]["outputs"][0]["summary"]
        assert "none" in summary
