"""Runs attempts in the calling process, one after the other: for tests of the runner, not for work.

Limits: nothing is isolated beyond what is put back afterwards (working directory, import path, environment, imported
project modules); a block that crashes takes the caller with it; prints are logged when the block has ended, and only
those of Python; no time limit; a cancel is heeded only before the block starts; there is nothing to adopt.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from spellbook_core.engine.ports import Executor, ExecutorEvent, Exited, Handle, Progressed, Sealed, Started
from spellbook_core.model.task import LOG_FILE, BlockTask, Environment
from spellbook_core.worker import secrecy
from spellbook_core.worker.capture import LogWriter
from spellbook_core.worker.entry import run_task
from spellbook_core.worker.load import MODULE_PREFIX


class InlineExecutor(Executor):
    """An executor whose `poll` runs the attempt that was submitted first, from start to end."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, int], tuple[BlockTask, Path]] = {}
        self._events: list[ExecutorEvent] = []
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def prepare(self, environment: Environment) -> None:
        """Do nothing: this process is as warm as it is."""

    def submit(self, task: BlockTask, attempt_dir: Path, *, ahead: Sequence[Path] = ()) -> Handle:
        """Remember the attempt; the next `poll` runs it."""
        self._waiting.setdefault((task.block_run_id, task.attempt), (task, attempt_dir))
        os.eventfd_write(self._wake, 1)
        return {"block_run_id": task.block_run_id, "attempt": task.attempt, "dir": str(attempt_dir)}

    def fileno(self) -> int:
        """Return a descriptor that is readable while an attempt waits or an event is untold."""
        return self._wake

    def poll(self, timeout_s: float) -> Sequence[ExecutorEvent]:
        """Run the first waiting attempt and return its events."""
        if not self._events and not self._waiting:
            select.select([self._wake], [], [], timeout_s)
        if self._waiting:
            task, folder = self._waiting.pop(next(iter(self._waiting)))
            self._run(task, folder)
        events, self._events = self._events, []
        if not self._waiting:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)
        return events

    def cancel(self, handle: Handle, grace_s: float) -> None:
        """Drop an attempt that has not started."""
        for key in [key for key in self._waiting if key == (handle["block_run_id"], handle["attempt"])]:
            task, _ = self._waiting.pop(key)
            self._events.append(Exited(task.block_run_id, task.attempt, None, reason="cancelled"))

    def adopt(self, handle: Handle) -> bool:
        """Return False: an attempt never outlives this process."""
        return False

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        os.close(self._wake)

    def _run(self, task: BlockTask, folder: Path) -> None:
        handle: Handle = {"block_run_id": task.block_run_id, "attempt": task.attempt, "dir": str(folder)}
        self._events.append(Started(task.block_run_id, task.attempt, handle, os.getpid()))
        prints = {"stdout": io.StringIO(), "stderr": io.StringIO()}
        out, err = contextlib.redirect_stdout(prints["stdout"]), contextlib.redirect_stderr(prints["stderr"])
        with _process_put_back(), out, err:
            outcome = run_task(task, folder)
        log = LogWriter(folder / LOG_FILE)
        log.masker = secrecy.masker()
        for stream, text in prints.items():
            log.feed(stream, text.getvalue().encode("utf-8", "replace"), time.time())
        log.close(time.time())
        if any(text.tell() for text in prints.values()):
            self._events.append(Progressed(task.block_run_id, task.attempt, "log"))
        self._events.append(Sealed(task.block_run_id, task.attempt))
        self._events.append(Exited(task.block_run_id, task.attempt, 0 if outcome.error is None else 1))


@contextmanager
def _process_put_back() -> Iterator[None]:
    """Restore what `run_task` and well-behaved blocks change in a process."""
    folder, environment = Path.cwd(), dict(os.environ)
    path, finders, modules = sys.path.copy(), sys.meta_path.copy(), set(sys.modules)
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        parent = Path.cwd()
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:], sys.meta_path[:] = path, finders
        signal.signal(signal.SIGINT, interrupt)
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if name.startswith((MODULE_PREFIX, "mage_ai", "default_repo")) or Path(file).is_relative_to(parent):
                del sys.modules[name]
