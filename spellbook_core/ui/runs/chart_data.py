"""Rows for the charts of runs: grid, bars over time, metric curves. Plain lists: tested without a browser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from spellbook_core.model.run import BlockRun, PipelineRun
from spellbook_core.ui import text
from spellbook_core.ui.status import status_look

ChartRow = dict[str, object]


def grid_rows(runs: Sequence[PipelineRun], block_runs: Mapping[int, Iterable[BlockRun]]) -> list[ChartRow]:
    """Return one row per block and run, runs oldest first, for a grid of coloured squares."""
    found: list[ChartRow] = []
    for run in sorted(runs, key=lambda run: run.id):
        for block_run in block_runs.get(run.id, ()):
            look = status_look(block_run.status)
            found.append(
                {
                    "run": str(run.id),
                    "run_id": run.id,
                    "block": text.one_line(block_run.block, max_chars=60),
                    "status": look.word,
                    "duration": text.duration(block_run.duration_s),
                }
            )
    return found


def block_order(rows: Iterable[ChartRow]) -> list[str]:
    """Return the blocks as the newest runs order them, so that a renamed or removed block comes last."""
    order: dict[str, None] = {}
    for row in sorted(rows, key=lambda row: -int(str(row["run_id"]))):
        order.setdefault(str(row["block"]))
    return list(order)


def span_rows(block_runs: Sequence[BlockRun], now: datetime) -> list[ChartRow]:
    """Return one bar per started block run, in seconds from the first start; a running one ends `now`.

    One with several attempts has a bar over all of them, with the time in which it waited.
    """
    begun = [(run, started) for run in block_runs if (started := _started(run)) is not None]
    first = min((started for _, started in begun), default=now)
    found: list[ChartRow] = []
    for run, started in begun:
        begin = (started - first).total_seconds()
        ended = run.ended_at or (now if not run.status.is_terminal else started)
        length = (ended - started).total_seconds()
        if run.duration_s is not None and run.attempt <= 1:
            length = run.duration_s
        found.append(
            {
                "block": text.one_line(run.key, max_chars=60),
                "begin": begin,
                "end": begin + max(0.0, length),
                "status": status_look(run.status).word,
                "duration": text.duration(length),
            }
        )
    return found


def _started(run: BlockRun) -> datetime | None:
    return run.first_started_at if run.attempt > 1 and run.first_started_at is not None else run.started_at


def run_span_rows(runs: Iterable[PipelineRun], now: datetime) -> list[ChartRow]:
    """Return one bar per started pipeline run on the calendar."""
    found: list[ChartRow] = []
    for run in runs:
        if run.started_at is None:
            continue
        ended = run.ended_at or (now if not run.status.is_terminal else run.started_at)
        found.append(
            {
                "run_id": run.id,
                "run": f"{text.one_line(run.pipeline, max_chars=40)} · {run.id}",
                "begin": run.started_at,
                "end": ended,
                "status": status_look(run.status).word,
                "duration": text.duration((ended - run.started_at).total_seconds()),
            }
        )
    return found


def thin(points: Sequence[tuple[float, float]], most: int = 1000) -> list[tuple[float, float]]:
    """Return at most `most` points that keep each stretch's lowest and highest value, so that spikes stay visible."""
    if len(points) <= most:
        return list(points)
    stretch = -(-len(points) // (most // 2))
    kept: list[tuple[float, float]] = []
    for begin in range(0, len(points), stretch):
        part = points[begin : begin + stretch]
        kept.extend(sorted({min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])}))
    return kept
