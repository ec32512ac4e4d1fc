"""Runs: every pipeline run of the project, as a list, as a grid of blocks and as bars over time."""

from __future__ import annotations

import streamlit as st

from spellbook_core.engine.run_queue import RunSkippedError
from spellbook_core.model.naming import ProjectName, RunId
from spellbook_core.model.run import BlockRun, PipelineRun, Status
from spellbook_core.services import runs
from spellbook_core.ui import boundary, parts, state, text
from spellbook_core.ui.components.live import live
from spellbook_core.ui.pipelines import summaries
from spellbook_core.ui.runs import acts, chart_data, charts

ROWS_PER_PAGE = 25
GRID_RUNS = 25
GANTT_RUNS = 40
TRIGGERS = ("manual", "schedule", "api", "cli")
SINGLE_BLOCKS = "notebook"
STATUS_FILTERS = ("completed", "running", "queued", "failed", "cancelled")
_WIDTHS = (1.75, 0.7, 2.45, 1.0, 1.5, 1.35, 1.25, 2.0)
_HEADS = ("Status", "Run", "Pipeline", "Trigger", "Started", "Duration", "Blocks", "")
VIEWS = ("List", "Grid", "Timeline")


def render() -> None:
    """Draw the screen."""
    project = state.current_project()
    with parts.page_title("Runs", project):
        st.segmented_control(
            "View", VIEWS, default="List", required=True, key="view", bind="query-params", label_visibility="collapsed"
        )
    _runs(project, st.session_state["view"])


@st.fragment(key="runs")
def _runs(project: ProjectName, view: str) -> None:
    with boundary.guarded():
        live(key="live_runs", query={"project": project})
        wanted = _filters(project, view)
        if view == "Grid":
            _grid(project, wanted)
        elif view == "Timeline":
            _timeline(project, wanted)
        else:
            _list(project, wanted)
    boundary.notices()


def _filters(project: ProjectName, view: str) -> dict[str, object]:
    ctx = state.context()
    names = summaries.uuids(ctx, project)
    with st.container(horizontal=True, vertical_alignment="center", key="runs_filter"):
        pipeline = st.selectbox(
            "Pipeline",
            names,
            index=None,
            key="pipeline",
            bind="query-params",
            placeholder="All pipelines",
            label_visibility="collapsed",
            width=210,
        )
        statuses = st.pills(
            "Status",
            STATUS_FILTERS,
            selection_mode="multi",
            key="status",
            bind="query-params",
            label_visibility="collapsed",
        )
        trigger = st.selectbox(
            "Trigger",
            TRIGGERS,
            index=None,
            key="trigger",
            bind="query-params",
            placeholder="Any trigger",
            label_visibility="collapsed",
            width=140,
        )
        single = False
        if view == "List":
            single = st.toggle(
                "Single blocks",
                key="single",
                bind="query-params",
                help="Also show runs of single blocks that were started in the editor.",
            )
    found = {Status(status) for status in statuses}
    if Status.QUEUED in found:
        found.add(Status.INITIAL)
    triggers = (trigger,) if trigger else (*TRIGGERS, SINGLE_BLOCKS) if single else TRIGGERS
    return {"pipeline": pipeline, "statuses": tuple(found), "triggers": triggers}


def _list(project: ProjectName, wanted: dict[str, object]) -> None:
    ctx = state.context()
    total = runs.list_runs(ctx, project=project, limit=1, **wanted).total
    if total == 0:
        _nothing(project, wanted)
        return
    parts.list_head(_WIDTHS, _HEADS)
    rows = st.container(gap=None)
    offset = parts.page_offset(total, ROWS_PER_PAGE)
    page = runs.list_runs(ctx, project=project, offset=offset, limit=ROWS_PER_PAGE, **wanted)
    with rows:
        for number, run in enumerate(page.runs):
            _row(run, number)


