"""The right column: the graph with its two modes, logs of the selected block, variables, and the last runs."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from functools import partial

import streamlit as st

from spellbook_core.model import graph
from spellbook_core.model.block import BlockType
from spellbook_core.model.children import node_key
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.services import blocks as block_service
from spellbook_core.services import runs as run_service
from spellbook_core.ui import boundary, children, state, text
from spellbook_core.ui.components.dag import DagNode, dag
from spellbook_core.ui.editor import actions, code_pane, keys, marks, output, scope, variables
from spellbook_core.ui.editor.view import Editor
from spellbook_core.ui.status import status_look

_TABS = ["Graph", "Logs", "Variables", "Add-ons", "History"]
_SLIM_BLOCKS = 2
_LEAST_PX, _MOST_PX, _COLUMN_PX = 240, 560, 385
_SEEN_AT_ONCE = 6
"""Blocks of which no picture has to be dragged."""

_MODES = ["Select", "Link parents"]
_MODE_ICONS = {"Select": ":material/arrow_selector_tool:", "Link parents": ":material/add_link:"}


def draw(editor: Editor) -> None:
    """Draw the column as a fragment, which runs and clicks redraw alone."""

    def body() -> None:
        with boundary.guarded():
            editor.refresh()
            editor.drawn(keys.SIDE)
            with st.container(key="side"):
                _column(editor)
            editor.drawn(keys.SIDE)  # drawing gave its widgets their first values

    st.fragment(body, key=keys.SIDE)()


def _column(editor: Editor) -> None:
    tabs = st.tabs(_TABS, key="side_tab", on_change="rerun")
    drawers = (_graph, _logs, variables.draw, marks.add_ons, _history)
    for tab, draw_tab in zip(tabs, drawers, strict=True):
        if tab.open:
            with tab:
                draw_tab(editor)


# --- graph


def _graph(editor: Editor) -> None:
    session, pipeline = editor.session, editor.pipeline
    if not pipeline.blocks:
        st.caption("The graph appears with the first block.")
        return
    if st.session_state.get("graph_mode") is None:
        st.session_state["graph_mode"] = session.mode
    with st.container(horizontal=True, vertical_alignment="center"):
        st.segmented_control(
            "Mode",
            _MODES,
            key="graph_mode",
            required=True,
            label_visibility="collapsed",
            format_func=lambda mode: f"{_MODE_ICONS[mode]} {mode}",
            on_change=partial(_on_mode, editor),
        )
        st.space("stretch")
        key = f"graph_down_{zlib.crc32(editor.uuid.encode()):08x}"
        is_down = st.toggle("Top-down", value=_is_down(pipeline), key=key, help="Off: left to right")
    is_linking = session.mode == "Link parents"
    # One place whatever it says: a shifted picture would be loaded anew and lose its zoom.
    with st.container(key="graph_words"):
        _hint(editor, is_linking=is_linking)
        scope.show_scope_error(editor, "graph")
    _picture(editor, is_linking=is_linking, is_down=is_down)
    _states(editor)


def _picture(editor: Editor, *, is_linking: bool, is_down: bool) -> None:
    session, pipeline = editor.session, editor.pipeline
    dag(
        [*(_node(editor, block) for block in pipeline.blocks), *_add_on_nodes(editor)],
        _links(editor),
        key="graph",
        selected=session.child if is_linking else session.selected,
        focus=next((block.uuid for block in pipeline.blocks if editor.status_key(block.uuid) == "running"), None),
        link_mode=is_linking,
        direction="TB" if is_down else "LR",
        height_px=_height(pipeline, is_down=is_down),
        on_click=partial(on_click, editor),
    )


def _is_down(pipeline: Pipeline) -> bool:
    """Return whether a top-down picture is the more readable one in the column: it must be made less small."""
    try:
        rows = graph.layers(pipeline.parents())
    except graph.CycleError:
        return False
    deep, wide = max(1, len(rows)), max((len(row) for row in rows), default=1)
    down = min(_COLUMN_PX / (wide * 234), _MOST_PX / (deep * 122))  # a block and the gap beside or below it
    across = min(_COLUMN_PX / (deep * 268), _MOST_PX / (wide * 88))
    return wide <= _SLIM_BLOCKS or down > across


def _hint(editor: Editor, *, is_linking: bool) -> None:
    session = editor.session
    if not is_linking:
        is_large = len(editor.pipeline.blocks) > _SEEN_AT_ONCE
        st.caption(f"Click a block to go to its card{'; drag the picture to see the rest' if is_large else ''}.")
        return
    with st.container(key="link_hint", horizontal=True, vertical_alignment="center"):
        if session.child is None:
            st.caption(":material/touch_app: Click the block that shall get parents.", width="content")
            return
        st.markdown(
            f":material/add_link: Parents of **{text.escape(session.child)}**: click blocks to add or remove them.",
            width="content",
        )
        st.button(
            "Another block",
            key="link_other",
            type="tertiary",
            icon=":material/undo:",
            on_click=_on_other,
            args=(editor,),
        )


def _node(editor: Editor, block) -> DagNode:
    result = editor.results.get(block.uuid)
    shape = result.outputs[0].summary if result and result.outputs else marks.words(block)
    if block.uuid in editor.counts:
        shape = children.words(editor.counts[block.uuid])
    return DagNode(
        uuid=block.uuid,
        label=text.one_line(block.name or block.uuid, max_chars=40),
        block_type=block.type,
        state="note" if block.type == BlockType.MARKDOWN else editor.status_key(block.uuid),
        sublabel=text.one_line(code_pane.short_shape(shape), max_chars=28),
    )


def _add_on_nodes(editor: Editor) -> list[DagNode]:
    """Return a node per condition or callback and block that it belongs to."""
    found = []
    for block in editor.pipeline.blocks:
        for add_on in editor.add_ons(block.uuid):
            run = editor.add_on_run(add_on, block.uuid)
            status = "never_run" if run is None else run.status.value
            label = text.one_line(add_on.name or add_on.uuid, max_chars=40)
            found.append(DagNode(node_key(add_on.uuid, "", block.uuid), label, add_on.type, status))
    return found


def _links(editor: Editor) -> dict[str, list[str]]:
    """Return child -> parents for the drawing: conditions before their block, callbacks behind."""
    links = {str(name): list(map(str, parents)) for name, parents in editor.pipeline.parents().items()}
    for block in editor.pipeline.blocks:
        for add_on in editor.add_ons(block.uuid):
            key = node_key(add_on.uuid, "", block.uuid)
            if add_on.type == BlockType.CONDITIONAL:
                links[block.uuid].append(key)
            else:
                links[key] = [block.uuid]
    return links


def _height(pipeline: Pipeline, *, is_down: bool) -> int:
    """Return pixels that show each block at full size as far as a screen allows: about 105 per block in a column."""
    try:
        rows = graph.layers(pipeline.parents())
    except graph.CycleError:
        return _MOST_PX
    tall = len(rows) if is_down else max((len(row) for row in rows), default=1)
    return max(_LEAST_PX, min(_MOST_PX, 60 + 105 * tall))


def _states(editor: Editor) -> None:
    counts: dict[str, int] = {}
    for block in (block for block in editor.pipeline.blocks if block.type != BlockType.MARKDOWN):
        key = editor.status_key(block.uuid)
        counts[key] = counts.get(key, 0) + 1
    with st.container(key="graph_states", horizontal=True, gap="xsmall"):
        for key, number in counts.items():
            look = status_look(key)
            st.badge(f"{number} {look.word}", icon=look.icon, color=look.color)


def _on_mode(editor: Editor) -> None:
    editor.session.mode = st.session_state["graph_mode"]
    editor.session.child = None
    editor.session.errors.pop("graph", None)


def _on_other(editor: Editor) -> None:
    editor.session.child = None


def on_click(editor: Editor, uuid: str) -> None:
    """Act on a click on a block: go to its card, pick it as the child, or toggle it as a parent of the child."""
    session = editor.session
    uuid = uuid.rpartition("@")[2]  # a condition or callback stands for the block it belongs to
    if session.mode == "Select":
        session.opened[uuid] = True
        session.scroll_to, session.focus = uuid, False
        session.moves += 1
        scope.redraw(*actions.select(editor, uuid), keys.DIALOGS)
    if session.child is None or session.child == uuid:
        session.errors.pop("graph", None)
        session.child = None if session.child == uuid else uuid
        return
    child = session.child
    worked = scope.change(
        editor,
        "graph",
        lambda: block_service.toggle_parent(editor.ctx, editor.project, editor.uuid, BlockUuid(child), BlockUuid(uuid)),
    )
    if worked:
        scope.redraw(keys.card(child), keys.SIDE)


# --- logs and history


def _logs(editor: Editor) -> None:
    names = [block.uuid for block in editor.pipeline.blocks if block.uuid in editor.latest]
    if not names:
        st.caption("Nothing has run yet.")
        return
    key = "side_log_block"
    if st.session_state.get(key) not in names:
        st.session_state[key] = editor.session.selected if editor.session.selected in names else names[0]
    chosen = st.selectbox("Block", names, key=key, format_func=lambda name: text.one_line(name, max_chars=60))
    run = editor.latest[BlockUuid(chosen)]
    look = status_look(run.status)
    st.caption(f":{look.color}[{look.icon} {look.word}] · run {run.run_id} · {text.duration(run.duration_s)}")
    output.logs(editor, run, height=380, key="side_attempt")


def _history(editor: Editor) -> None:
    page = run_service.list_runs(editor.ctx, project=editor.project, pipeline=editor.uuid, limit=12)
    if not page.runs:
        st.caption("This pipeline has not run yet.")
        return
    now = datetime.now(UTC)
    for run in page.runs:
        look = status_look(run.status)
        with st.container(key=f"history_{run.id}", horizontal=True, wrap=False, vertical_alignment="center"):
            with st.container(width=78):
                state.link("run", f"Run {run.id}", id=run.id)
            st.badge(look.word, icon=look.icon, color=look.color)
            what = "pipeline" if run.selection.blocks is None else ", ".join(run.selection.blocks[:3])
            with st.container(key=f"path_history_{run.id}", width="stretch"):
                st.caption(text.escape(what, max_chars=44))
            if run.duration_s is not None:
                with st.container(key=f"took_history_{run.id}", width="content"):
                    st.caption(text.duration(run.duration_s), width="content")
            st.caption(text.ago(run.created_at, now), width="content")
    if page.total > len(page.runs):
        state.link("runs", f"All {page.total:,} runs", icon=":material/list:", pipeline=editor.uuid)
