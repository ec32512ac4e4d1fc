"""The rows behind the charts of runs, and the text of logs and diffs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.model.run import BlockRun, PipelineRun, Selection, Status
from spellbook_core.runs.logs import LogLine
from spellbook_core.ui.runs import chart_data, charts, log_view, results

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def block_run(name: str, status: Status = Status.COMPLETED, start_s: float | None = 0.0, run_id: int = 1) -> BlockRun:
    at = None if start_s is None else NOW + timedelta(seconds=start_s)
    seconds = 2.0 if status.is_terminal and at else None
    ended = at + timedelta(seconds=2) if seconds else None
    return BlockRun(1, run_id, name, "custom", status, 0, 1, "", "h", at, at, ended, seconds, None, None)


def test_bars_begin_at_the_first_start():
    rows = chart_data.span_rows([block_run("a", start_s=5), block_run("b", start_s=8)], NOW)
    assert [(row["block"], row["begin"], row["end"]) for row in rows] == [("a", 0.0, 2.0), ("b", 3.0, 5.0)]


def test_bar_covers_all_attempts_and_the_waiting_between():
    last = block_run("a", Status.FAILED, start_s=20)
    retried = replace(last, attempt=3, first_started_at=NOW)
    waiting = replace(retried, status=Status.QUEUED, ended_at=None, duration_s=None)
    rows = chart_data.span_rows([retried, waiting], NOW + timedelta(seconds=30))
    assert [(row["begin"], row["end"]) for row in rows] == [(0.0, 22.0), (0.0, 30.0)]


def test_running_bar_ends_now_and_unstarted_has_none():
    running = block_run("a", Status.RUNNING, start_s=-3)
    rows = chart_data.span_rows([running, block_run("b", Status.INITIAL, start_s=None)], NOW)
    assert [(row["block"], row["end"]) for row in rows] == [("a", 3.0)]
    assert chart_data.span_rows([block_run("b", Status.INITIAL, start_s=None)], NOW) == []


def test_grid_lists_runs_oldest_first_and_newest_order_of_blocks():
    runs = [
        PipelineRun(ident, "p", "main", Status.COMPLETED, "manual", Selection(), {}, NOW, NOW, NOW, NOW, None)
        for ident in (2, 1)
    ]
    rows = chart_data.grid_rows(runs, {1: [block_run("old"), block_run("a")], 2: [block_run("a", run_id=2)]})
    assert [(row["run"], row["block"]) for row in rows] == [("1", "old"), ("1", "a"), ("2", "a")]
    assert chart_data.block_order(rows) == ["a", "old"]


@given(st.lists(st.floats(-1e6, 1e6), min_size=0, max_size=4000))
def test_thinned_curve_keeps_extremes_and_bound(values):
    points = list(enumerate(values))
    thin = chart_data.thin(points, most=100)
    assert len(thin) <= 101
    if values:
        assert max(p[1] for p in thin) == max(values)
        assert min(p[1] for p in thin) == min(values)


def test_log_text_names_block_and_level():
    lines = [("load", LogLine(NOW, "stdout", "info", "hi")), ("train", LogLine(NOW, "stderr", "error", "no"))]
    shown = log_view.as_text(lines, with_block=True, zone="Asia/Seoul")
    assert shown == "21:00:00.000  load | hi\n21:00:00.000  ERROR   train | no"


def test_diff_goes_from_what_ran_to_now():
    assert results.diff("a\nb\n", "a\nc\n").splitlines()[-2:] == ["-b", "+c"]


@pytest.mark.parametrize(
    ("span", "written"),
    [
        (timedelta(seconds=40), "12:00:05"),
        (timedelta(hours=3), "12:00"),
        (timedelta(days=3), "Nov 21, 12:00"),
        (timedelta(days=90), "Nov 21"),
    ],
)
def test_timeline_writes_as_much_of_a_moment_as_its_span_needs(span, written):
    rows: list[chart_data.ChartRow] = [
        {"begin": NOW, "end": NOW + timedelta(seconds=1)},
        {"begin": NOW, "end": NOW + span},
    ]
    assert (NOW + timedelta(seconds=5)).strftime(charts._clock(rows)) == written
