"""The dialogs of the editor, drawn by one fragment: whoever wants one leaves a request and redraws that fragment.

The request stays until the person closes the dialog: whatever redraws the whole page meanwhile draws the dialog again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from spellbook_core.model.block import BlockType
from spellbook_core.services import pipelines as pipeline_service
from spellbook_core.ui import boundary, open_dialog, text
from spellbook_core.ui.editor import (
    actions,
    add_block,
    addons,
    block_settings,
    chart_dialogs,
    focus,
    keys,
    pipeline_settings,
    scope,
    variables,
)
from spellbook_core.ui.editor.session import DialogRequest
from spellbook_core.ui.editor.view import Editor

_SHORTCUTS = (
    ("Ctrl+Enter", "Run the block you are typing in"),
    ("Shift+Enter", "Run it and go to the next block"),
    ("Ctrl+S", "Save now (typing is saved by itself, too)"),
    ("Alt+N", "Add a block"),
    ("Ctrl+F", "Search in the block"),
    ("Ctrl+Z / Ctrl+Shift+Z", "Undo and redo in the block"),
    ("Ctrl+Space", "Completions, with the columns of the parents' tables"),
    ("Tab / Shift+Tab", "Indent and dedent; Esc, then Tab leaves the editor"),
)


def draw(editor: Editor) -> None:
    """Draw the fragment that opens requested dialogs and moves the view; it shows nothing itself."""

    def body() -> None:
        with boundary.guarded():
            focus.move(editor.session)
            request = editor.session.dialogs.request
            if request is not None:
                editor.refresh()
                _open(editor, request)
            elif not editor.is_whole_page:
                if editor.session.is_page_due:
                    st.rerun()
                open_dialog.take_off()

    st.fragment(body, key=keys.DIALOGS)()


def _open(editor: Editor, request: DialogRequest) -> None:
    known: dict[str, tuple[str, open_dialog.Width, Callable[[Editor, DialogRequest], None]]] = {
        "add": ("Add a block", "large", add_block.draw),
        "chart_add": ("Add a chart", "small", chart_dialogs.add),
        "chart_settings": ("Chart", "small", chart_dialogs.settings_of),
        "chart_code": ("Chart code", "large", chart_dialogs.code),
        "addon_code": ("Code", "large", addons.code),
        "run": ("Run pipeline now", "small", _run),
        "run_fresh": ("Run all fresh", "small", _run),
        "settings": ("Block settings", "medium", block_settings.draw),
        "rename": ("Rename block", "small", _rename),
        "remove": ("Remove block", "small", _remove),
        "delete": ("Delete block file", "small", _delete),
        "variables": ("Pipeline variables", "medium", _variables),
        "validate": ("Validate", "medium", _validate),
        "pipeline_settings": ("Pipeline settings", "medium", pipeline_settings.draw),
        "yaml": ("metadata.yaml", "large", _yaml),
        "help": ("Keyboard shortcuts", "small", _help),
    }
    title, width, drawer = known[request.kind]
    open_dialog.show(editor.session.dialogs, title, partial(drawer, editor, request), width=width)


def _buttons(editor: Editor, label: str, key: str, icon: str, act: Callable[[], None]) -> None:
    with st.container():  # one place whether it says something or not
        scope.show_scope_error(editor, "dialog")
    with st.container(horizontal=True, horizontal_alignment="right"):
        close = partial(actions.close_dialog, editor, editor.session.dialogs.request)
        st.button("Cancel", key=f"{key}_cancel", on_click=close)
        st.button(label, key=key, type="primary", icon=icon, on_click=act)


def _run(editor: Editor, request: DialogRequest) -> None:
    is_fresh = request.kind == "run_fresh"
    if is_fresh:
        st.caption("Every block executes; no stored output is reused.")
    st.caption("Values for this run only. They begin with the pipeline's own, or what you typed last.")
    typed = variables.fields(editor.pipeline.variables, remembered=editor.session.runtime_variables)

    def act() -> None:
        values = {name: _current(name, typed[name]) for name in typed}
        editor.session.runtime_variables = dict(values)
        if scope.guarded_by(editor, "dialog", lambda: actions.start_pipeline(editor, values, is_fresh=is_fresh)):
            editor.session.dialogs.close()
            actions.redraw_all_states(editor, keys.DIALOGS)

    _buttons(editor, "Run", "run_confirm", ":material/play_arrow:", act)


def _current(name: str, drawn):
    """Return a field's value as the browser sent it with the click, which may be newer than the one drawn."""
    typed = st.session_state.get(f"runtime_{name}")
    return drawn if typed is None else variables.parse(typed)


