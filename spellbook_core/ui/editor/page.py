"""The editor put together: toolbar, cards on the left, the side column, dialogs, and what keeps it in step."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import streamlit as st

from spellbook_core.model.block import Block
from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.services.wiring import Context
from spellbook_core.ui import boundary, open_dialog, parts, state
from spellbook_core.ui.components.live import live
from spellbook_core.ui.editor import (
    actions,
    card,
    dialogs,
    keys,
    marks,
    packages,
    saving,
    scope,
    side,
    sync,
    tables,
    toolbar,
)
from spellbook_core.ui.editor.session import DialogRequest, EditorSession
from spellbook_core.ui.editor.view import Editor, open_editor
from spellbook_core.ui.status import type_look

_SAFETY_NET_S = 3.0
"""Seconds between looks at the truth in case an event was missed; events redraw at once, so twice means missed."""

ALL_CARDS_UP_TO = 100
"""Longer pipelines show their cards in pages of `CARDS_PER_PAGE`: 500 closed cards cost the server 2.7 s, and the
browser more, before anything can be clicked."""

CARDS_PER_PAGE = 50

_IN_VIEW = "_editor_in_view"
"""Key of the session: which visit of which pipeline's editor is on the page."""

_EMPTY_TYPES = {
    "data_loader": "Read data from a file, an address or a database.",
    "transformer": "Clean, join or reshape what its parents return.",
    "custom": "Anything else, such as training a PyTorch model.",
    "data_exporter": "Write a result to a file or another system.",
}


@cache
def _css() -> str:
    return (Path(__file__).parent / "style.css").read_text(encoding="utf-8")


def _bar_background() -> str:
    """Return the rule that keeps cards from showing through the toolbar; Streamlit has no CSS variable for it."""
    color = st.get_option(f"theme.{'dark' if state.is_dark() else 'light'}.backgroundColor") or ""
    if not re.fullmatch(r"#[0-9A-Fa-f]{6}", color):
        return ""
    beside = f"box-shadow: -5px 0 0 {color}, 5px 0 0 {color};"  # the selected card is framed outside its edges
    return f".st-key-ed_top, .st-key-undo_bar {{ background: {color}; }} .st-key-ed_top {{ {beside} }}"


def session_of(project: str, pipeline: str) -> EditorSession:
    """Return what this browser session remembers about a pipeline's editor."""
    sessions = st.session_state.setdefault("_editors", {})
    return sessions.setdefault((project, pipeline), EditorSession())


def draw(ctx: Context, project: ProjectName, pipeline: PipelineUuid, block: str | None) -> None:
    """Draw the editor of a pipeline.

    Args:
        ctx: Of the workspace.
        project: The project in view.
        pipeline: Its pipeline.
        block: The block that the address names, which is selected and opened.
    """
    tables.import_ahead()
    st.html(f"<style>{_css()}{_bar_background()}</style><span></span>")
    session = session_of(project, pipeline)
    in_view = (state.visit(), project, pipeline)
    if st.session_state.get(_IN_VIEW) != in_view:
        session.dialogs.close()  # it was open when another screen or pipeline was asked for
    st.session_state[_IN_VIEW] = in_view
    session.is_page_due = False
    session.shown.clear()
    editor = open_editor(ctx, project, pipeline, session)
    _select_from_address(editor, block)
    try:
        _parts(editor)
    finally:
        editor.is_whole_page = False


def _select_from_address(editor: Editor, block: str | None) -> None:
    session = editor.session
    names = [known.uuid for known in editor.pipeline.blocks]
    if block in names and block != session.selected:
        session.selected = block
        session.opened[block] = True
        if names.index(block) > 0:
            session.scroll_to, session.focus = block, False
            session.moves += 1
    elif session.selected not in names:
        session.selected = names[0] if names else None


def _parts(editor: Editor) -> None:
    with st.container(key="ed_top"):
        toolbar.draw(editor)
    packages.draw(editor)
    marks.of_pipeline(editor.pipeline)
    left, right = st.columns([64, 36], gap="medium")
    with right, st.container(key="sticky"):
        side.draw(editor)  # before the cards: the graph of a long pipeline need not wait for them
    with left, st.container(key="cards"):
        for block in _shown(editor):
            card.draw(editor, block.uuid)
        _adders(editor)
    dialogs.draw(editor)
    _listen(editor)


