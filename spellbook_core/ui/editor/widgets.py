"""The charts that hang on a block, under its result; each is drawn again when what it is drawn from changes."""

from __future__ import annotations

from functools import partial

import streamlit as st

from spellbook_core.model.block import Block
from spellbook_core.services import chart_pictures
from spellbook_core.services import charts as chart_service
from spellbook_core.services.chart_pictures import ChartState
from spellbook_core.ui import boundary, frames, text
from spellbook_core.ui.editor import actions, keys, pictures, scope
from spellbook_core.ui.editor.session import DialogRequest
from spellbook_core.ui.editor.view import Editor

_MENU = {
    "settings": ":material/tune: Settings",
    "code": ":material/code: Code",
    "again": ":material/refresh: Draw again",
    "remove": ":material/delete: Remove",
}
_ICONS = {
    "bar chart": "bar_chart",
    "histogram": "equalizer",
    "line chart": "show_chart",
    "pie chart": "pie_chart",
    "table": "table_chart",
    "time series bar chart": "bar_chart",
    "time series line chart": "timeline",
}


def draw(editor: Editor, uuid: str) -> None:
    """Draw a block's charts and the button that adds one, as a fragment of their own."""

    def body() -> None:
        with boundary.guarded():
            editor.refresh()
            block = editor.block(uuid)
            if block is not None:
                editor.drawn(keys.charts(uuid))
                _charts(editor, block)

    st.fragment(body, key=keys.charts(uuid))()


def _charts(editor: Editor, block: Block) -> None:
    found = chart_service.of_block(editor.pipeline, block.uuid)
    for chart in found:
        one(editor, chart)
    if found or block.uuid in editor.results:
        with st.container(key=keys.widget("addchart", block.uuid), horizontal=True):
            st.button(
                "Chart",
                key=keys.widget("add_chart", block.uuid),
                icon=":material/add_chart:",
                type="tertiary",
                help="Add a chart of this block's output, kept in the pipeline",
                on_click=partial(actions.open_dialog, editor, DialogRequest("chart_add", block.uuid)),
            )


def one(editor: Editor, chart: Block) -> None:
    """Draw one chart in a frame of its own."""
    state = _state(editor, chart)
    with st.container(key=keys.widget("chart", chart.uuid), border=True):
        _head(editor, chart, state)
        scope.show_scope_error(editor, keys.widget("chart", chart.uuid))
        if state.what == "drawing":
            st.caption(":material/hourglass_top: Drawing…")  # the event of its end draws this fragment again
        else:
            _show(editor, chart, state)


def _state(editor: Editor, chart: Block) -> ChartState:
    return chart_pictures.state(editor.ctx, editor.project, editor.uuid, chart, editor.results)


def _head(editor: Editor, chart: Block, state: ChartState) -> None:
    kind = str(chart.configuration.get("chart_type") or "chart")
    with st.container(key=keys.widget("charthead", chart.uuid), horizontal=True, vertical_alignment="center"):
        icon = _ICONS.get(kind, "insights")
        name = text.escape(chart.name or chart.uuid, max_chars=60)
        st.markdown(f":material/{icon}: **{name}** :gray[{text.escape(kind, max_chars=30)}]", width="content")
        st.space("stretch")
        key = keys.widget("chartmenu", chart.uuid)
        choices = [name for name in _MENU if name != "again" or state.key is not None]
        st.menu_button(
            "",
            choices,
            key=key,
            icon=":material/more_vert:",
            help="Settings, code, draw again, remove",
            format_func=_MENU.__getitem__,
            on_click=partial(_on_menu, editor, chart.uuid, state.key),
        )


def _show(editor: Editor, chart: Block, state: ChartState) -> None:
    if state.what == "waiting":
        names = ", ".join(text.code_span(name) for name in state.waits_for)
        st.caption(f":material/hourglass_empty: Run {names} first; the chart is drawn from what it returns.")
    elif state.error is not None:
        _error(editor, chart, state)
    elif state.picture is not None:
        pictures.draw(editor, state.picture)


def _error(editor: Editor, chart: Block, state: ChartState) -> None:
    error = state.error
    headline = error.exception or error.message
    with st.container(key=keys.widget("error", f"chart_{chart.uuid}")):
        st.markdown(f":red[:material/error:] **{text.escape(headline, max_chars=400)}**")
        root = editor.ctx.workspace.project(editor.project).root
        lines = [
            f"{frames.place(frame, root)}, line {frame.line}\n    {frame.text}"
            for frame in frames.own(error.frames, root)[-4:]
        ]
        if lines:
            st.code("\n".join(lines), language=None, wrap_lines=True)
        st.caption(f":material/lightbulb: {text.prose(error.hint, max_chars=300)} · {text.escape(error.code)}")


def _on_menu(editor: Editor, uuid: str, picture: str | None) -> None:
    choice = st.session_state.get(keys.widget("chartmenu", uuid))
    if choice == "again" and picture is not None:
        chart_pictures.forget(editor.ctx, picture)
        st.rerun()
    elif choice == "remove":
        remove(editor, uuid)
    elif choice in {"settings", "code"}:
        actions.open_dialog(editor, DialogRequest(f"chart_{choice}", uuid))


def remove(editor: Editor, uuid: str) -> None:
    """Take a chart out of the pipeline and offer to undo it."""

    def act() -> None:
        ctx = editor.ctx
        token = chart_service.remove(ctx, editor.project, editor.uuid, uuid)
        boundary.offer_undo(f"Removed the chart {uuid}.", lambda: chart_service.undo(ctx, token))

    scope.guarded_by(editor, keys.widget("chart", uuid), act)
    st.rerun()