def _rename(editor: Editor, request: DialogRequest) -> None:
    block = editor.pipeline.block(request.block or "")
    st.text_input("Name", value=block.name or block.uuid, key="rename_name", max_chars=200)
    st.caption("The file and every pipeline that uses it are renamed together.")
    _callback_note(editor, block.uuid, "is renamed with it")

    def act() -> None:
        if actions.rename(editor, block.uuid, st.session_state["rename_name"]):
            editor.session.dialogs.close()
            st.rerun()

    _buttons(editor, "Rename", "rename_confirm", ":material/edit:", act)


def _remove(editor: Editor, request: DialogRequest) -> None:
    name = request.block or ""
    st.markdown(f"Take **{text.escape(name)}** out of this pipeline? Its links go with it; its file stays.")
    _children_note(editor, name)
    _buttons(
        editor, "Remove", "remove_confirm", ":material/playlist_remove:", partial(_act_remove, editor, name, False)
    )


def _delete(editor: Editor, request: DialogRequest) -> None:
    name = request.block or ""
    st.markdown(f"Remove **{text.escape(name)}** from this pipeline and delete its file?")
    _children_note(editor, name)
    _callback_note(editor, name, "goes with it, unless another block asks for it")
    st.caption("You can undo this afterwards.")
    _buttons(editor, "Delete file", "delete_confirm", ":material/delete:", partial(_act_remove, editor, name, True))


def _act_remove(editor: Editor, block: str, delete_file: bool) -> None:
    if actions.remove(editor, block, delete_file=delete_file):
        editor.session.dialogs.close()
        st.rerun()


def _children_note(editor: Editor, name: str) -> None:
    children = [child for child, parents in editor.pipeline.parents().items() if name in parents]
    if children:
        names = ", ".join(text.code_span(child) for child in children[:6])
        st.markdown(f":orange[:material/warning:] It feeds {names}.")


def _callback_note(editor: Editor, name: str, what: str) -> None:
    """Draw what becomes of the callback that the block's name means; see `project.own_callbacks`."""
    for callback in editor.add_ons(name):
        if callback.type == BlockType.CALLBACK and not editor.is_listed(callback):
            st.caption(f"Its callback {text.code_span(callback.uuid)} {what}.")


def _variables(editor: Editor, request: DialogRequest) -> None:
    variables.draw_dialog(editor)


def _validate(editor: Editor, request: DialogRequest) -> None:
    findings = pipeline_service.validate(editor.ctx, editor.project, editor.uuid)
    if not findings:
        st.success("No problem found. Nothing was run or imported.", icon=":material/check_circle:")
        return
    errors = sum(finding.severity == "error" for finding in findings)
    st.caption(f"{text.count(errors, 'error')}, {text.count(len(findings) - errors, 'warning')}")
    for finding in findings:
        color, icon = ("red", "error") if finding.severity == "error" else ("orange", "warning")
        place = " · ".join(
            part for part in (finding.block or "", f"line {finding.line}" if finding.line else "", finding.code) if part
        )
        with st.container(border=True):
            st.markdown(f":{color}[:material/{icon}:] **{text.escape(finding.message, max_chars=600)}**")
            if finding.hint:
                st.markdown(f"Do this: {text.prose(finding.hint, max_chars=400)}")
            st.caption(text.escape(place))


def _yaml(editor: Editor, request: DialogRequest) -> None:
    st.caption(text.escape(f"pipelines/{editor.uuid}/metadata.yaml"))
    for warning in editor.file_warnings:
        st.warning(text.escape(warning), icon=":material/warning:")
    st.code(editor.file_text, language="yaml", height=520)


def _help(editor: Editor, request: DialogRequest) -> None:
    for shortcut, what in _SHORTCUTS:
        left, right = st.columns([2, 3], vertical_alignment="center")
        left.markdown(text.code_span(shortcut))
        right.markdown(what)
