"""What hangs on a block: its conditions and callbacks on the card, with how each went last, and their code."""

from __future__ import annotations

from functools import partial

import streamlit as st

from spellbook_core.model.block import Block, BlockType
from spellbook_core.model.run import BlockRun, Status
from spellbook_core.services import blocks as block_service
from spellbook_core.ui import children, text
from spellbook_core.ui.editor import actions, confirm, keys, scope
from spellbook_core.ui.editor.session import DialogRequest
from spellbook_core.ui.editor.view import Editor
from spellbook_core.ui.status import status_look, type_look

_MOST = 3


def badges(editor: Editor, block: Block) -> None:
    """Draw a badge per condition and callback of a block, coloured by its newest run; a click opens its code."""
    found = editor.add_ons(block.uuid)
    for number, add_on in enumerate(found[:_MOST]):
        run = editor.add_on_run(add_on, block.uuid)
        color = "gray" if run is None else _color(add_on, run)
        name = text.escape(add_on.name or add_on.uuid, max_chars=24)
        key = keys.widget(f"addon_{number}", block.uuid)
        with st.container(key=key, width="content"):
            st.button(
                f":{color}-badge[{type_look(add_on.type).icon} {name}]",
                key=f"{key}_code",
                type="tertiary",
                help=f"{_words(editor, add_on, block.uuid, run)} Click to see its code.",
                on_click=partial(show_code, editor, add_on),
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


# --- code


def show_code(editor: Editor, add_on: Block) -> None:
    """Open the dialog with the code of a condition or callback; a callback."""
    actions.open_dialog(editor, DialogRequest("addon_code", add_on.uuid, add_on.type))


def code(editor: Editor, request: DialogRequest) -> None:
    """Draw the dialog with the file of a condition or callback."""
    hanging = (*editor.pipeline.conditionals, *editor.pipeline.callbacks)
    named = (each for each in hanging if (each.uuid, each.type) == (request.block, request.block_type))
    add_on = next(named, None)
    if add_on is None:
        st.info(f"The pipeline has no {type_look(request.block_type or '').word.lower()} of this name any more.")
        return
    file = block_service.source_of(editor.ctx, editor.project, add_on)
    st.caption(f"{text.code_span(file.relative_path)} {_role(editor, add_on)}")
    if not file.exists:
        st.warning("The file is missing; Save creates it.", icon=":material/file_present:")
    written = st.text_area("Code", file.text, key="hanging_code", height=360, label_visibility="collapsed")

    def act() -> None:
        new = st.session_state.get("hanging_code", written)
        save = partial(block_service.save_source_of, editor.ctx, editor.project, add_on, new)
        if scope.guarded_by(editor, "dialog", lambda: save(expected_hash=file.content_hash)):
            confirm.finish(editor)

    confirm.buttons(editor, "Save", key="hanging_confirm", icon=":material/save:", act=act)


def _role(editor: Editor, add_on: Block) -> str:
    blocks = [name for name in add_on.upstream_blocks if editor.pipeline.has(name)]
    names = ", ".join(text.code_span(name) for name in blocks) or "no block of this pipeline"
    if add_on.type == BlockType.CONDITIONAL:
        return f"guards {names}, which runs only when every function with `@condition` says true."
    listed = "" if editor.is_listed(add_on) else " It is called because of `has_callback` and its name."
    return f"hears how {names} ended, by functions with `@callback('success')`, `'failure'` or `'cancelled'`.{listed}"
