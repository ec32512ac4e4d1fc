"""What the pipelines screen knows: each pipeline with its last runs, and the figures of the day. No drawing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from spellbook_core.model.naming import ProjectName
from spellbook_core.model.run import PipelineRun, Status
from spellbook_core.services import pipelines, runs
from spellbook_core.services.wiring import Context
from spellbook_core.ui.pipelines import summaries

PIPELINE_TRIGGERS = ("manual", "cli", "api", "schedule")
"""Triggers of whole-pipeline runs; single blocks that a person runs in the editor have `notebook`."""

RECENT_RUNS = 1000
"""Runs read at once for the list's bars: about 40 pipelines with 25 runs each; older ones are read per pipeline."""

BARS = 14


@dataclass(frozen=True, slots=True)
class Figures:
    """The day's figures.

    Attributes:
        success_rate: Completed of all ended in the last 24 hours, 0 to 1; None when none ended.
        by_hour: Runs started in each of the last 24 hours, oldest first.
    """

    pipelines: int
    runs_24h: int
    success_rate: float | None
    running: int
    by_hour: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A pipeline in the list; `last_runs` newest first."""

    summary: pipelines.PipelineSummary
    last_runs: tuple[PipelineRun, ...]

    @property
    def status(self) -> str:
        """Return the last run's status, `never_run`, or `broken` when the pipeline's file cannot be read."""
        if self.summary.problem is not None:
            return "broken"
        return self.last_runs[0].status.value if self.last_runs else "never_run"


def rows(ctx: Context, project: ProjectName) -> tuple[list[Row], list[PipelineRun]]:
    """Return every pipeline by name, broken ones included, and the recent runs that they were built from."""
    recent = runs.list_runs(ctx, project=project, triggers=PIPELINE_TRIGGERS, limit=RECENT_RUNS)
    by_pipeline: dict[str, list[PipelineRun]] = {}
    for run in recent.runs:
        by_pipeline.setdefault(run.pipeline, []).append(run)
    everything_read = recent.total <= len(recent.runs)
    found = []
    for summary in summaries.summaries(ctx, project):
        last = by_pipeline.get(summary.uuid, [])[:BARS]
        if not last and not everything_read:
            page = runs.list_runs(ctx, project=project, pipeline=summary.uuid, triggers=PIPELINE_TRIGGERS, limit=BARS)
            last = list(page.runs)
        found.append(Row(summary, tuple(last)))
    return found, list(recent.runs)


def figures(count: int, recent: Iterable[PipelineRun], now: datetime) -> Figures:
    """Return the figures of the 24 hours before `now`."""
    by_hour = [0] * 24
    ended = completed = running = started = 0
    for run in recent:
        running += not run.status.is_terminal
        hours = (now - run.created_at) / timedelta(hours=1)
        if hours >= 24:
            continue
        started += 1
        by_hour[23 - max(0, int(hours))] += 1
        ended += run.status in {Status.COMPLETED, Status.FAILED}
        completed += run.status is Status.COMPLETED
    return Figures(count, started, completed / ended if ended else None, running, tuple(by_hour))


FILTERS = ("All", "Active", "Failed", "Never run")


def matching(found: Sequence[Row], search: str, which: str | None, tags: Iterable[str] = ()) -> list[Row]:
    """Return the rows that the filter keeps and whose name, description or tags hold every word of `search`."""
    words = search.casefold().split()
    wanted = set(tags)
    kept = []
    for row in found:
        summary = row.summary
        haystack = " ".join([summary.name, summary.uuid, summary.description or "", *summary.tags]).casefold()
        if not all(part in haystack for part in words) or not wanted <= set(summary.tags):
            continue
        if which == "Active" and row.status not in {"running", "queued", "initial"}:
            continue
        if which == "Failed" and row.status not in {"failed", "broken", "upstream_failed"}:
            continue
        if which == "Never run" and row.status != "never_run":
            continue
        kept.append(row)
    return kept
