"""The upper half of a run's page: what it is, its graph, its bars over time and the table of its block runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from spellbook_core.errors import SpellbookError
from spellbook_core.model import not_run
from spellbook_core.model.block import Block, BlockType
from spellbook_core.model.run import BlockRun, Code, PipelineRun, Share, Status
from spellbook_core.services import pipelines, runs
from spellbook_core.ui import boundary, children, parts, reuse, state, text, waiting
from spellbook_core.ui.components.dag import DagNode, dag
from spellbook_core.ui.runs import acts, chart_data, charts
from spellbook_core.ui.status import STATUSES, status_look, type_look

BLOCK = "block"
"""Key of the chosen block: widget, session and URL."""

TOP, DETAIL = "run_top", "run_detail"
"""Keys of the page's two halves, each redrawn alone."""

LISTENER = "run_live"
"""Key of what listens to events; drawn with what an event changes, it tells the browser that the event has arrived."""

_STARTED_BY = {
    "manual": "Run now",
    "notebook": "the editor, single blocks",
    "cli": "the command line",
    "api": "the API",
    "schedule": "a schedule",
}

_HOW = {Share.COMPLETED: "Retry of", Share.ABOVE: "Retry of", Share.NOTHING: "Repeats"}
_REPEATED = {Code.NOW: "with the code of its start", Code.THEN: "with the code of that run"}

PANE_PX = 400
"""Most height of the graph and of the bars; a flat graph and few bars take less."""

_MOST_BARS = 12
"""Bars that are all seen at once; more are scrolled."""


_MOST_FAILURES = 3
"""Failed blocks that are named below the title; all stand with their code below the table."""


def header(run: PipelineRun, block_runs: Sequence[BlockRun]) -> None:
    """Draw what the run is, what can be done with it, and why it failed."""
    with st.container(key="run_header", horizontal=True, vertical_alignment="center"):
        state.link("runs", "Runs", icon=":material/arrow_back:")
        st.markdown(f"## Run {run.id}", width="content", anchors=False)
        parts.status_badge(run.status)
        state.link("editor", f"**{text.escape(run.pipeline, max_chars=60)}**", pipeline=run.pipeline)
        st.space("stretch")
        acts.run_acts(run, with_retry=True)
    facts = [
        f"Started by {text.escape(_STARTED_BY.get(run.trigger, run.trigger))}",
        f"started {text.escape(text.moment(run.started_at, state.zone()))}"
        if run.started_at is not None or run.status.is_terminal
        else f"asked for {text.ago(run.created_at, state.context().clock.now())}",
        f"took {text.duration(acts.elapsed(run))}"
        if run.status.is_terminal
        else f"running for {text.duration(acts.elapsed(run))}"
        if run.started_at is not None
        else "not begun yet",
        _counted(run, block_runs),
    ]
    if run.priority:
        facts.append(f"priority {run.priority}")
    if run.outputs_removed_at is not None:
        removed = text.ago(run.outputs_removed_at, state.context().clock.now())
        facts.append(f"outputs removed {removed} to free space")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(" · ".join(facts), width="content")
        if run.again is not None:
            state.link("run", f"{_HOW[run.again.share]} run {run.again.run_id}", id=run.again.run_id)
            st.caption(_REPEATED[run.again.code], width="content")
        if run.variables:
            with st.popover(f"Variables ({len(run.variables)})", type="tertiary", icon=":material/tune:"):
                st.dataframe(
                    {"name": list(run.variables), "value": [repr(value) for value in run.variables.values()]},
                    hide_index=True,
                )
    if run.error is not None:
        boundary.show_error(run.error.to_json())
    failed = [one for one in block_runs if one.status is Status.FAILED and one.error is not None]
    for one in failed[:_MOST_FAILURES]:
        what = text.code_span(one.error.exception or one.error.message, max_chars=160)
        st.markdown(f":red[:material/error:] **{text.escape(children.name(one), max_chars=60)}** failed: {what}")
    if len(failed) > _MOST_FAILURES:
        st.caption(f"{text.count(len(failed) - _MOST_FAILURES, 'more block')} failed.")


def _counted(run: PipelineRun, block_runs: Sequence[BlockRun]) -> str:
    """Return how far the run came: of one that failed, what failed below others is done but was never run."""
    total = text.count(run.blocks_total, "block")
    if run.status not in {Status.FAILED, Status.CANCELLED}:
        return f"{run.blocks_done} of {total} done"
    completed = sum(one.status is Status.COMPLETED and not one.hangs_on for one in block_runs)
    return f"{min(completed, run.blocks_total)} of {total} completed"


