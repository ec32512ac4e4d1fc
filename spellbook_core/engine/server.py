"""The engine process's only loop: commands of clients, events of the executor, timers. It sleeps until one is due.

Single-threaded: between two events nothing else happens, so nothing needs a lock. A client that does not read is
dropped; it never delays a run.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType

from spellbook_core.clock import Clock
from spellbook_core.engine.messages import MAX_LINE_BYTES, decode, encode
from spellbook_core.engine.runner import Runner
from spellbook_core.errors import SpellbookError
from spellbook_core.model.values import JsonObject
from spellbook_core.settings import HEARTBEAT_S

MAX_UNREAD_BYTES = 256 * 1024
"""What a subscriber may leave unread, about 2,000 events, before it is dropped; it subscribes again and re-reads."""

CANCEL_STEP_S = 0.25
"""How often the executor gets to climb the cancel ladder of an adopted process, whose steps no descriptor tells."""

_LOG = logging.getLogger("spellbook.engine")


class _Client:
    """One connection: what it sent so far of a line, and what it has not read yet."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = b""
        self.unsent = bytearray()
        self.is_subscriber = False
        self.is_written_when_ready = False


class EngineServer:
    """Serves one workspace's socket and drives its runner."""

    def __init__(self, clock: Clock, *, idle_exit_s: float, beat: Callable[[int], None]) -> None:
        """Serve nothing yet.

        Args:
            clock: For the timers.
            idle_exit_s: Seconds without a run or a subscriber after which `serve` returns; 0 never.
            beat: Called every `HEARTBEAT_S` with the number of block processes.
        """
        self._clock = clock
        self._idle_exit_s = idle_exit_s
        self._beat = beat
        self._clients: dict[int, _Client] = {}
        self._told: set[_Client] = set()
        self._is_in_step = False
        self._selector = selectors.DefaultSelector()
        self._is_stopping = False
        self._unheard: socket.socket | None = None
        self._is_short = False

    def publish(self, event: JsonObject) -> None:
        """Send an event to every subscriber that keeps up, once the step that tells it is done: one send for all."""
        line = encode(event)
        for client in [client for client in self._clients.values() if client.is_subscriber]:
            self._keep(client, line)
        if not self._is_in_step:
            self._flush_told()

    def serve(self, runner: Runner, executor_fd: int, listener: socket.socket) -> None:
        """Work until stopped by a client, SIGTERM, SIGINT or idleness. Running blocks are left to go on."""
        waker = self._catch_signals()
        watched: list[tuple[int, Callable[[], None]]] = [
            (listener.fileno(), lambda: self._accept(listener)),
            (executor_fd, runner.on_executor),
            (runner.supervisor.fileno(), runner.on_supervisor),
            (runner.files.fileno(), runner.on_files),
            (waker.fileno(), lambda: _drain(waker)),
        ]
        for descriptor, action in watched:
            self._selector.register(descriptor, selectors.EVENT_READ, action)
        self._runner = runner
        try:
            self._guarded(runner.take_new)
            self._loop(runner)
        finally:
            self._release_signals(waker)

    def close(self) -> None:
        """End the connections. Call it last: to who asked the engine to stop, it says that all is let go of."""
        for client in list(self._clients.values()):
            self._drop(client)
        self._selector.close()

    def _loop(self, runner: Runner) -> None:
        now = self._clock.monotonic()
        next_beat, busy_at = now, now
        while not self._is_stopping:
            now = self._clock.monotonic()
            if now >= next_beat:
                next_beat = now + HEARTBEAT_S
                self._guarded(self._hear_again)
                self._guarded(lambda: self._beat(runner.workers))
                self._guarded(runner.look_again)
                self._guarded(runner.take_new)  # a safety net: runs whose owner died, wakes that got lost
            if not runner.is_idle or any(client.is_subscriber for client in self._clients.values()):
                busy_at = now
            elif self._idle_exit_s and now - busy_at >= self._idle_exit_s:
                return
            due_s = runner.next_due_s()
            if due_s == 0.0:
                self._guarded(runner.on_time)
                due_s = runner.next_due_s()
            wait_s = max(0.0, next_beat - now) if due_s is None else min(due_s, max(0.0, next_beat - now))
            if runner.is_cancelling:
                wait_s = min(wait_s, CANCEL_STEP_S)
                self._guarded(runner.on_executor)
            for key, events in self._selector.select(wait_s):
                if isinstance(key.data, _Client):
                    self._on_client(key.data, events)
                else:
                    self._guarded(key.data)

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do one step; whatever goes wrong in it is logged, and the engine goes on."""
        self._is_in_step = True
        try:
            action()
        except Exception:  # noqa: BLE001  # the executor loop's boundary: one run's trouble must not end all the others
            _LOG.exception("a step of the engine failed")
        finally:
            self._is_in_step = False
        self._flush_told()

    def _flush_told(self) -> None:
        while self._told:
            self._flush(self._told.pop())

    # -- clients --------------------------------------------------------------------------------------------------

    def _accept(self, listener: socket.socket) -> None:
        """Take a connection. Where the machine has no descriptor left, none is taken until the next heartbeat.

        Who connects waits in the listener's queue meanwhile; looked at before, a listener that stays readable would
        keep the loop busy.
        """
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as problem:
            if not self._is_short:
                _LOG.error("no client can be taken on until descriptors or memory are free again: %s", problem)
            self._is_short, self._unheard = True, listener
            self._selector.unregister(listener)
            return
        self._is_short = False
        connection.setblocking(False)
        client = _Client(connection)
        self._clients[connection.fileno()] = client
        self._selector.register(connection, selectors.EVENT_READ, client)
        self._hear(client)  # what it wants came with it: nobody connects to say nothing

    def _hear_again(self) -> None:
        if self._unheard is not None:
            listener, self._unheard = self._unheard, None
            self._selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener))

    def _on_client(self, client: _Client, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._flush(client)
        if not events & selectors.EVENT_READ or client.connection.fileno() < 0:
            return
        self._hear(client)

    def _hear(self, client: _Client) -> None:
        """Do what a client asks for. Most ask for one thing and go: the second look finds that, without a wake-up."""
        for _ in range(2):
            try:
                data = client.connection.recv(MAX_LINE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            *lines, client.received = (client.received + data).split(b"\n")
            if not data or len(client.received) > MAX_LINE_BYTES:
                self._drop(client)
                return
            for line in lines:
                self._guarded(partial(self._obey, client, decode(line)))
            if client.connection.fileno() < 0:  # it was dropped meanwhile
                return

    def _obey(self, client: _Client, message: JsonObject) -> None:
        operation = message.get("op")
        if operation == "wake":
            self._runner.take_new()
        elif operation == "subscribe":
            client.is_subscriber = True
        elif operation == "ping":
            self._keep(client, encode({"op": "pong", "pid": os.getpid(), "workers": self._runner.workers}))
        elif operation == "stop":
            self._is_stopping = True
        elif operation == "prepare":
            try:
                self._runner.prepare(str(message.get("project")))
            except SpellbookError as error:
                _LOG.warning("cannot prepare: %s", error)

    def _keep(self, client: _Client, line: bytes) -> None:
        if len(client.unsent) + len(line) > MAX_UNREAD_BYTES:
            self._flush(client)  # most of it may be of this step, and was not offered yet
        if len(client.unsent) + len(line) > MAX_UNREAD_BYTES:
            _LOG.warning("a subscriber that does not read was dropped")
            self._drop(client)
            return
        client.unsent += line
        self._told.add(client)

    def _flush(self, client: _Client) -> None:
        if client.connection.fileno() < 0 or not client.unsent:
            return
        try:
            sent = client.connection.send(client.unsent)
            del client.unsent[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)
            return
        has_unsent = bool(client.unsent)
        if has_unsent != client.is_written_when_ready:
            client.is_written_when_ready = has_unsent
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if has_unsent else 0)
            self._selector.modify(client.connection, wanted, client)

    def _drop(self, client: _Client) -> None:
        if self._clients.pop(client.connection.fileno(), None) is not None:
            self._selector.unregister(client.connection)
            client.connection.close()

    # -- signals --------------------------------------------------------------------------------------------------

    def _catch_signals(self) -> socket.socket:
        """Return a socket that becomes readable when SIGTERM or SIGINT asks to stop."""
        waker, self._signalled = socket.socketpair()
        waker.setblocking(False)
        self._signalled.setblocking(False)
        signal.set_wakeup_fd(self._signalled.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        return waker

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True

    def _release_signals(self, waker: socket.socket) -> None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        waker.close()
        self._signalled.close()


def _drain(waker: socket.socket) -> None:
    with suppress(BlockingIOError):
        waker.recv(4096)


def listen(path: Path) -> socket.socket:
    """Return a non-blocking listener on a new unix socket that only this user may use; an old one is removed."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(64)
        listener.setblocking(False)
    except BaseException:  # also KeyboardInterrupt: no open descriptor may stay
        listener.close()
        raise
    return listener
