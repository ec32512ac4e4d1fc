"""The figures and filters of the pipelines screen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from spellbook_core.model.run import PipelineRun, Selection, Status
from spellbook_core.services.pipelines import PipelineSummary
from spellbook_core.ui import parts
from spellbook_core.ui.pipelines import overview

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def run(status: Status, hours_ago: float, seconds: float = 2.0, ident: int = 1) -> PipelineRun:
    at = NOW - timedelta(hours=hours_ago)
    ended = at + timedelta(seconds=seconds) if status.is_terminal else None
    return PipelineRun(ident, "demo", "main", status, "manual", Selection(), {}, at, at, at, ended, None, 2, 2)


def row(name: str, status: Status | None = None, *, problem=None, tags=()) -> overview.Row:
    summary = PipelineSummary(name, name, "python", "nightly refresh", tuple(tags), 2, problem)
    return overview.Row(summary, () if status is None else (run(status, 1),))


def test_figures_count_the_last_day_only():
    recent = [run(Status.COMPLETED, 1), run(Status.FAILED, 2.5), run(Status.CANCELLED, 3), run(Status.COMPLETED, 30)]
    found = overview.figures(7, [*recent, run(Status.RUNNING, 0.1)], NOW)
    assert (found.pipelines, found.runs_24h, found.success_rate, found.running) == (7, 4, 0.5, 1)
    assert sum(found.by_hour) == 4
    assert found.by_hour[-1] == 1


def test_figures_without_ended_runs_have_no_rate():
    assert overview.figures(1, [], NOW).success_rate is None


def test_run_from_the_future_counts_as_now():
    """Clocks of two machines that share a workspace may differ."""
    assert overview.figures(1, [run(Status.COMPLETED, -0.2)], NOW).by_hour[-1] == 1


def test_filters_keep_what_they_say():
    rows = [
        row("a", Status.COMPLETED),
        row("b", Status.FAILED),
        row("c"),
        row("d", Status.RUNNING),
        row("e", problem={"message": "bad"}),
    ]
    kept = {which: [r.summary.uuid for r in overview.matching(rows, "", which)] for which in overview.FILTERS}
    assert kept == {"All": ["a", "b", "c", "d", "e"], "Active": ["d"], "Failed": ["b", "e"], "Never run": ["c"]}


def test_search_wants_every_word_in_any_case():
    rows = [row("고객_이탈", tags=["ML"]), row("other")]
    assert [r.summary.uuid for r in overview.matching(rows, "고객 nightly ml", "All")] == ["고객_이탈"]
    assert overview.matching(rows, "", "All", ["ML"]) == rows[:1]


def test_bars_show_oldest_left_and_hold_our_words_only():
    runs = [run(Status.FAILED, 1, 4.0, 2), replace(run(Status.COMPLETED, 2, 1.0, 1), pipeline="<b>")]
    html = parts.bars(runs, 4)
    assert html.count('class="none"') == 2
    assert html.index("completed") < html.index("Run 2: failed, 4.0 s")
    assert "<b>" not in html
