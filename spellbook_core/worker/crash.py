"""Say why an attempt left no outcome, from what its process left: exit status, reason, crash trace."""

from __future__ import annotations

import errno
import re
import signal

from spellbook_core.errors import SpellbookError
from spellbook_core.model.outcome import ErrorReport, Frame
from spellbook_core.worker import memory
from spellbook_core.worker.failures import (
    CancelledRunError,
    CrashedError,
    NoResultError,
    TimedOutError,
    WorkerLostError,
)

_FRAME = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+) in (?P<function>.+)$', re.MULTILINE)
_OWN_FILE = re.compile(r"[/\\]spellbook_core[/\\](?:\w+\.py|(?:worker|artifacts|project|model)[/\\])")
_LIBRARY = re.compile(r"[/\\](?:site-packages|dist-packages|lib[/\\]python3\.\d+)[/\\]|^<frozen ")
_CALLER = re.compile(r"[/\\]spellbook_core[/\\]worker[/\\](?:call|addons|load|entry|child|zygote|standby|chart\w*)\.py")


def report_crash(
    exit_status: int | None,
    reason: str | None,
    crash_trace: str | None,
    *,
    block: str = "",
    timeout_s: float | None = None,
) -> ErrorReport:
    """Return why an attempt without an outcome failed.

    Args:
        exit_status: As in `Exited`: negative for a signal, None when unknown.
        reason: As in `Exited`: `timeout`, `cancelled`, `worker lost`, `cannot start: ...` or None.
        crash_trace: As in `Exited`: faulthandler's text.
        block: Names the block in the message.
        timeout_s: The limit, for the message of a timeout.
    """
    frames = crash_frames(crash_trace or "")
    error = _error(exit_status, reason, f"Block '{block}'" if block else "The block", timeout_s)
    line = next((frame.line for frame in reversed(frames) if frame.file == frames[0].file), None)
    if line is not None and error.message.endswith(".") and isinstance(error, CrashedError):
        error.message = f"{error.message[:-1]} in line {line} of its file."
    facts: dict[str, str | int | float | bool | None | list[str]] = {"block": block} if block else {}
    return ErrorReport(
        code=error.code,
        message=error.message,
        hint=error.hint,
        facts={**facts, **error.facts},
        exception=None,
        frames=frames,
        traceback=crash_trace,
        line=line,
    )


def crash_frames(trace: str) -> tuple[Frame, ...]:
    """Return the user's frames of faulthandler's text, outermost first; the first is in the block's own file."""
    frames: list[Frame] = []
    for found in _FRAME.finditer(trace):  # innermost first, down to our own frame that called the block
        if _CALLER.search(found["file"]):
            break
        if _OWN_FILE.search(found["file"]):  # what we called is not the person's, unless they gave it to us
            frames = [frame for frame in frames if not _LIBRARY.search(frame.file)]
        else:
            frames.append(Frame(found["file"], int(found["line"]), found["function"], ""))
    while frames and _LIBRARY.search(frames[-1].file):  # a thread's own beginnings
        frames.pop()
    return tuple(reversed(frames))


def _error(exit_status: int | None, reason: str | None, who: str, timeout_s: float | None) -> SpellbookError:
    if reason == "timeout":
        limit = f" of {timeout_s:g} s" if timeout_s else ""
        return TimedOutError(
            f"{who} took longer than its time limit{limit} and was ended.",
            hint="make the block faster, or raise `timeout` in its settings.",
        )
    if reason is not None and reason.startswith(memory.REASON):
        return memory.exceeded(reason, who)
    if reason == "cancelled":
        return CancelledRunError(f"{who} was cancelled.", hint="run it again when you want its result.")
    if reason is not None and reason.startswith("cannot start"):
        is_short = f"[Errno {errno.EMFILE}]" in reason or f"[Errno {errno.ENFILE}]" in reason
        return WorkerLostError(
            f"{who} could not be started: {reason.partition(': ')[2]}",
            hint="raise the limit of open files (`ulimit -n`) for Spellbook, or let fewer blocks run at once."
            if is_short
            else "correct `spellbook.environment` in metadata.yaml, or its requirements, where one is named; else see "
            "the engine's log. Then run it again.",
        )
    if reason is not None or exit_status is None:
        return WorkerLostError(
            f"{who} was lost: {reason or 'its process ended while no engine was watching'}.",
            hint="run it again; if it happens again, look for what ends processes on this machine.",
        )
    if exit_status == -signal.SIGKILL:
        return CrashedError(
            f"{who} was killed (SIGKILL): out of memory?",
            hint="work on fewer rows at a time; the system ends the largest process when memory runs out.",
        )
    if exit_status < 0:
        name = _signal_name(-exit_status)
        return CrashedError(
            f"{who} crashed: {name}.",
            hint="a native library failed; try the marked line with smaller data, or another version of the library.",
            signal=name,
        )
    return NoResultError(
        f"{who} exited without a result (exit status {exit_status}).",
        hint="os._exit ends the process at once; use `return`, or raise an exception to fail the block.",
        exit_status=exit_status,
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