def graph(run: PipelineRun, block_runs: Sequence[BlockRun], chosen: str | None) -> None:
    """Draw the pipeline as it is today, coloured by this run; a click chooses the block."""
    by_block = {str(block_run.key): block_run for block_run in block_runs}
    counts = runs.child_counts(state.context(), run.id)
    try:
        pipeline = pipelines.load(state.context(), run.project, run.pipeline).pipeline
        parents: Mapping[str, Sequence[str]] = pipeline.parents()
        kinds = {str(block.uuid): (block.name, block.type) for block in pipeline.blocks}
        left_out = {str(block.uuid): _why_left_out(block) for block in pipeline.blocks}
    except SpellbookError:  # the pipeline was renamed, deleted or broken since: the run still has its blocks
        parents, kinds, left_out = {}, {}, {}
    for block_run in block_runs:
        kinds.setdefault(block_run.key, (block_run.block, block_run.block_type))
    nodes = [
        DagNode(
            uuid,
            name,
            block_type,
            by_block[uuid].status.value if uuid in by_block else left_out[uuid],
            _sublabel(by_block.get(uuid), counts),
        )
        for uuid, (name, block_type) in kinds.items()
    ]
    links = {node.uuid: [parent for parent in parents.get(node.uuid, ()) if parent in kinds] for node in nodes}
    for block_run in block_runs:
        if block_run.hangs_on in links:
            before = block_run.block_type == BlockType.CONDITIONAL
            child, parent = (block_run.hangs_on, block_run.key) if before else (block_run.key, block_run.hangs_on)
            links[child].append(parent)
    focus = _worth_a_look(block_runs)
    dag(nodes, links, key="run_graph", selected=chosen, focus=focus, height_px=PANE_PX, is_snug=True, on_click=_choose)


def _why_left_out(block: Block) -> str:
    """Return the word of `dag.palette` for a block that a run does not have."""
    if block.type == BlockType.MARKDOWN:
        return "note"
    return "not_run" if not_run.of_block(block) is not None else "left_out"


def _worth_a_look(block_runs: Sequence[BlockRun]) -> str | None:
    """Return the block around which a large graph begins: one that runs, else one that failed."""
    for status in (Status.RUNNING, Status.FAILED):
        found = next((block_run.key for block_run in block_runs if block_run.status is status), None)
        if found is not None:
            return str(found)
    return None


def _sublabel(block_run: BlockRun | None, counts: Mapping[str, Mapping[Status, int]]) -> str:
    if block_run is not None and block_run.children is not None and block_run.key in counts:
        return children.words(counts[block_run.key])
    if block_run is not None and block_run.reused:
        return f"{reuse.SIGN} reused"
    return text.duration(block_run.duration_s) if block_run is not None and block_run.duration_s else ""


def _why(block_run: BlockRun) -> str:
    if block_run.waiting_for is not None:
        return waiting.plain(block_run)
    if block_run.children is not None:
        return f"runs once per item: {text.count(len(block_run.children), 'child', 'children')} · {block_run.reason}"
    origin = reuse.origin(state.context(), block_run)
    reason = text.one_line(block_run.reason)
    return reason if origin is None else f"{reuse.words(origin, state.context().clock.now())} · {reason}"


def _choose(block: str) -> None:
    st.session_state[BLOCK] = block
    redraw()


def redraw() -> None:
    """From a widget callback: redraw both halves of the page, since the choice of a block shows in both."""
    st.rerun([TOP, DETAIL])


def bars(block_runs: Sequence[BlockRun]) -> None:
    """Draw the block runs over time."""
    rows = chart_data.span_rows(block_runs, state.context().clock.now())
    if not rows:
        parts.empty("hourglass_empty", "No block has started yet", "Bars appear as blocks start.")
        return
    with st.container(height=PANE_PX if len(rows) > _MOST_BARS else "content", border=False):
        charts.spans(rows, key="run_bars")


def table(block_runs: Sequence[BlockRun]) -> None:
    """Draw the block runs as a table; choosing a row chooses the block."""
    looks = {block_run.status.value: status_look(block_run.status) for block_run in block_runs}
    words = {look.word: look.fill_on(is_dark=state.is_dark()) for look in [*STATUSES.values(), *looks.values()]}
    rows = {
        "State": [[status_look(run.status).word] for run in block_runs],
        "Block": [text.one_line(children.name(run)) for run in block_runs],
        "Type": [type_look(run.block_type).word for run in block_runs],
        "Attempt": [str(run.attempt) if run.attempt else "–" for run in block_runs],
        "Started": [text.moment(run.started_at, state.zone())[-8:] if run.started_at else "–" for run in block_runs],
        "Duration": [text.duration(run.duration_s) for run in block_runs],
        "Rows": ["–" if run.rows is None else f"{run.rows:,}" for run in block_runs],
        "Peak memory": [text.size(run.peak_memory_bytes) for run in block_runs],
        "CPU": [text.duration(run.cpu_s) for run in block_runs],
        "Why": [_why(run) for run in block_runs],
    }
    names = [run.key for run in block_runs]

    def choose() -> None:
        selected = st.session_state["run_table"].selection.rows
        if selected:
            _choose(names[selected[0]])

    st.dataframe(
        rows,
        key="run_table",
        hide_index=True,
        on_select=choose,
        selection_mode="single-row",
        height="content" if len(names) <= 14 else 440,
        column_config={
            "State": st.column_config.MultiselectColumn(options=list(words), color=list(words.values()), width=170),
            "Attempt": st.column_config.TextColumn(width=70, alignment="right"),
            "Rows": st.column_config.TextColumn(width=90, alignment="right"),
            "Why": st.column_config.TextColumn(width="large"),
        },
    )