def _shown(editor: Editor) -> Sequence[Block]:
    """Return the blocks whose cards are drawn; draws the page numbers when these are not all."""
    blocks = editor.pipeline.blocks
    if len(blocks) <= ALL_CARDS_UP_TO:
        return blocks
    key = keys.widget("cards_page", editor.uuid)
    session = editor.session
    if session.paged_for != session.selected:  # else the person turns the pages
        chosen = next((number for number, block in enumerate(blocks) if block.uuid == session.selected), 0)
        st.session_state[key] = chosen // CARDS_PER_PAGE + 1
        session.paged_for = session.selected
    offset = parts.page_offset(len(blocks), CARDS_PER_PAGE, key=key, in_url=False)
    return blocks[offset : offset + CARDS_PER_PAGE]


def _adders(editor: Editor) -> None:
    is_empty = not editor.pipeline.blocks
    if is_empty:
        with st.container(key="empty_pipeline"):
            st.markdown("### :material/auto_stories: Begin with a block")
            st.markdown(
                "A pipeline is a notebook of blocks, each a Python file with one function. "
                "Most begin with a **loader**; what it returns goes into the blocks linked below it."
            )
            grid = st.grid(2, min_column_width=150)
            for block_type, what in _EMPTY_TYPES.items():
                with grid.cell():
                    _adder(editor, block_type, stretch=True)
                    st.caption(what)
        return
    with st.container(key="adders", horizontal=True, horizontal_alignment="center", vertical_alignment="center"):
        for block_type in _EMPTY_TYPES:
            _adder(editor, block_type)
        st.button(
            "More",
            key="add_more",
            icon=":material/more_horiz:",
            type="tertiary",
            on_click=partial(actions.open_dialog, editor, DialogRequest("add")),
        )


def _adder(editor: Editor, block_type: str, *, stretch: bool = False) -> None:
    look = type_look(block_type)
    st.button(
        look.word,
        key=f"add_{block_type}",
        icon=look.icon,
        type="secondary" if stretch else "tertiary",
        width="stretch" if stretch else "content",
        on_click=partial(_on_adder, editor, block_type),
    )


def _on_adder(editor: Editor, block_type: str) -> None:
    st.session_state.pop("add_type", None)
    actions.open_dialog(editor, DialogRequest("add", block_type=block_type))


# --- staying in step


def _listen(editor: Editor) -> None:
    def events() -> None:
        with boundary.guarded():
            live(
                key="editor_events",
                query={"project": editor.project},
                on_event=partial(_on_events, editor),
            )

    def safety_net() -> None:
        with boundary.guarded():
            if not editor.is_whole_page and _is_overdue(editor):
                st.rerun()

    st.fragment(events, key=keys.PAGE_LIVE)()
    st.fragment(safety_net, key="ed_safety_net", run_every=_SAFETY_NET_S)()


def _has_dialog(editor: Editor) -> bool:
    """Return whether a dialog is open over the editor: its own, or one of the page around it (New project)."""
    return editor.session.dialogs.request is not None or open_dialog.is_open()


def _is_overdue(editor: Editor) -> bool:
    stale = _stale(editor)
    before, editor.session.overdue = editor.session.overdue, stale or []
    if _has_dialog(editor):
        return False
    return stale is None or editor.session.is_page_due or (bool(stale) and stale == before)


def _on_events(editor: Editor, events: list[dict[str, object]]) -> None:
    editor.session.file_changes += any(event.get("kind") in {"file", "open"} for event in events)
    stale = _stale(editor)
    if stale is None:
        st.rerun()
    following = sync.progress_keys(events, project=editor.project, pipeline=editor.uuid)
    wanted = dict.fromkeys([*stale, *(key for key in following if key in editor.session.shown)])
    if wanted:
        scope.redraw(*wanted, keys.PAGE_LIVE)  # the listener, too: it tells the browser that they have arrived


def _stale(editor: Editor) -> list[str] | None:
    """Return the fragments that no longer show the truth, None when the pipeline itself is another one.

    Under an open dialog the whole page is not drawn: the browser takes a dialog away for that long, and with it what
    was typed into a field and not sent yet. It is drawn when the dialog is closed.
    """
    before = editor.file_hash
    editor.read()
    if editor.file_hash != before:
        if not _has_dialog(editor):
            return None
        editor.session.is_page_due = True
    saving.changed_sources(editor)
    return sync.stale(editor.session.shown, editor.truth())