def _nothing(project: ProjectName, wanted: dict[str, object]) -> None:
    triggers = wanted["triggers"]
    if wanted["pipeline"] or wanted["statuses"] or triggers not in (TRIGGERS, (*TRIGGERS, SINGLE_BLOCKS)):
        parts.empty("filter_alt_off", "No run matches", "Change the filters above.")
    elif runs.list_runs(state.context(), project=project, limit=1, triggers=(SINGLE_BLOCKS,)).total:
        what = "Single blocks have: switch on Single blocks in the List view to see them."
        parts.empty("play_circle", "No pipeline has run yet", what)
    else:
        parts.empty(
            "play_circle", "Nothing has run yet", "Press Run on the Pipelines page, or run a block in the editor."
        )


def _row(run: PipelineRun, number: int) -> None:
    now = state.context().clock.now()
    with st.container(key=f"row_{number}"):
        cells = st.columns(_WIDTHS, vertical_alignment="center")
        with cells[0]:
            parts.status_badge("skipped" if _is_skipped(run) else run.status)
        with cells[1]:
            state.link("run", f"**{run.id}**", id=run.id)
        with cells[2]:
            blocks = run.selection.blocks
            state.link("run", f"**{text.escape(run.pipeline, max_chars=60)}**", id=run.id)
            if blocks:
                st.caption(text.escape(", ".join(blocks), max_chars=60))
            if note := _note(run):
                st.caption(note)
        cells[3].caption("single block" if run.trigger == SINGLE_BLOCKS else text.escape(run.trigger))
        at = run.started_at or run.created_at
        cells[4].caption(text.ago(at, now))
        cells[5].caption(text.duration(acts.elapsed(run)))
        with cells[6]:
            if run.status in {Status.FAILED, Status.CANCELLED}:
                st.caption(str(run.blocks_total))  # all of them are done, and some never ran: its page tells which
            elif run.status.is_terminal or not run.blocks_total:
                st.caption(f"{run.blocks_done} of {run.blocks_total}")
            else:
                st.progress(min(1.0, run.blocks_done / run.blocks_total))
        right = cells[7].container(horizontal=True, wrap=False, horizontal_alignment="right", gap="xsmall")
        with right:
            acts.run_acts(run)


def _note(run: PipelineRun) -> str:
    """Return what a queued run waits for, or why one was skipped."""
    if run.waiting_for is not None:
        return f":orange[:material/schedule:] waiting for {text.escape(run.waiting_for, max_chars=80)}"
    if run.error is None or not _is_skipped(run):
        return ""
    return text.escape(run.error.message.partition(": ")[2], max_chars=120)


def _is_skipped(run: PipelineRun) -> bool:
    return run.error is not None and run.error.code == RunSkippedError.code


def _grid(project: ProjectName, wanted: dict[str, object]) -> None:
    ctx = state.context()
    if wanted["pipeline"] is None:
        newest = runs.list_runs(ctx, project=project, limit=1, **wanted).runs
        if not newest:
            _nothing(project, wanted)
            return
        wanted = {**wanted, "pipeline": newest[0].pipeline}
    found = runs.list_runs(ctx, project=project, limit=GRID_RUNS, **wanted).runs
    if not found:
        _nothing(project, wanted)
        return
    st.markdown(f"**{text.escape(wanted['pipeline'])}** · last {text.count(len(found), 'run')}, newest at the right")
    rows = chart_data.grid_rows(found, {run.id: _blocks_of(run.id) for run in found})
    charts.legend(("completed", "running", "queued", "failed", "upstream_failed", "cancelled"))
    picked = charts.grid(rows, key="grid")
    if picked is not None:
        state.go("run", id=picked)
    st.caption("Click a square to open its run.")


def _blocks_of(run_id: RunId) -> list[BlockRun]:
    """Return the blocks of a run, each once: children, conditions and callbacks would only repeat their block."""
    found = runs.block_runs(state.context(), run_id, with_children=False)
    return [block_run for block_run in found if not block_run.hangs_on]


def _timeline(project: ProjectName, wanted: dict[str, object]) -> None:
    ctx = state.context()
    found = runs.list_runs(ctx, project=project, limit=GANTT_RUNS, **wanted).runs
    rows = chart_data.run_span_rows(found, ctx.clock.now())
    if not rows:
        _nothing(project, wanted)
        return
    charts.legend(("completed", "running", "failed", "cancelled"))
    picked = charts.run_spans(rows, key="timeline")
    if picked is not None:
        state.go("run", id=picked)
    st.caption("Click a bar to open its run.")
