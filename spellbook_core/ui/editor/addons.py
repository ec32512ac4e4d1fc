"""What hangs on a block: its conditions and callbacks as badges on the card, with how each went last."""

from __future__ import annotations

import streamlit as st

from spellbook_core.model.block import Block, BlockType
from spellbook_core.model.run import BlockRun, Status
from spellbook_core.ui import children, text
from spellbook_core.ui.editor import keys
from spellbook_core.ui.editor.view import Editor
from spellbook_core.ui.status import status_look, type_look

_MOST = 3


def badges(editor: Editor, block: Block) -> None:
    """Draw a badge per condition and callback of a block, coloured by its newest run."""
    found = editor.add_ons(block.uuid)
    for number, add_on in enumerate(found[:_MOST]):
        run = editor.add_on_run(add_on, block.uuid)
        with st.container(key=keys.widget(f"addon_{number}", block.uuid), width="content"):
            st.badge(
                text.escape(add_on.name or add_on.uuid, max_chars=24),
                icon=type_look(add_on.type).icon,
                color="gray" if run is None else _color(add_on, run),
                help=_words(editor, add_on, block.uuid, run),
            )
    if len(found) > _MOST:
        st.caption(f"+{len(found) - _MOST}", width="content")


def _color(add_on: Block, run: BlockRun) -> str:
    if add_on.type == BlockType.CONDITIONAL and run.status is Status.CONDITION_FAILED:
        return "orange"
    return status_look(run.status).color


def _words(editor: Editor, add_on: Block, uuid: str, run: BlockRun | None) -> str:
    if add_on.type == BlockType.CONDITIONAL:
        what = f"Condition: {text.escape(uuid)} runs only when it holds."
    else:
        what = f"Callback: is called when {text.escape(uuid)} has ended."
    if run is None:
        return f"{what} It has not run yet."
    told = run.error.exception or run.error.message if run.error is not None else run.reason
    counts = editor.counts.get(run.key)
    many = f" ({children.words(counts)})" if counts else ""
    return f"{what} Last: {status_look(run.status).word}{many}. {text.escape(told, max_chars=300)}"
