"""Run one attempt in the process that was made for it, and seal its outcome."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.clock import from_text, to_text
from spellbook_core.model.outcome import OUTCOME_FILE, Outcome
from spellbook_core.model.output import OutputInfo
from spellbook_core.model.task import LOCK_FILE, METRICS_FILE, TASK_FILE, BlockTask
from spellbook_core.project.layout import Workspace
from spellbook_core.worker import api, figures, memory, secrecy
from spellbook_core.worker.call import Artifacts, CallResult, call_block
from spellbook_core.worker.control import send
from spellbook_core.worker.environment import environment_of
from spellbook_core.worker.failures import AttemptTakenError
from spellbook_core.worker.load import extend_import_path, project_modules
from spellbook_core.worker.log_calls import own_lines_told
from spellbook_core.worker.report import log_text, report_exception
from spellbook_core.worker.wire import task_from_json

_NO_TEXTS = frozenset({"digest", "format", "kind", "code", "started_at", "ended_at", "modules", "child"})
"""Keys of an outcome whose values nobody wrote by hand: a secret `json` must not make an output unreadable."""


def read_task(attempt_dir: Path) -> BlockTask:
    """Return the task that the engine wrote into the attempt's folder."""
    return task_from_json(json.loads((attempt_dir / TASK_FILE).read_bytes()))


def run_task(task: BlockTask, attempt_dir: Path, *, ping: int | None = None) -> Outcome:
    """Run the block of `task` in this process and write `outcome.json`, whole or not at all.

    Changes the process (working directory, import path, environment): meant for a process of its own.

    Args:
        task: The attempt.
        attempt_dir: Its folder; gets the lock, the metrics and the outcome.
        ping: Descriptor that gets a byte per metric.

    Returns:
        What was sealed.

    Raises:
        AttemptTakenError: Another process runs this attempt; nothing was done. [SB-WRK-014]
    """
    lock = _lock(attempt_dir, task)
    try:
        started_at, start, pid = datetime.now(UTC), time.monotonic(), os.getpid()
        secrecy.begin(task, (lambda texts: send(ping, {"secrets": list(texts)})) if ping is not None else _untold)
        api.activate(_current(task), attempt_dir / METRICS_FILE, ping)
        os.environ.update(secrecy.exported())
        result = _call(task, ping, begun_at=os.fstat(lock).st_mtime)
        if os.getpid() != pid:
            os._exit(0)  # the block forked, and this is the fork: it has no say in the outcome
        if result.error is not None:
            _print(log_text(result.error, result.tests))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # from here on a cancel comes too late to lose the result
        usage, below = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        outcome = Outcome(
            outputs=result.outputs,
            tests=result.tests,
            error=result.error,
            started_at=to_text(started_at),
            ended_at=to_text(datetime.now(UTC)),
            duration_s=time.monotonic() - start,
            cpu_s=usage.ru_utime + usage.ru_stime + below.ru_utime + below.ru_stime,
            peak_memory_bytes=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            modules=project_modules(Path(task.project_root)),
            warnings=api.deactivate() + tuple(text for output in result.outputs for text in output.warnings),
            is_met=result.is_met,
        )
        outcome = _masked(outcome)
        seal(outcome, attempt_dir)
        return outcome
    finally:
        api.deactivate()
        os.close(lock)


def seal(outcome: Outcome, attempt_dir: Path) -> None:
    """Put the outcome into place by a rename; not synced: after a power loss the attempt is simply run again."""
    path = attempt_dir / OUTCOME_FILE
    temporary = path.with_suffix(".tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        os.fchmod(handle, 0o600)  # also where the block's umask leaves nobody, and so the engine, the right to read it
        file.write(json.dumps(outcome.to_json()))
    os.replace(temporary, path)


def _untold(texts: Iterable[str]) -> None:
    """Tell nobody: whoever runs attempts in its own process asks for the masker afterwards."""


def _masked(outcome: Outcome) -> Outcome:
    """Return the outcome without a secret in any of its texts; what points at stored values stays."""
    masker = secrecy.masker()
    if not masker:
        return outcome
    return Outcome.from_json(masker.value(outcome.to_json(), but=_NO_TEXTS, keys=False))


def _print(text: str) -> None:
    """Write to the log, behind what the block printed; the block may have replaced or closed `sys.stderr`."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    with suppress(OSError):
        os.write(2, text.encode("utf-8", "replace"))


def _lock(attempt_dir: Path, task: BlockTask) -> int:
    """Hold the attempt's lock; the file names the holder, so that a restarted engine can find the process."""
    lock = os.open(attempt_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise AttemptTakenError(
            f"Attempt {task.attempt} of block '{task.block}' is being run by another process.",
            hint="wait for it to end.",
            block=task.block,
        ) from None
    if os.read(lock, 1):  # who held it wrote so first: a worker, or an engine that gave the attempt up
        os.close(lock)
        raise AttemptTakenError(
            f"Attempt {task.attempt} of block '{task.block}' was begun before, or given up.",
            hint="look at the newest attempt.",
            block=task.block,
        )
    os.write(lock, str(os.getpid()).encode())
    return lock


def _current(task: BlockTask) -> api.CurrentRun:
    return api.CurrentRun(
        run_id=task.run_id,
        block_run_id=task.block_run_id,
        attempt=task.attempt,
        project=task.project,
        pipeline=task.pipeline,
        block=task.block,
        trigger=task.trigger,
        execution_date=from_text(task.execution_date),
    )


def _call(task: BlockTask, ping: int | None, *, begun_at: float) -> CallResult:
    root = Path(task.project_root)
    try:
        os.environ.update(environment_of(task.configuration))
        if ping is not None and (limit := memory.restrict(task)) is not None:  # in a process of its own only
            send(ping, {"memory_limit": limit})
        os.chdir(root.parent)
        extend_import_path(root)
        with _warnings_kept(task.project_root), own_lines_told(task), _figures_shown() as seen:
            return call_block(task, _Seeing(_artifacts(task, begun_at), seen))
    except BaseException as failure:  # noqa: BLE001  # an interrupt may land outside of user code: still an outcome
        return CallResult(error=report_exception(failure, task))


@contextmanager
def _figures_shown() -> Iterator[set[int]]:
    """Show what the block leaves open in pyplot, but figures whose identity is put into the set that this yields."""
    finder = figures.PyplotFinder(api.capture_figure)
    seen: set[int] = set()
    sys.meta_path.insert(0, finder)
    try:
        yield seen
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
        figures.capture_open(api.capture_figure, frozenset(seen))


class _Seeing:
    """The artifact store, which remembers what it stored: a figure that was returned is not shown a second time."""

    def __init__(self, artifacts: Artifacts, seen: set[int]) -> None:
        self._artifacts = artifacts
        self._seen = seen
        self.get = artifacts.get

    def put(self, value: object, *, index: int = 0, origin: str = "") -> OutputInfo:
        self._seen.add(id(value))
        return self._artifacts.put(value, index=index, origin=origin)


def _artifacts(task: BlockTask, begun_at: float) -> Artifacts:
    root = Workspace.open(Path(task.workspace)).artifacts_dir
    return LocalArtifactStore(root, masker=secrecy.masker, since=begun_at + 0.001)  # above any rounding


@contextmanager
def _warnings_kept(project_root: str) -> Iterator[None]:
    """Keep warnings that Python attributes to project code as notices; they are printed as ever."""
    shown = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if Path(filename).is_relative_to(project_root):
            api.keep_notice(f"{category.__name__}: {message}")
        shown(message, category, filename, lineno, file, line)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = shown
