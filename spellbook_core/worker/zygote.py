"""The warm process that forks one child per attempt: imports everything first, computes nothing, runs no user code.

Single-threaded, because a fork copies one thread only: the lock that another thread held stays locked in the child for
ever (measured: 12 of 12 children hung after one torch matmul in the parent). So the zygote counts its threads after
importing; when there is more than one it starts itself anew with a smaller list, and as the last resort it forks
nothing and starts pre-imported processes instead (`spare` mode). Which mode it is in, it tells.

Started by the executor as `python -P -m spellbook_core.worker.zygote FD OPTIONS`; FD is its end of a socket pair that
carries JSON lines. When that closes (the engine died), running children go on until they have sealed, then it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, cast

from spellbook_core.model.task import LOCK_FILE, LOG_FILE
from spellbook_core.model.values import JsonValue
from spellbook_core.worker import preload
from spellbook_core.worker.capture import LogWriter
from spellbook_core.worker.child import Ends, become_subreaper, configure_streams, serve
from spellbook_core.worker.job import PROGRESS_INTERVAL_S, READ_BYTES, SEALED, Child, Job, crash_file, signal_group
from spellbook_core.worker.strays import end_strays
from spellbook_core.worker.wire import Channel

STANDBY = 2
"""Children forked ahead: the fork (4-24 ms of page tables) is then off the path from click to result."""

REFILL_DELAY_S = 0.02
"""How long after handing over an attempt the next child is forked ahead: a short block keeps its core to itself."""

DRAIN_S = 1.0
"""How long the output of an ended process is still read."""

TIMEOUT_GRACE_S = 2.0
"""Seconds between the signals that end an attempt whose time is up."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the executor passes.

    Attributes:
        wanted: Packages that the project's blocks import.
        preload: Those that are imported before the fork; fewer after stepping down.
        mode: `fork` or `spare`.
        restore: The environment of the children, where the zygote's own differs; None removes a variable.
    """

    wanted: tuple[str, ...]
    preload: tuple[str, ...]
    mode: str
    restore: Mapping[str, str | None]

    @classmethod
    def parse(cls, text: str) -> Options:
        """Return the options that `to_text` wrote."""
        data = json.loads(text)
        return cls(tuple(data["wanted"]), tuple(data["preload"]), data["mode"], data["restore"])

    def to_text(self) -> str:
        """Return the JSON form, one command line argument."""
        return json.dumps(
            {
                "wanted": list(self.wanted),
                "preload": list(self.preload),
                "mode": self.mode,
                "restore": dict(self.restore),
            }
        )

    def stepped_down(self) -> Options:
        """Return what to try when forking after `preload` is not safe."""
        mode = "fork" if self.preload else "spare"
        return replace(self, preload=preload.smaller(self.preload), mode=mode)


class Zygote:
    """The loop: messages from the engine, output and exits of children, timers."""

    def __init__(self, channel: Channel, options: Options, raise_threads: Callable[[], None]) -> None:
        self._channel = channel
        self._options = options
        self._raise_threads = raise_threads
        self._selector = selectors.DefaultSelector()
        self._standby: list[Child] = []
        self._jobs: dict[int, Job] = {}
        self._refill_at: float | None = 0.0
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
        if self._refill_at is not None:
            due.append(self._refill_at)
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
            self._end_standby()
            return
        for message in messages:
            if message["op"] == "run":
                self._start(message)
            elif message["op"] == "cancel":
                self._cancel(message)

    def _start(self, message: Mapping[str, JsonValue]) -> None:
        folder = str(message["dir"])
        child = self._take_child()
        while not _hand_over(child, folder):  # it died while it waited, e.g. by the out-of-memory killer
            child.close()
            child = self._take_child()
        now = time.monotonic()
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
        self._tell("started", job, pid=child.pid, start_ticks=start_ticks(child.pid))
        self._refill_at = now + REFILL_DELAY_S

    def _take_child(self) -> Child:
        return self._standby.pop(0) if self._standby else self._make_child()

    def _make_child(self) -> Child:
        ours, theirs = socket.socketpair()
        out_read, out_write = _pipe()
        err_read, err_write = _pipe()
        crash = crash_file()
        ends = Ends(theirs.fileno(), out_write, err_write, crash)
        pid = os.fork() if self._options.mode == "fork" else self._spawn(ends)
        if pid == 0:
            self._forget_in_child(ours.fileno(), out_read, err_read)
            serve(ends, self._options.restore, self._raise_threads)
        theirs.close()
        os.close(out_write)
        os.close(err_write)
        ours.setblocking(False)
        return Child(pid, ours.detach(), out_read, err_read, crash)

    def _spawn(self, ends: Ends) -> int:
        descriptors = (ends.control, ends.stdout, ends.stderr, ends.crash)
        options = json.dumps({"preload": list(self._options.wanted), "restore": dict(self._options.restore)})
        command = [sys.executable, "-P", "-m", "spellbook_core.worker.child", *map(str, descriptors), options]
        for descriptor in descriptors:
            os.set_inheritable(descriptor, True)
        try:
            return os.posix_spawn(sys.executable, command, os.environ)
        finally:
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)

    def _forget_in_child(self, *descriptors: int) -> None:
        """Close what the fork copied: the engine's and the siblings' ends must not stay open in a block."""
        self._selector.close()
        for descriptor in (*descriptors, self._channel.fileno(), self._wake_read, self._wake_write):
            os.close(descriptor)
        for child in (*self._standby, *(job.child for job in self._jobs.values())):
            child.close()

    def _end_standby(self) -> None:
        for child in self._standby:
            child.close()  # it reads the end of its control socket and exits
        self._standby.clear()
        self._refill_at = None

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
        if self._refill_at is not None and now >= self._refill_at:
            if len(self._standby) < STANDBY:
                self._standby.append(self._make_child())
            self._refill_at = now if len(self._standby) < STANDBY else None

    def on_output(self, job: Job, stream: str, descriptor: int) -> bool:
        """Read what a child wrote to `stream`, or its word on the control socket; False when there is nothing more."""
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            with suppress(KeyError):
                self._selector.unregister(descriptor)
            return False
        if stream == "control":
            if data.strip(SEALED):
                job.dirty.add("metric")
            if SEALED in data and not job.is_sealed:
                self._on_sealed(job)
        elif job.log.feed(stream, data, time.time()):
            job.dirty.add("log")
        return True

    def _on_sealed(self, job: Job) -> None:
        """Take what the child printed, all of which is in its pipes by now, and tell; its exit is waited for apart."""
        for stream, descriptor in (("stdout", job.child.stdout), ("stderr", job.child.stderr)):
            self.on_output(job, stream, descriptor)
        job.log.close(time.time())
        job.seal(time.monotonic())
        job.dirty.clear()
        self._tell("sealed", job, reason=job.reason)

    def _tell_progress(self, job: Job, now: float) -> None:
        if job.dirty and now >= job.told_at + PROGRESS_INTERVAL_S:
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
            for child in [child for child in self._standby if child.pid == pid]:
                self._standby.remove(child)
                child.close()
            return
        strays = self._end_strays(job)
        signal_group(pid, signal.SIGKILL)  # before it is reaped: until then nobody else can have its number
        _, status, usage = os.wait4(pid, 0)
        del self._jobs[pid]
        self._finish(job, strays)
        self._tell(
            "exited",
            job,
            status=os.waitstatus_to_exitcode(status),
            reason=job.reason,
            crash=job.child.crash_trace(),
            peak_memory_bytes=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            cpu_s=usage.ru_utime + usage.ru_stime,
        )
        job.child.close()

    def _end_strays(self, job: Job) -> list[str]:
        known = {child.pid for child in self._standby} | self._jobs.keys()
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
        if not self._channel.is_closed:
            self._channel.send({"event": event, "id": job.key[0], "attempt": job.key[1], **facts})


class _Reader:
    """What the selector calls when a child's pipe has something."""

    def __init__(self, zygote: Zygote, job: Job, stream: str, descriptor: int) -> None:
        self._arguments = (job, stream, descriptor)
        self._zygote = zygote

    def __call__(self) -> None:
        self._zygote.on_output(*self._arguments)


def _hand_over(child: Child, folder: str) -> bool:
    try:
        os.write(child.control, os.fsencode(folder) + b"\n")
    except OSError:
        return False
    return True


def _pipe() -> tuple[int, int]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    with suppress(OSError, AttributeError):  # beyond the user's limit of pipe memory, or not Linux
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, READ_BYTES)
    return read, write


def start_ticks(pid: int) -> int | None:
    """Return when `pid` started, in clock ticks since boot: with the pid it names a process for good."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    except (OSError, IndexError):
        return None


def _start_anew(descriptor: int, options: Options) -> NoReturn:
    os.set_inheritable(descriptor, True)
    arguments = [sys.executable, "-P", "-m", "spellbook_core.worker.zygote", str(descriptor), options.to_text()]
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
