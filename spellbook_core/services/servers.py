"""Which page serves a workspace now: written by the server, read by `spellbook token` and `spellbook stop`."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from spellbook_core.atomic import write_atomically
from spellbook_core.project.layout import Workspace

_STOP_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Server:
    """A page that is being served: where, and by which process (its start time guards against a reused pid)."""

    host: str
    port: int
    pid: int
    process_started: float


def address(host: str, port: int, query: Mapping[str, str] | None = None) -> str:
    """Return the page's URL for a browser on this machine."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)  # noqa: S104
    return f"http://{name}:{port}/" + (f"?{urlencode(query)}" if query else "")


@contextmanager
def recorded(workspace: Workspace, *, host: str, port: int) -> Iterator[None]:
    """Say in the state folder, while the block runs, that this process serves the workspace."""
    path = _path(workspace)
    record = {"host": host, "port": port, "pid": os.getpid(), "process_started": _process_started(os.getpid())}
    write_atomically(path, json.dumps(record).encode(), mode=0o600)
    try:
        yield
    finally:
        now = running(workspace)
        if now is not None and now.pid == os.getpid():
            path.unlink(missing_ok=True)


def running(workspace: Workspace) -> Server | None:
    """Return the page that serves `workspace`, None when none does (or its process is gone)."""
    try:
        record = json.loads(_path(workspace).read_text("utf-8"))
        server = Server(
            str(record["host"]), int(record["port"]), int(record["pid"]), float(record["process_started"] or 0.0)
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return server if _process_started(server.pid) == server.process_started else None


def stop(workspace: Workspace) -> bool:
    """End the page's process and wait until it is gone; False when no page was served.

    Runs are not touched: they belong to the engine.
    """
    server = running(workspace)
    if server is None:
        return False
    os.kill(server.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_WAIT_S
    while _process_started(server.pid) == server.process_started:
        if time.monotonic() > deadline:
            os.kill(server.pid, signal.SIGKILL)
            break
        time.sleep(0.02)  # another process's end can only be polled without pidfd, which macOS lacks
    return True


def _path(workspace: Workspace) -> Path:
    return workspace.state_dir / "server.json"


def _process_started(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None
