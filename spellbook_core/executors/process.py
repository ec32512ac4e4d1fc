"""Runs attempts in processes of this machine: one warm zygote per environment, one forked child per attempt."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import cast

from spellbook_core.engine.ports import Executor, ExecutorEvent, Exited, Handle, Progressed, Sealed, Started
from spellbook_core.executors.adopted import Adopted
from spellbook_core.executors.warm import WarmProcess
from spellbook_core.model.naming import BlockRunId
from spellbook_core.model.task import LOG_FILE, BlockTask, Environment
from spellbook_core.model.values import JsonValue
from spellbook_core.project.layout import Workspace
from spellbook_core.settings import Settings
from spellbook_core.worker.capture import LogWriter

_Key = tuple[int, int]


class ProcessExecutor(Executor):
    """The executor of one machine. Single-threaded: one runner owns it and waits on `fileno()`.

    Args:
        workspace: Where warm processes have their working directory.
        settings: How long an unused warm process is kept.
        mode: `fork`, or `spare` for pre-imported processes that are not forked (where forking is not safe).
    """

    def __init__(self, workspace: Workspace, settings: Settings, *, mode: str = "fork") -> None:
        self._workspace = workspace
        self._settings = settings
        self._mode = mode
        self._epoll = select.epoll()  # `selectors` would look at each descriptor several times, at every event
        self._watched: dict[int, Callable[[], None]] = {}
        self._processes: list[WarmProcess] = []
        self._jobs: dict[_Key, WarmProcess] = {}
        self._adopted: dict[_Key, Adopted] = {}
        self._events: list[ExecutorEvent] = []
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._watch(self._wake, self._on_wake)

    def prepare(self, environment: Environment) -> None:
        """Begin to warm a process for `environment`; returns at once."""
        self._warm(environment)

    def submit(self, task: BlockTask, attempt_dir: Path, *, ahead: Sequence[Path] = ()) -> Handle:
        """Start the attempt in a child of a warm process; see the port."""
        key = (task.block_run_id, task.attempt)
        handle: Handle = {"block_run_id": key[0], "attempt": key[1], "dir": str(attempt_dir)}
        if key in self._jobs or key in self._adopted:
            return handle
        try:
            process = self._warm(task.environment)
        except OSError as problem:
            self._tell(Exited(task.block_run_id, task.attempt, None, reason=f"cannot start: {problem}"))
            return handle
        self._jobs[key] = process
        process.run(key, attempt_dir, task.timeout_s, ahead)
        self._watch_unsent(process)
        if key in process.waiting and process.is_made_first:
            _say_waiting(process, attempt_dir)
            self._tell(Progressed(task.block_run_id, task.attempt, "log"))
        return handle

    def fileno(self) -> int:
        """Return the descriptor that is readable when something happened."""
        return self._epoll.fileno()

    def poll(self, timeout_s: float) -> Sequence[ExecutorEvent]:
        """Return what happened, waiting up to `timeout_s` for a first event."""
        until = time.monotonic() + timeout_s if timeout_s else 0.0
        while True:
            is_last = not timeout_s or bool(self._events)
            wait_s = 0.0 if is_last else max(0.0, min(until, self._next_at()) - time.monotonic())
            for descriptor, _ in self._epoll.poll(wait_s):
                if descriptor in self._watched:  # else an event before it ended that
                    self._watched[descriptor]()
            now = time.monotonic()
            self._on_time(now)
            if is_last or self._events or now >= until:
                events, self._events = self._events, []
                return events

    def cancel(self, handle: Handle, grace_s: float) -> None:
        """Ask the attempt to end: INT, TERM and KILL, `grace_s` seconds apart."""
        key = _key(handle)
        process, adopted = self._jobs.get(key), self._adopted.get(key)
        if process is not None and process.take_back(key):
            del self._jobs[key]
            self._tell(Exited(BlockRunId(key[0]), key[1], None, reason="cancelled"))
        elif process is not None:
            process.cancel(key, grace_s)
            self._watch_unsent(process)
        elif adopted is not None:
            adopted.cancel(time.monotonic(), grace_s)

    def adopt(self, handle: Handle) -> bool:
        """Watch an attempt of an earlier engine; False when its process is gone."""
        adopted = Adopted.find(handle)
        if adopted is None:
            return False
        key = _key(handle)
        self._adopted[key] = adopted
        self._watch(adopted.fileno(), partial(self._on_adopted_exit, key))
        return True

    def close(self) -> None:
        """End warm processes; running attempts go on, watched by theirs."""
        for process in self._processes:
            process.close(is_busy=process in self._jobs.values())
        for adopted in self._adopted.values():
            adopted.close()
        self._processes.clear()
        self._epoll.close()
        with suppress(OSError):
            os.close(self._wake)

    def describe(self) -> list[dict[str, JsonValue]]:
        """Return each warm process: pid, Python, mode (`starting`, `fork` or `spare`), packages, running attempts."""
        return [
            {
                "pid": process.pid,
                "python": process.python,
                "mode": process.mode,
                "preload": list(process.loaded),
                "running": sum(1 for entry in self._jobs.values() if entry is process),
            }
            for process in self._processes
        ]

    def _warm(self, environment: Environment) -> WarmProcess:
        for process in self._processes:
            if process.serves(environment):
                process.used_at = time.monotonic()
                return process
        process = WarmProcess.start(environment, self._mode, self._workspace.root)
        self._processes.append(process)
        self._watch(process.channel.fileno(), partial(self._on_channel, process))
        return process

    def _watch(self, descriptor: int, action: Callable[[], None]) -> None:
        self._watched[descriptor] = action
        self._epoll.register(descriptor, select.EPOLLIN)

    def _unwatch(self, descriptor: int) -> None:
        del self._watched[descriptor]
        self._epoll.unregister(descriptor)

    def _watch_unsent(self, process: WarmProcess) -> None:
        has_unsent = process.channel.has_unsent
        if has_unsent == process.is_written_when_ready:
            return
        process.is_written_when_ready = has_unsent
        self._epoll.modify(process.channel.fileno(), select.EPOLLIN | (select.EPOLLOUT if has_unsent else 0))

    def _on_channel(self, process: WarmProcess) -> None:
        process.channel.flush()
        for message in process.channel.receive():
            self._on_message(process, message)
        if process.channel.is_closed:
            self._on_lost(process)
        else:
            self._watch_unsent(process)

    def _on_message(self, process: WarmProcess, message: dict[str, JsonValue]) -> None:
        if message["event"] == "ready":
            process.on_ready(message)
            for other in [other for other in self._processes if other is not process and process.covers(other)]:
                self._end_if_idle(other)
            return
        block_run_id, attempt = BlockRunId(cast(int, message["id"])), cast(int, message["attempt"])
        if message["event"] == "started":
            pid = cast(int, message["pid"])
            handle: Handle = {
                "block_run_id": block_run_id,
                "attempt": attempt,
                "dir": process.folders[block_run_id, attempt],
                "pid": pid,
                "start_ticks": message["start_ticks"],
            }
            ticks = message["start_ticks"]
            self._events.append(Started(block_run_id, attempt, handle, pid, None if ticks is None else str(ticks)))
        elif message["event"] == "progressed":
            self._events.append(Progressed(block_run_id, attempt, str(message["what"])))
        elif message["event"] == "sealed":
            self._jobs.pop((block_run_id, attempt), None)  # what is left of it, the zygote ends
            self._events.append(Sealed(block_run_id, attempt, cast("str | None", message["reason"])))
        elif message["event"] == "exited":
            self._jobs.pop((block_run_id, attempt), None)
            process.folders.pop((block_run_id, attempt), None)
            process.used_at = time.monotonic()
            self._events.append(_exited(block_run_id, attempt, message))

    def _on_lost(self, process: WarmProcess) -> None:
        """Tell the attempts of a warm process that died; its children die with it."""
        self._unwatch(process.channel.fileno())
        self._processes.remove(process)
        why = process.last_words() or "the warm process ended at once"
        process.close(is_busy=False)
        reason = "worker lost" if process.is_ready or process.was_killed else f"cannot start: {why}"
        for key in [key for key, entry in self._jobs.items() if entry is process]:
            del self._jobs[key]
            self._events.append(Exited(BlockRunId(key[0]), key[1], None, reason=reason))

    def _on_adopted_exit(self, key: _Key) -> None:
        adopted = self._adopted.pop(key)
        self._unwatch(adopted.fileno())
        adopted.close()
        self._events.append(Exited(BlockRunId(key[0]), key[1], None, reason=adopted.reason))

    def _on_time(self, now: float) -> None:
        for adopted in self._adopted.values():
            adopted.act(now)
        for process in [p for p in self._processes if now - p.used_at > self._settings.zygote_idle_s]:
            self._end_if_idle(process)

    def _end_if_idle(self, process: WarmProcess) -> None:
        if process not in self._jobs.values():
            self._unwatch(process.channel.fileno())
            self._processes.remove(process)
            process.close(is_busy=False)

    def _next_at(self) -> float:
        due = [at for adopted in self._adopted.values() if (at := adopted.next_at) is not None]
        return min(due, default=float("inf"))

    def _tell(self, event: ExecutorEvent) -> None:
        self._events.append(event)
        os.eventfd_write(self._wake, 1)

    def _on_wake(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)


def _key(handle: Handle) -> _Key:
    return cast(int, handle["block_run_id"]), cast(int, handle["attempt"])


def _say_waiting(process: WarmProcess, attempt_dir: Path) -> None:
    """Write into the attempt's log why it does not begin yet; a log that cannot be written is no reason to fail."""
    digest = process.recipe.digest if process.recipe else ""
    log = LogWriter(attempt_dir / LOG_FILE)
    text = f"Waiting for the Python environment of this block, which is being made (environments/{digest}.log)."
    with suppress(OSError):
        log.notice(text, time.time(), level="info")
        log.close(time.time())


def _exited(block_run_id: BlockRunId, attempt: int, message: dict[str, JsonValue]) -> Exited:
    return Exited(
        block_run_id,
        attempt,
        exit_status=cast("int | None", message["status"]),
        reason=cast("str | None", message["reason"]),
        crash_trace=cast("str | None", message["crash"]),
        peak_memory_bytes=cast("int | None", message["peak_memory_bytes"]),
        cpu_s=cast("float | None", message["cpu_s"]),
    )
