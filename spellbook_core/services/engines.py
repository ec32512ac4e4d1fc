"""The engine process as others see it: start it when none leads, wake it, ask how it is, stop it."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from spellbook_core.clock import from_text
from spellbook_core.engine.leader import EngineInfo, read_info
from spellbook_core.engine.messages import decode, encode, receive_line
from spellbook_core.errors import SpellbookError
from spellbook_core.model.values import JsonObject
from spellbook_core.services.wiring import Context

START_TIMEOUT_S = 30.0
"""How long a new engine may take until its socket answers; 0.5 s is usual, a cold disk takes several."""

ANSWER_TIMEOUT_S = 5.0
"""How long a leading engine may take to answer; it answers between two events, which take milliseconds."""

_READY = b"ready"
_LOG_TAIL_CHARS = 600


class EngineStartError(SpellbookError, RuntimeError):
    """No engine process answers, and none could be started."""

    code = "SB-RUN-008"


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """How the engine of a workspace is.

    Attributes:
        workers: Block processes that ran at the last heartbeat.
        problem: Why it is not running, or what is wrong with it, for people.
    """

    is_running: bool
    pid: int | None = None
    started_at: datetime | None = None
    heartbeat_at: datetime | None = None
    version: str | None = None
    workers: int = 0
    problem: str | None = None


def status(ctx: Context) -> EngineStatus:
    """Return how the engine is, asking it; does not start one."""
    info = read_info(ctx.workspace)
    if info is None:
        return EngineStatus(is_running=False, problem="No engine is running; it starts with the next run.")
    beat = ctx.store.last_beat()
    heartbeat_at = beat.heartbeat_at if beat and beat.pid == info.pid else None
    try:
        with _connection(info) as connection:
            connection.sendall(encode({"op": "ping"}))
            answer = receive_line(connection)
    except OSError as cause:
        gone = isinstance(cause, (ConnectionRefusedError, FileNotFoundError))
        problem = "The engine has ended; it starts with the next run." if gone else "The engine does not answer."
        return EngineStatus(is_running=False, heartbeat_at=heartbeat_at, problem=problem)
    workers = answer.get("workers", 0)
    return EngineStatus(
        is_running=True,
        pid=info.pid,
        started_at=from_text(info.started),
        heartbeat_at=heartbeat_at,
        version=info.version,
        workers=workers if isinstance(workers, int) else 0,
    )


def revive(ctx: Context) -> bool:
    """Start an engine where one was killed with runs under way; return whether that was needed.

    An engine that was stopped took its announcement back: it stays stopped until somebody wants one.
    """
    info = read_info(ctx.workspace)
    if info is None:
        return False
    with suppress(OSError), _connection(info):
        return False
    if not ctx.store.unended_runs():
        return False
    ensure(ctx)
    return True


def set_aside(ctx: Context) -> tuple[str, ...]:
    """Return the names of damaged run stores that were replaced, oldest first; they are kept until a person acts."""
    name = ctx.workspace.database_path.name
    found = ctx.workspace.state_dir.glob(f"{name}.corrupt-*")
    return tuple(sorted(path.name for path in found if not path.name.endswith(("-wal", "-shm"))))


def ensure(ctx: Context) -> EngineStatus:
    """Return the status of the leading engine, started when there is none; returns once its socket answers.

    Raises:
        EngineStartError: With the end of the engine's log. [SB-RUN-008]
    """
    with connected(ctx):
        pass
    return status(ctx)


@contextmanager
def connected(ctx: Context) -> Iterator[Callable[[JsonObject], None]]:
    """Hold a connection to the engine, started when none leads; yields a function that sends it one message."""
    connection = _connect(ctx) or _start_and_connect(ctx)
    with connection:
        yield lambda message: connection.sendall(encode(message))


@contextmanager
def subscribed(ctx: Context) -> Iterator[Callable[[float], list[JsonObject]]]:
    """Receive the engine's events, the engine started when none leads.

    Yields a function that waits up to so many seconds and returns the events that came, none when none did. It raises
    ConnectionError when the engine has gone. What the store says from then on is told: the engine has answered behind
    the subscription. One that has just begun acts on what waits in the store before it reads what anybody sent.
    """
    connection = _connect(ctx) or _start_and_connect(ctx)
    with connection:
        connection.sendall(encode({"op": "subscribe"}) + encode({"op": "ping"}))
        received = _behind_the_pong(connection)

        def receive(timeout_s: float) -> list[JsonObject]:
            nonlocal received
            if b"\n" not in received:
                if not select.select([connection], [], [], timeout_s)[0]:
                    return []
                received += _received(connection)
            *lines, received = received.split(b"\n")
            return [decode(line) for line in lines]

        yield receive


def _behind_the_pong(connection: socket.socket) -> bytes:
    """Read until the engine answered, and return what of later events has come."""
    received = b""
    connection.settimeout(START_TIMEOUT_S)
    while b"\n" not in received or decode(received.split(b"\n", 1)[0]).get("op") != "pong":
        line, end, rest = received.partition(b"\n")
        received = rest if end else line + _received(connection)
    connection.settimeout(ANSWER_TIMEOUT_S)
    return received.partition(b"\n")[2]


def _received(connection: socket.socket) -> bytes:
    try:
        data = connection.recv(64 * 1024)
    except TimeoutError as late:
        raise ConnectionError("the engine does not answer") from late
    if not data:
        raise ConnectionError("the engine has gone")
    return data


def wake(ctx: Context) -> None:
    """Tell the engine that the run store has something for it; starts the engine when none leads."""
    with connected(ctx) as send:
        send({"op": "wake"})


def prepare(ctx: Context, project: str) -> None:
    """Have a process warmed for `project`, so that its next block starts at once; returns at once."""
    with connected(ctx) as send:
        send({"op": "prepare", "project": project})


def stop(ctx: Context) -> None:
    """End the engine process and wait until it has let go. Running blocks go on; the next engine adopts them."""
    connection = _connect(ctx)
    if connection is None:
        return
    with connection, suppress(OSError):
        connection.settimeout(START_TIMEOUT_S)
        connection.sendall(encode({"op": "stop"}))
        while connection.recv(4096):
            pass  # end of file: the engine closes its connections last


def event_socket(ctx: Context) -> str:
    """Return the path of the engine's socket, the engine started when none leads; send it {"op": "subscribe"}."""
    with connected(ctx):
        info = read_info(ctx.workspace)
    return info.socket if info else ""


