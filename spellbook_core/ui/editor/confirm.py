"""The buttons of a dialog whose fields say what is done."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from spellbook_core.ui.editor import actions, keys, scope
from spellbook_core.ui.editor.view import Editor


def buttons(
    editor: Editor, label: str, *, key: str, icon: str, act: Callable[[], object], is_ready: bool = True
) -> None:
    """Draw Cancel and the button that carries the dialog out; draw it below all fields.

    Args:
        editor: The editor.
        label: What the button says.
        key: Of the button; Cancel gets `<key>_cancel`.
        icon: Of the button.
        act: Acts on what the fields said in this very drawing and leaves its error at the scope `dialog`. A callback
            would see the drawing before, and what was typed last comes to the server together with the click.
        is_ready: False greys the button out.
    """
    errors = st.container()
    with st.container(horizontal=True, horizontal_alignment="right"):
        close = partial(actions.close_dialog, editor, editor.session.dialog)
        st.button("Cancel", key=f"{key}_cancel", on_click=close)
        st.button(
            label,
            key=key,
            type="primary",
            icon=icon,
            disabled=not is_ready,
            on_click=partial(confirm, editor, key, keys.DIALOGS),
        )
    if taken(editor, key) and is_ready:
        act()
    with errors:  # one place whether it says something or not
        scope.show_scope_error(editor, "dialog")


def confirm(editor: Editor, key: str, fragment: str) -> None:
    """Note a click on the button `key` and have `fragment` drawn, which acts on it; a callback.

    That the button was pressed cannot be read from what it returns: when an event or a timer asks for something else
    at the same moment, the run that it would return True in never comes.
    """
    editor.session.confirmed = key
    scope.redraw(fragment)


def taken(editor: Editor, key: str) -> bool:
    """Return whether the button `key` was pressed and nobody acted on it yet; the caller does."""
    was_pressed = editor.session.confirmed == key
    if was_pressed:
        editor.session.confirmed = None
    return was_pressed


def finish(editor: Editor) -> None:
    """Close the dialog that was carried out and draw the page, from a dialog's body."""
    editor.session.close_dialog()
    st.rerun()
