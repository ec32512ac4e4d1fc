"""The middle of a text's card: what it says, or the editor of it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from spellbook_core.services import blocks as block_service
from spellbook_core.ui import boundary, markdown_text
from spellbook_core.ui.editor import code_pane, keys, saving
from spellbook_core.ui.editor.view import Editor

_VIEWS = {"Read": ":material/visibility:", "Edit": ":material/edit:"}


def draw(editor: Editor, uuid: str) -> None:
    """Draw the choice of view, and the view."""
    chosen = st.segmented_control(
        "View",
        [*_VIEWS],
        key=keys.widget("view", uuid),
        default="Read",
        required=True,
        label_visibility="collapsed",
        format_func=lambda name: f"{_VIEWS[name]} {name}",
        on_change=partial(saving.save_waiting_text, editor, uuid),
    )
    if chosen == "Edit":
        code_pane.draw(editor, uuid)
    else:
        _read(editor, uuid)


def _read(editor: Editor, uuid: str) -> None:
    def body() -> None:
        with boundary.guarded():
            editor.refresh()
            block = editor.block(uuid)
            if block is None:
                return
            editor.drawn(keys.code(uuid))
            source = block_service.source(editor.ctx, editor.project, editor.uuid, uuid)
            shown = markdown_text.render(markdown_text.of_file(source.text, source.relative_path))
            with st.container(key=keys.widget("text", uuid)):
                st.markdown(shown if shown.strip() else ":gray[This text is empty: choose Edit.]")

    st.fragment(body, key=keys.code(uuid))()
