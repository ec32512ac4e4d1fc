"""One block's card: a header that is always there, and its code and result when it is open."""

from __future__ import annotations

from functools import partial

import streamlit as st

from spellbook_core.model import not_run
from spellbook_core.model.block import Block, BlockType
from spellbook_core.model.naming import BlockUuid
from spellbook_core.ui import boundary, children, text
from spellbook_core.ui.editor import (
    actions,
    addons,
    code_pane,
    failure,
    freshness,
    keys,
    markdown_pane,
    marks,
    output,
    progress,
    widgets,
)
from spellbook_core.ui.editor.session import DialogRequest
from spellbook_core.ui.editor.view import Editor
from spellbook_core.ui.status import STATUSES, language_word, type_look

COMPLETED = STATUSES["completed"]
RUNNING = STATUSES["running"]

_MENU = {
    "upstream": ":material/vertical_align_bottom: Run with all upstream",
    "stale": ":material/update: Run with stale upstream",
    "downstream": ":material/vertical_align_top: Run from here",
    "tests": ":material/checklist: Run tests only",
    "up": ":material/arrow_upward: Move up",
    "down": ":material/arrow_downward: Move down",
    "settings": ":material/tune: Settings",
    "rename": ":material/edit: Rename",
    "remove": ":material/playlist_remove: Remove from pipeline",
    "delete": ":material/delete: Delete file",
}


def draw(editor: Editor, uuid: str) -> None:
    """Draw the card of a block as a fragment of its own, which its clicks and runs redraw alone."""

    def body() -> None:
        with boundary.guarded():
            editor.refresh()
            block = editor.block(uuid)
            if block is not None:
                _card(editor, block)

    st.fragment(body, key=keys.card(uuid))()


def _card(editor: Editor, block: Block) -> None:
    is_selected = editor.session.selected == block.uuid
    marks = f"{block.type if block.type in _STYLED else 'other'}--{'on' if is_selected else 'off'}"
    with st.container(key=keys.card(block.uuid)), st.container(key=f"{keys.widget('frame', block.uuid)}__{marks}"):
        _head(editor, block.uuid)
        if editor.is_open(block.uuid):
            if block.type == BlockType.MARKDOWN:
                markdown_pane.draw(editor, block.uuid)
            else:
                code_pane.draw(editor, block.uuid)
                output.draw(editor, block.uuid)
            widgets.draw(editor, block.uuid)
        else:
            for gone in (keys.code, keys.output, keys.charts, keys.live):
                editor.session.shown.pop(gone(block.uuid), None)


def _head(editor: Editor, uuid: str) -> None:
    """Draw what a run or an edit changes at once as a fragment: name, state, buttons, and why it is stale."""

    def body() -> None:
        with boundary.guarded():
            editor.refresh()
            block = editor.block(uuid)
            if block is not None:
                editor.drawn(keys.head(uuid))
                _header(editor, block)
                marks.note(block)
                freshness.draw(editor, block)
                progress.note(editor, block.uuid)
                failure.refused(editor, uuid)

    st.fragment(body, key=keys.head(uuid))()


_STYLED = frozenset({"data_loader", "transformer", "custom", "data_exporter", "sensor"})


def _header(editor: Editor, block: Block) -> None:
    uuid = block.uuid
    is_open = editor.is_open(uuid)
    with st.container(key=keys.widget("head", uuid), horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "",
            key=keys.widget("toggle", uuid),
            icon=":material/keyboard_arrow_down:" if is_open else ":material/chevron_right:",
            type="tertiary",
            help="Close the card" if is_open else "Open the card",
            on_click=partial(actions.on_toggle_open, editor, uuid),
        )
        kind = type_look(block.type)
        with st.container(key=keys.widget("kind", uuid), width="content"):
            st.badge(kind.word, icon=kind.icon, color=kind.color)
        if language_word(block):
            with st.container(key=keys.widget("lang", uuid), width="content"):
                st.badge(language_word(block), color="gray")
        st.button(
            f"**{text.escape(block.name or uuid, max_chars=60)}**",
            key=keys.widget("name", uuid),
            type="tertiary",
            help="Rename in every pipeline",
            on_click=partial(actions.open_dialog, editor, DialogRequest("rename", uuid)),
        )
        if not is_open:
            _summary(editor, block)
        marks.badges(block)
        addons.badges(editor, block)
        st.space("stretch")
        _state(editor, block)
        _run_buttons(editor, block)


