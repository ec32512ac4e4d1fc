"""One run: its graph, bars, table and, for a chosen block, logs, outputs, metrics, code and tests, all live."""

from __future__ import annotations

import streamlit as st

from spellbook_core.errors import NotFoundError
from spellbook_core.model.naming import ProjectName, RunId
from spellbook_core.model.run import BlockRun, PipelineRun, Status
from spellbook_core.services import runs
from spellbook_core.ui import attempts, boundary, children, parts, state, text, waiting
from spellbook_core.ui.components.live import live
from spellbook_core.ui.runs import acts, failure, log_view, overview, results

SAFETY_NET_S = 10
"""How often an active run is read again without an event, seconds. Events bring changes at once; this covers a broken
stream."""

_MOST_LOGS = 200
"""Block runs whose logs are mixed into one; of a block of many children the first are among them."""

_MOST_WAITS = 8
"""Waiting blocks that are listed above the log of a run."""

TABS = ("Logs", "Outputs", "Metrics", "Code", "Tests")
ALL = "All blocks"


def render() -> None:
    """Draw the screen."""
    run = _wanted_run()
    if run is None:
        parts.empty(
            "search_off", "Run not found", "The address names no run of this workspace. It may have been removed."
        )
        with st.container(horizontal_alignment="center"):
            state.link("runs", "All runs", icon=":material/arrow_back:")
        return
    if run.project != state.current_project() and run.project in state.project_names():
        st.query_params["project"] = run.project  # an address without a project: what is around the run is its own
        st.rerun()
    is_active = not run.status.is_terminal
    net = SAFETY_NET_S if is_active else None
    _listener(run)
    st.fragment(_top, run_every=net, key=overview.TOP)(run.id, is_active)
    st.fragment(_detail, run_every=net, key=overview.DETAIL)(run.id)


def _wanted_run() -> PipelineRun | None:
    given = st.query_params.get("id", "")
    if not (given.isascii() and given.isdigit() and len(given) < 16):
        return None
    try:
        return runs.get(state.context(), RunId(int(given)))
    except NotFoundError:
        return None


@st.fragment(key=overview.LISTENER)
def _listener(run: PipelineRun) -> None:
    live(key="live_run", query={"project": run.project}, on_event=lambda events: _react(run.id, events))


def _react(run_id: RunId, events: list[dict[str, object]]) -> None:
    mine = [event for event in events if event.get("run_id") == run_id or event.get("kind") == "open"]
    if any(event.get("kind") not in {"log", "metric"} for event in mine):
        st.rerun([overview.TOP, overview.DETAIL, overview.LISTENER])
    elif mine:
        st.rerun([overview.DETAIL, overview.LISTENER])


def _top(run_id: RunId, was_active: bool) -> None:
    with boundary.guarded():
        ctx = state.context()
        run = runs.get(ctx, run_id)
        if was_active and run.status.is_terminal:
            st.rerun()  # the whole page, so that the safety net is taken away
        block_runs = runs.block_runs(ctx, run_id, with_children=False)
        overview.header(run, block_runs)
        with st.container(border=True, key="run_graph_pane"):
            overview.graph(run, block_runs, st.session_state.get(overview.BLOCK))
        with st.container(border=True, key="run_bars_pane"):
            overview.bars(block_runs)
        if block_runs:
            overview.table(block_runs)
        elif not run.status.is_terminal:
            told = f"Waiting for {text.escape(run.waiting_for)}." if run.waiting_for else "Waiting in the queue."
            st.markdown(f":orange[:material/schedule:] {told}")
    boundary.notices()


def _detail(run_id: RunId) -> None:
    with boundary.guarded():
        ctx = state.context()
        run = runs.get(ctx, run_id)
        block_runs = runs.block_runs(ctx, run_id, with_children=False)
        if not block_runs:
            return
        chosen = _choose(run, block_runs)
        one = next((block_run for block_run in block_runs if block_run.key == chosen), None)
        tab = st.session_state.get("tab", TABS[0])
        if one is not None and one.children is not None:
            one = _child(one)
        if one is None:
            _waits(block_runs)
            _failures(run.project, block_runs)
            log_view.show_log(runs.block_runs(ctx, run_id)[:_MOST_LOGS], key="all")
        elif one.children is not None and not one.child:
            if one.error is not None:
                failure.show_failure(one.error, project=run.project, key=str(one.id))
            st.caption("Choose a child above to see its log, outputs and code.")
        elif one.waiting_for is not None and tab == TABS[0]:
            _waits([one])
            log_view.show_log([attempts.choose(one, key=f"attempt_{one.id}")], key=str(one.id))
        elif one.status is Status.FAILED and one.error is not None and tab == TABS[0]:
            failure.show_failure(one.error, project=run.project, key=str(one.id))
            log_view.show_log([attempts.choose(one, key=f"attempt_{one.id}")], key=str(one.id))
        else:
            _tab(tab, run, one)


def _choose(run: PipelineRun, block_runs: list[BlockRun]) -> str:
    names = [ALL, *(block_run.key for block_run in block_runs)]
    if st.session_state.get(overview.BLOCK) not in names:
        st.session_state.pop(overview.BLOCK, None)
    with st.container(horizontal=True, vertical_alignment="center", key="run_choice"):
        chosen = st.selectbox(
            "Block",
            names,
            key=overview.BLOCK,
            bind="query-params",
            on_change=overview.redraw,
            label_visibility="collapsed",
            width=320,
        )
        if chosen != ALL:
            st.segmented_control(
                "Show",
                TABS,
                default=TABS[0],
                required=True,
                key="tab",
                bind="query-params",
                label_visibility="collapsed",
            )
            st.space("stretch")
            acts.retry_from(run, chosen.rpartition("@")[2])
    return chosen


def _child(whole: BlockRun) -> BlockRun:
    """Draw the children of a block that runs once per item; return the chosen one, else the block as a whole."""
    found = children.choose(runs.children(state.context(), whole), key=f"children_{whole.id}")
    if found is None:
        return whole
    children.caption(found)
    return found


def _waits(block_runs: list[BlockRun]) -> None:
    """Draw what blocks wait for, until when and since when."""
    waits = [
        block_run for block_run in block_runs if block_run.waiting_for is not None and block_run.due_at is not None
    ]
    for block_run in waits[:_MOST_WAITS]:
        name = f"**{text.escape(block_run.block)}** · " if len(block_runs) > 1 else ""
        st.markdown(f":orange[:material/hourglass_empty:] {name}{waiting.words(block_run)}")
    if len(waits) > _MOST_WAITS:
        st.caption(f"{text.count(len(waits) - _MOST_WAITS, 'more block')} wait.")


def _failures(project: ProjectName, block_runs: list[BlockRun]) -> None:
    for block_run in block_runs:
        if block_run.status is Status.FAILED and block_run.error is not None:
            st.markdown(f":red[:material/error:] **{text.escape(block_run.block)}** failed")
            failure.show_failure(block_run.error, project=project, key=str(block_run.id))


def _tab(tab: str, run: PipelineRun, one: BlockRun) -> None:
    if tab == "Outputs":
        results.show_outputs(one)
    elif tab == "Metrics":
        results.show_metrics(one)
    elif tab == "Code":
        results.show_code(run, one)
    elif tab == "Tests":
        results.show_tests(one)
    else:
        log_view.show_log([attempts.choose(one, key=f"attempt_{one.id}")], key=str(one.id))
