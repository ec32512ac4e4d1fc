"""The warm process that forks one child per attempt: imports everything first, computes nothing, runs no user code.

Single-threaded, because a fork copies one thread only: the lock that another thread held stays locked in the child for
ever (measured: 12 of 12 children hung after one torch matmul in the parent). So the zygote counts its threads after
importing; when there is more than one it starts itself anew with a smaller list, and as the last resort it forks
nothing and starts pre-imported processes instead (`spare` mode). Which mode it is in, it tells.

Started by the executor as `python -P -m spellbook_core.worker.zygote FD OPTIONS`; FD is its end of a socket pair that
carries JSON lines. When that closes (the engine died), running children go on until they have sealed, then it ends.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, cast

from spellbook_core.model.task import LOCK_FILE, LOG_FILE
from spellbook_core.model.values import JsonValue
from spellbook_core.worker import preload
from spellbook_core.worker.capture import LogWriter
from spellbook_core.worker.child import become_subreaper, configure_streams
from spellbook_core.worker.crash import report_crash
from spellbook_core.worker.job import PROGRESS_INTERVAL_S, Job, lay_out, read, signal_group
from spellbook_core.worker.options import Options
from spellbook_core.worker.standby import Standby
from spellbook_core.worker.strays import end_strays
from spellbook_core.worker.wire import Channel

DRAIN_S = 1.0
"""How long the output of an ended process is still read."""

STARTED_S = 0.05
"""How long the word that a process has started may wait for another one to go with. Of a chain of short blocks it goes
with the seal, and the engine is woken once per block instead of three times."""

EXITED_S = 0.005
"""The same, of the word that a process has ended which had sealed: long enough for the next block to be asked for,
whose words it then goes with."""

TIMEOUT_GRACE_S = 2.0
"""Seconds between the signals that end an attempt whose time is up."""


class Zygote:
    """The loop: messages from the engine, output and exits of children, timers."""

    def __init__(self, channel: Channel, options: Options, raise_threads: Callable[[], None]) -> None:
        self._channel = channel
        self._selector = selectors.DefaultSelector()
        self._standby = Standby(options, self._forget, raise_threads)
        self._jobs: dict[int, Job] = {}
        self._kept: list[dict[str, JsonValue]] = []
        self._kept_until: float | None = None
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> NoReturn:
        """Serve until the engine is gone and the last attempt has ended."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._on_child_exit)
        self._selector.register(self._channel, selectors.EVENT_READ, self._on_message)
        while self._jobs or not self._channel.is_closed:
            for key, _ in self._selector.select(self._wait_s()):
                cast("Callable[[], None]", key.data)()
            self._on_time(time.monotonic())
            self._watch_unsent()
        os._exit(0)  # a normal exit would run the libraries' exit code, which prints pages of leak reports

    def _wait_s(self) -> float | None:
        due = [at for job in self._jobs.values() if (at := job.next_at()) is not None]
        due += [at for at in (self._standby.refill_at, self._kept_until) if at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _watch_unsent(self) -> None:
        if not self._channel.is_closed:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._channel.has_unsent else 0)
            if self._selector.get_key(self._channel).events != events:
                self._selector.modify(self._channel, events, self._on_message)

    def _on_message(self) -> None:
        self._channel.flush()
        messages = self._channel.receive()
        if self._channel.is_closed:
            # what was asked in the last breath is not begun: the next engine starts it anew
            self._selector.unregister(self._channel)
            self._standby.close()
            return
        for message in messages:
            if message["op"] == "run":
                self._start(message)
            elif message["op"] == "cancel":
                self._cancel(message)

    def _start(self, message: Mapping[str, JsonValue]) -> None:
        folder = str(message["dir"])
        now = time.monotonic()
        try:
            child = self._standby.hand_over(folder, now)
        except OSError as problem:  # no more processes or descriptors: those that run are not at fault
            self._refuse(message, problem)
            return
        timeout_s = cast("float | None", message.get("timeout_s"))
        job = Job(
            key=(cast(int, message["id"]), cast(int, message["attempt"])),
            child=child,
            folder=Path(folder),
            log=LogWriter(Path(folder) / LOG_FILE),
            deadline=None if timeout_s is None else now + timeout_s,
        )
        self._jobs[child.pid] = job
        for stream, descriptor in (("stdout", child.stdout), ("stderr", child.stderr)):
            self._selector.register(descriptor, selectors.EVENT_READ, _Reader(self, job, stream, descriptor))
        self._selector.register(child.control, selectors.EVENT_READ, _Reader(self, job, "control", child.control))
        self._tell("started", job, pid=child.pid, start_ticks=child.start_ticks)
        for ahead in cast("list[str]", message.get("ahead") or []):
            lay_out(ahead)

    def _refuse(self, message: Mapping[str, JsonValue], problem: OSError) -> None:
        ended: dict[str, JsonValue] = {"event": "exited", "id": message["id"], "attempt": message["attempt"]}
        facts = ("status", "crash", "peak_memory_bytes", "cpu_s")
        self._send({**ended, **dict.fromkeys(facts), "reason": f"cannot start: {problem}"})

    def _forget(self) -> None:
        """Close what a fork copied: the engine's end and those of running blocks must not stay open in a block."""
        self._selector.close()
        for descriptor in (self._channel.fileno(), self._wake_read, self._wake_write):
            os.close(descriptor)
        for job in self._jobs.values():
            job.child.close()

    def _cancel(self, message: Mapping[str, JsonValue]) -> None:
        key = (message["id"], message["attempt"])
        job = next((job for job in self._jobs.values() if job.key == key), None)
        if job is not None:
            job.end("cancelled", time.monotonic(), cast(float, message["grace_s"]))

    def _on_time(self, now: float) -> None:
        for job in self._jobs.values():
            if job.deadline is not None and now >= job.deadline:
                if job.is_sealed:
                    job.end(None, now, 0.0)
                else:
                    job.end("timeout", now, TIMEOUT_GRACE_S)
            job.act(now)
            self._tell_progress(job, now)
        if self._kept_until is not None and now >= self._kept_until:
            self._send()
        self._standby.refill(now)

    def on_output(self, job: Job, stream: str, descriptor: int) -> bool:
        """Read what a child wrote to `stream`, or its word on the control socket; False when there is nothing more."""
        try:
            data = read(descriptor)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            with suppress(KeyError):
                self._selector.unregister(descriptor)
            return False
        if stream == "control":
            self._when_sealed(job, job.hear(data))
            return True
        is_sealed = job.listen()  # a secret is told before it is printed: it must be known before the print is written
        if job.log.feed(stream, data, time.time()):
            job.dirty.add("log")
        if job.log.bar is not None:
            job.dirty.add("metric")
        self._when_sealed(job, is_sealed)
        return True

    def _when_sealed(self, job: Job, is_sealed: bool) -> None:
        if is_sealed and not job.is_sealed:
            self._on_sealed(job)

    def _on_sealed(self, job: Job) -> None:
        """Take what the child printed, all of which is in its pipes by now, and tell; its exit is waited for apart."""
        for stream, descriptor in (("stdout", job.child.stdout), ("stderr", job.child.stderr)):
            self.on_output(job, stream, descriptor)
        job.log.close(time.time())
        now = time.monotonic()
        job.seal(now)
        job.told_at = 0.0  # the last of it is told at once
        self._tell_progress(job, now)
        self._tell("sealed", job, reason=job.reason)

    def _tell_progress(self, job: Job, now: float) -> None:
        if job.dirty and now >= job.told_at + PROGRESS_INTERVAL_S:
            job.write_bar(time.time())
            for what in sorted(job.dirty):
                self._tell("progressed", job, what=what)
            job.dirty.clear()
            job.told_at = now

    def _on_child_exit(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            self._reap(ended.si_pid)

    def _reap(self, pid: int) -> None:
        job = self._jobs.get(pid)
        if job is None:
            os.waitpid(pid, 0)
            self._standby.drop(pid)
            return
        self._when_sealed(job, job.listen())
        strays = self._end_strays(job)
        signal_group(pid, signal.SIGKILL)  # before it is reaped: until then nobody else can have its number
        _, status, usage = os.wait4(pid, 0)
        del self._jobs[pid]
        if not job.is_sealed:
            ended = report_crash(os.waitstatus_to_exitcode(status), job.reason, job.child.crash_trace())
            job.log.notice(ended.message, time.time(), level="error")
        self._finish(job, strays)
        crash = job.child.crash_trace()
        job.child.close()
        self._tell(
            "exited",
            job,
            status=os.waitstatus_to_exitcode(status),
            reason=job.reason,
            crash=crash,
            peak_memory_bytes=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            cpu_s=usage.ru_utime + usage.ru_stime,
        )

    def _end_strays(self, job: Job) -> list[str]:
        known = self._standby.pids | self._jobs.keys()
        marker = f"{job.key[0]}.{job.key[1]}"
        return end_strays(marker, job.folder / LOCK_FILE, known, is_last=len(self._jobs) == 1)

    def _finish(self, job: Job, strays: list[str]) -> None:
        """Take the rest of the attempt's output, and close its log."""
        until = time.monotonic() + DRAIN_S
        for stream, descriptor in (("stdout", job.child.stdout), ("stderr", job.child.stderr)):
            while self.on_output(job, stream, descriptor) and time.monotonic() < until:
                pass
        for descriptor in (job.child.stdout, job.child.stderr, job.child.control):
            with suppress(KeyError):
                self._selector.unregister(descriptor)
        if strays:
            listed = "; ".join(strays[:5])
            job.log.notice(f"Ended {len(strays)} process(es) that the block left running: {listed}", time.time())
        job.log.close(time.time())

    def _tell(self, event: str, job: Job, **facts: JsonValue) -> None:
        message: dict[str, JsonValue] = {"event": event, "id": job.key[0], "attempt": job.key[1], **facts}
        if event == "started":
            if not any(kept["event"] == event for kept in self._kept):  # else none would be told of many in a row
                self._kept_until = time.monotonic() + STARTED_S
            self._kept.append(message)
        elif event == "exited" and job.is_sealed:
            self._kept.append(message)
            self._kept_until = self._kept_until or time.monotonic() + EXITED_S
        else:
            self._send(message)

    def _send(self, *messages: dict[str, JsonValue]) -> None:
        kept, self._kept, self._kept_until = self._kept, [], None
        if not self._channel.is_closed:
            self._channel.send(*kept, *messages)


class _Reader:
    """What the selector calls when a child's pipe has something."""

    def __init__(self, zygote: Zygote, job: Job, stream: str, descriptor: int) -> None:
        self._arguments = (job, stream, descriptor)
        self._zygote = zygote

    def __call__(self) -> None:
        self._zygote.on_output(*self._arguments)


def _start_anew(descriptor: int, options: Options) -> NoReturn:
    os.set_inheritable(descriptor, True)
    arguments = [*options.command("spellbook_core.worker.zygote"), str(descriptor), options.to_text()]
    os.execv(sys.executable, arguments)  # noqa: S606  # the same program anew, with a list of arguments


def main() -> NoReturn:
    """Import, make sure that forking is safe, tell the engine, serve."""
    descriptor, options = int(sys.argv[1]), Options.parse(sys.argv[2])
    os.set_inheritable(descriptor, False)
    become_subreaper()
    configure_streams()
    if options.mode == "fork":
        preload.import_packages(options.preload)
        if preload.thread_count() != 1:
            _start_anew(descriptor, options.stepped_down())
    channel = Channel(socket.socket(fileno=descriptor))
    channel.send({"event": "ready", "mode": options.mode, "preload": list(options.preload)})
    Zygote(channel, options, preload.thread_raiser() if options.mode == "fork" else lambda: None).run()


if __name__ == "__main__":
    main()
