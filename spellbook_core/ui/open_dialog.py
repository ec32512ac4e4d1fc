"""Dialogs: each is open until it is closed, whatever has the page drawn meanwhile, and no click in it is lost.

A dialog that is drawn because its button returned True is gone with the next drawing of the whole page, whatever asked
for that; and where two requests come together, the drawing in which the button returns True never comes. So callbacks
note what was pressed, and the next drawing acts on the note.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import streamlit as st

from spellbook_core.ui import boundary, state

FRAGMENT = "dialogs"
"""Key of the fragment that draws the dialogs of every screen but the editor, which has one of its own."""

_OPEN = "_open_dialog"

Width = Literal["small", "medium", "large"]


@dataclass(slots=True)
class OpenDialog:
    """Which dialog is open, and what was pressed in it.

    Attributes:
        request: What the open dialog was asked for with; None when none is open.
        confirmed: The key of the button that carries the dialog out, from its click until that is done.
    """

    request: Any = None
    confirmed: str | None = None

    def open(self, request: object) -> None:
        """Have this dialog open in place of the one that is."""
        self.request, self.confirmed = request, None

    def close(self, request: object = None) -> None:
        """Have no dialog open; the next run of the fragment that draws them takes it off the page.

        Args:
            request: Close this one alone. A click that opens another one may be handled before the click that closed
                this one, when both reach the server together.
        """
        if request is None or request is self.request:
            self.request = self.confirmed = None

    def taken(self, key: str) -> bool:
        """Return whether the button `key` was pressed and nobody acted on it yet; the caller does."""
        was_pressed = self.confirmed == key
        if was_pressed:
            self.confirmed = None
        return was_pressed


@dataclass(frozen=True, slots=True, eq=False)
class Dialog:
    """A dialog that can be asked for.

    Attributes:
        title: Plain words.
        body: Draws its content, and the buttons at last.
        icon: As Streamlit names it.
        width: Of the dialog.
        fields: Keys of its fields. They begin anew each time: Streamlit keeps them until the whole page is drawn.
    """

    title: str
    body: Callable[[], None]
    icon: str | None = None
    width: Width = "small"
    fields: tuple[str, ...] = ()


def ask(dialog: Dialog) -> None:
    """Open a dialog; a callback."""
    for key in dialog.fields:
        st.session_state.pop(key, None)
    _here().open(dialog)
    state.redraw(FRAGMENT)


def draw() -> None:
    """Draw the fragment with the dialog that was asked for on this visit of the screen; for the page's frame."""
    is_whole_page = True

    def body() -> None:
        dialog = _here().request
        if dialog is not None:
            show(_here(), dialog.title, dialog.body, width=dialog.width, icon=dialog.icon)
        elif not is_whole_page:
            take_off()

    st.fragment(body, key=FRAGMENT)()
    is_whole_page = False


def is_open() -> bool:
    """Return whether a dialog of `ask` is open."""
    return _here().request is not None


def buttons(label: str, *, key: str, icon: str, act: Callable[[], object], is_ready: bool = True) -> None:
    """Draw Cancel and the button that carries out a dialog of `ask`; see `draw_buttons`."""
    draw_buttons(_here(), label, key=key, icon=icon, act=act, fragment=FRAGMENT, is_ready=is_ready)


def close() -> None:
    """Close the dialog that was carried out, from its act, which then goes to another screen."""
    _here().close()


def finish() -> None:
    """Close the dialog that was carried out and draw the page, from its act."""
    _here().close()
    st.rerun()


def _here() -> OpenDialog:
    """Return what is open on this visit of the screen: a dialog stays behind on the screen that was left."""
    visit, opened = st.session_state.get(_OPEN, (None, None))
    if opened is None or visit != state.visit():
        opened = OpenDialog()
        st.session_state[_OPEN] = (state.visit(), opened)
    return opened


# --- what the editor's dialogs are made of, too


def show(
    opened: OpenDialog, title: str, body: Callable[[], None], *, width: Width = "small", icon: str | None = None
) -> None:
    """Draw the dialog that is open; what goes wrong in it is shown there."""

    def guarded() -> None:
        with boundary.guarded():
            body()
        opened.confirmed = None  # no later drawing acts on this click

    # Dismissed, it is closed in the browser already: no fragment has to be named.
    st.dialog(title, width=width, icon=icon, on_dismiss=partial(opened.close, opened.request))(guarded)()


def take_off() -> None:
    """Take a dialog off the page, from the fragment that drew it and is drawn alone.

    Dialogs and style sheets have one place on the page, so this takes the dialog's: it closes without a drawing of the
    whole page, which would make the next click wait.
    """
    st.html("<style></style>")


def draw_buttons(
    opened: OpenDialog,
    label: str,
    *,
    key: str,
    icon: str,
    act: Callable[[], object],
    fragment: str,
    is_ready: bool = True,
    show_error: Callable[[], None] | None = None,
) -> None:
    """Draw Cancel and the button that carries the dialog out; draw it below all fields.

    Args:
        opened: What is open.
        label: What the button says.
        key: Of the button; Cancel gets `<key>_cancel`.
        icon: Of the button.
        act: Acts on what the fields said in this very drawing; its error is shown above the buttons. A callback would
            see the drawing before, and what was typed last comes to the server together with the click.
        fragment: Draws the dialog.
        is_ready: False greys the button out.
        show_error: Draws an error that `act` keeps, whether it acted in this drawing or before.
    """
    errors = st.container()  # one place whether it says something or not
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Cancel", key=f"{key}_cancel", on_click=partial(_cancel, opened, opened.request, fragment))
        st.button(
            label,
            key=key,
            type="primary",
            icon=icon,
            disabled=not is_ready,
            on_click=partial(confirm, opened, key, fragment),
        )
    with errors, boundary.guarded():
        if opened.taken(key) and is_ready:
            act()
        if show_error is not None:
            show_error()


def confirm(opened: OpenDialog, key: str, fragment: str) -> None:
    """Note a click on the button `key` and have `fragment` drawn, which acts on it; a callback.

    That the button was pressed cannot be read from what it returns: when an event or a timer asks for something else
    at the same moment, the run that it would return True in never comes.
    """
    opened.confirmed = key
    state.redraw(fragment)


def _cancel(opened: OpenDialog, request: object, fragment: str) -> None:
    opened.close(request)
    state.redraw(fragment)
