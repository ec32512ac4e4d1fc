"""What a block's code may call while it runs: metrics, figures, progress, notices, and which run it is in.

Outside a run (pytest, Jupyter, a script) every function does nothing and never fails, so block files stay plain
modules.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import SupportsFloat

from spellbook_core.worker import figures, secrecy

MAX_NOTICES = 50
"""Most notices and warnings kept of one attempt."""

MAX_NOTICE_CHARS = 1_000
"""Longest notice kept."""


@dataclass(frozen=True, slots=True)
class CurrentRun:
    """Which attempt this code runs in; `run_id` is 0 outside a run."""

    run_id: int = 0
    block_run_id: int = 0
    attempt: int = 0
    project: str = ""
    pipeline: str = ""
    block: str = ""
    trigger: str = ""
    execution_date: datetime | None = None


@dataclass(slots=True)
class _Live:
    """The running attempt's connections."""

    run: CurrentRun
    metrics_path: Path
    ping: int | None
    metrics: int | None = None
    notices: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)
    pid: int = field(default_factory=os.getpid)


_live: _Live | None = None


def activate(run: CurrentRun, metrics_path: Path, ping: int | None) -> None:
    """Connect this process's calls to an attempt; `ping` is a socket that gets one byte per metric."""
    global _live
    _live = _Live(run, metrics_path, ping)


def deactivate() -> tuple[str, ...]:
    """Disconnect, and return the notices that were given, each once, in order."""
    global _live
    if _live is None:
        return ()
    notices = tuple(_live.notices)
    if _live.metrics is not None:
        os.close(_live.metrics)
    _live = None
    return notices


def log_metric(name: str, value: SupportsFloat, step: int | None = None) -> None:
    """Record one point of a curve, such as the loss of an epoch; it is drawn while the block runs.

    Args:
        name: The curve, e.g. `loss`.
        value: A number, or anything with one, such as a tensor of one element.
        step: The horizontal position, e.g. the epoch; None counts points.
    """
    if _live is not None:
        _append(_live, {"t": time.time(), "name": str(name), "value": float(value), "step": step})


def log_figure(name: str, figure: object, step: int | None = None) -> None:
    """Show a figure beside the block while it runs and afterwards; a later one of the same name takes its place.

    Args:
        name: What people call it.
        figure: Of matplotlib (a figure or axes), plotly, altair or PIL. It is drawn at once and not kept.
        step: E.g. the epoch, shown with it.

    Raises:
        NotAFigureError: It is none of those. [SB-WRK-053]
    """
    if _live is None:
        return
    if len(_live.figures) >= figures.MAX_FIGURES and name not in _live.figures:
        notice(f"Only the first {figures.MAX_FIGURES} figures are kept; use the same name to show a newer one.")
        return
    number = _live.figures.setdefault(str(name), len(_live.figures))
    file = figures.write(figure, _live.metrics_path.parent / figures.FOLDER, number, secrecy.masker())
    _append(_live, {"t": time.time(), "figure": {"name": str(name), "file": file, "step": step}})


def capture_figure(name: str, figure: object) -> None:
    """Log a figure that the block has drawn but not named; whatever goes wrong is a notice, never a failure."""
    if _live is None or _live.pid != os.getpid():
        return
    taken, number = name, 2
    while taken in _live.figures:
        taken, number = f"{name} ({number})", number + 1
    try:
        log_figure(taken, figure)
    except Exception as problem:  # noqa: BLE001  # user code boundary: drawing runs formatters and fonts of the user
        notice(f"{name} could not be drawn: {type(problem).__name__}: {problem}")


def progress(done: float, total: float | None = None, text: str = "") -> None:
    """Tell how far the block is; the card shows it while the block runs.

    Args:
        done: Units finished so far.
        total: Units in all; None when unknown.
        text: What the units are, or what is being done.
    """
    if _live is not None:
        _append(_live, {"t": time.time(), "progress": {"done": done, "total": total, "text": str(text)}})


def notice(text: str) -> None:
    """Show `text` beside the block's result, e.g. that sample data was used instead of the real ones; also logged."""
    if _live is None:
        return
    keep_notice(text)
    print(f"WARNING {text}", file=sys.stderr)  # noqa: T201  # the log is what stderr becomes


def keep_notice(text: str) -> None:
    """Add `text` to the outcome's warnings, each once, bounded in number and length."""
    if _live is not None and len(_live.notices) < MAX_NOTICES:
        shortened = text if len(text) <= MAX_NOTICE_CHARS else text[:MAX_NOTICE_CHARS] + " …"
        if shortened not in _live.notices:
            _live.notices.append(shortened)


def current_run() -> CurrentRun:
    """Return which run, pipeline and block this code runs in; all empty outside a run."""
    return CurrentRun() if _live is None else _live.run


def _append(live: _Live, entry: dict[str, object]) -> None:
    """Append one line in one write, so that lines of a block's own child processes never mix."""
    if live.metrics is None:
        live.metrics = os.open(live.metrics_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    line = json.dumps(secrecy.masker().value(entry, keys=False), ensure_ascii=False)
    data = line.encode("utf-8", "replace") + b"\n"
    while data:  # one write, but for the last room of a disk
        data = data[os.write(live.metrics, data) :]
    if live.ping is not None:
        with suppress(OSError):  # a full or closed pipe: the file has the point, and the next byte tells
            os.write(live.ping, b"m")
