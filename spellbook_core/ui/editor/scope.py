"""Errors kept for the place where they happened, and redrawing of named parts: what every callback needs."""

from __future__ import annotations

from collections.abc import Callable

from spellbook_core.errors import SpellbookError
from spellbook_core.ui import boundary, state
from spellbook_core.ui.editor.view import Editor


def redraw(*fragments: str) -> None:
    """Draw only the named fragments again, from a callback; see `state.redraw`."""
    state.redraw(*fragments)


def guarded_by(editor: Editor, scope: str, action: Callable[[], object]) -> bool:
    """Call `action`; keep its error to be shown at `scope` and return whether it worked."""
    editor.session.errors.pop(scope, None)
    try:
        action()
    except SpellbookError as error:
        editor.session.errors[scope] = error.to_dict()
        return False
    except Exception as error:  # noqa: BLE001  # the UI page boundary, reached from a callback
        ident, path = boundary.record_fault(error)
        editor.session.errors[scope] = {
            "code": "SB-UI-000",
            "message": f"This did not work, and it is our fault (fault {ident}).",
            "hint": f"try again; the details are in {path}.",
            "facts": {},
        }
        return False
    return True


def show_scope_error(editor: Editor, scope: str) -> None:
    """Draw the error kept for `scope`, when there is one."""
    error = editor.session.errors.get(scope)
    if error is not None:
        boundary.show_error(error)


def change(editor: Editor, scope: str, action: Callable[[], object]) -> bool:
    """Change the pipeline's file and read it again at once, so that the event about it finds nothing new."""

    def act() -> None:
        action()
        editor.read()

    return guarded_by(editor, scope, act)