def _summary(editor: Editor, block: Block) -> None:
    parts = []
    if block.upstream_blocks:
        parts.append("← " + ", ".join(block.upstream_blocks))
    result = editor.results.get(BlockUuid(block.uuid))
    if block.uuid in editor.counts:
        parts.append(children.words(editor.counts[BlockUuid(block.uuid)]))
    elif result is not None and result.outputs:
        parts.append(result.outputs[0].summary)
    if parts:
        with st.container(key=keys.widget("summary", block.uuid), width="content"):
            st.caption(text.escape(" · ".join(parts), max_chars=90), width="content")


def _state(editor: Editor, block: Block) -> None:
    look = editor.look(block.uuid)
    run = editor.latest.get(BlockUuid(block.uuid))
    if run is not None and run.duration_s is not None and not run.reused and not editor.is_active(block.uuid):
        with st.container(key=keys.widget("took", block.uuid), width="content"):
            st.caption(text.duration(run.duration_s), width="content")
    if block.type == BlockType.MARKDOWN:
        return
    with st.container(key=keys.widget("state", block.uuid), width="content"):
        counts = editor.counts.get(BlockUuid(block.uuid))
        if counts and look is RUNNING:
            st.badge(f"{look.word} · {children.words(counts)}", icon=look.icon, color=look.color)
            return
        word = freshness.word(look.word, editor.states.get(block.uuid), is_completed=look is COMPLETED)
        st.badge(word, icon=look.icon, color=look.color, help=freshness.why(editor, block.uuid))


def _run_buttons(editor: Editor, block: Block) -> None:
    uuid = block.uuid
    run = editor.latest.get(BlockUuid(uuid))
    with st.container(key=keys.widget("acts", uuid), horizontal=True, gap="xsmall", width="content"):
        if editor.is_active(uuid):
            run_id = editor.session.pending.get(uuid) or (run.run_id if run else 0)
            st.button(
                "Cancel",
                key=keys.widget("cancel", uuid),
                icon=":material/stop_circle:",
                on_click=partial(actions.on_cancel, editor, run_id),
            )
        elif block.type != BlockType.MARKDOWN:
            st.button(
                "Run",
                key=keys.widget("run", uuid),
                icon=":material/play_arrow:",
                disabled=not (block.is_runnable or block.runs_alone),
                help=None if block.is_runnable or block.runs_alone else _why_not(block),
                on_click=partial(actions.on_run, editor, uuid),
            )
        names = [block.uuid for block in editor.pipeline.blocks]
        skipped = {"up"} if names[0] == uuid else set()
        skipped |= {"down"} if names[-1] == uuid else set()
        skipped |= set() if block.is_runnable else {"upstream", "stale", "downstream", "tests", "settings"}
        st.menu_button(
            "",
            [choice for choice in _MENU if choice not in skipped],
            key=keys.widget("menu", uuid),
            icon=":material/more_vert:",
            format_func=_MENU.__getitem__,
            on_click=partial(_on_menu, editor, uuid),
        )


def _why_not(block: Block) -> str:
    found = not_run.of_block(block)
    what = f"{block.language} blocks of type {block.type} do not run here"
    return text.escape(f"Not run here: {found.why}." if found else f"{what}.")


def _on_menu(editor: Editor, uuid: str) -> None:
    choice = st.session_state.get(keys.widget("menu", uuid))
    if choice in actions.RUN_CHOICES:
        actions.on_run(editor, uuid, choice)
    elif choice in {"up", "down"}:
        actions.on_move(editor, uuid, -1 if choice == "up" else 1)
    elif choice in {"settings", "rename", "remove", "delete"}:
        actions.open_dialog(editor, DialogRequest(choice, uuid))