def _connect(ctx: Context) -> socket.socket | None:
    info = read_info(ctx.workspace)
    if info is None:
        return None
    try:
        return _connection(info)
    except OSError:
        return None


def _connection(info: EngineInfo) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # A connection that may not wait is refused at once while others stand in the engine's queue, as if it had gone.
        patience = struct.pack("ll", int(ANSWER_TIMEOUT_S), 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        connection.connect(info.socket)
        connection.settimeout(ANSWER_TIMEOUT_S)
    except BaseException:  # also KeyboardInterrupt: no open descriptor may stay
        connection.close()
        raise
    return connection


def _start_and_connect(ctx: Context) -> socket.socket:
    """Start an engine; of several processes that want one at once, the first starts it and the others wait."""
    state = ctx.workspace.ensure_state_dir()
    lock = os.open(state / "engine.start.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection = _connect(ctx)
        if connection is None:
            _start(ctx)
            connection = _connect(ctx)
    finally:
        os.close(lock)
    if connection is None:
        raise _start_error(ctx, "it said that it was ready, but does not answer")
    return connection


def _start(ctx: Context) -> None:
    """Start a detached engine process and wait for its word; it ends up as no child of ours."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    package_root = Path(__file__).resolve().parents[2]
    environment = dict(os.environ)
    # -P keeps the working directory off the import path, so the package's own folder must be named.
    known = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = f"{package_root}{os.pathsep}{known}" if known else str(package_root)
    command = [sys.executable, "-P", "-m", "spellbook_core.services.engine_process", str(ctx.workspace.root)]
    try:
        log = os.open(ctx.workspace.engine_log_path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            launcher = subprocess.Popen(
                [*command, "--detach", "--ready-fd", str(writer)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ctx.workspace.root,
                env=environment,
                pass_fds=(writer,),
                start_new_session=True,
            )
        finally:
            os.close(log)
            os.close(writer)
        word = _first_word(reader)
        launcher.wait()
    finally:
        os.close(reader)
    if not word.startswith(_READY):
        raise _start_error(ctx, "it ended while starting" if not word else word.decode("utf-8", "replace").strip())


def _first_word(reader: int) -> bytes:
    """Return what the new process says; empty when it ended, or did not speak in time."""
    readable, _, _ = select.select([reader], [], [], START_TIMEOUT_S)
    return os.read(reader, 4096) if readable else b""


def _start_error(ctx: Context, reason: str) -> EngineStartError:
    log = ctx.workspace.engine_log_path
    try:
        tail = log.read_text("utf-8", "replace")[-_LOG_TAIL_CHARS:].strip()
    except OSError:
        tail = ""
    return EngineStartError(
        f"The engine process did not start: {reason}.{' Its log ends: ' + tail if tail else ''}",
        hint=f"look at {log.name} in the workspace's state folder, or run 'spellbook engine' in a terminal.",
    )
