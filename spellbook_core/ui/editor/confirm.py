"""The buttons of a dialog of the editor whose fields say what is done."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from spellbook_core.ui import open_dialog
from spellbook_core.ui.editor import keys, scope
from spellbook_core.ui.editor.view import Editor


def buttons(
    editor: Editor, label: str, *, key: str, icon: str, act: Callable[[], object], is_ready: bool = True
) -> None:
    """Draw Cancel and the button that carries the dialog out, as `open_dialog.draw_buttons` does.

    `act` leaves its error at the scope `dialog`.
    """
    open_dialog.draw_buttons(
        editor.session.dialogs,
        label,
        key=key,
        icon=icon,
        act=act,
        fragment=keys.DIALOGS,
        is_ready=is_ready,
        show_error=partial(scope.show_scope_error, editor, "dialog"),
    )


def finish(editor: Editor) -> None:
    """Close the dialog that was carried out and draw the page, from a dialog's body."""
    editor.session.dialogs.close()
    st.rerun()
