"""Which dialog of a screen is open: a callback asks for it, and each drawing of the page shows it until it is closed.

A dialog that is drawn because its button returned True is gone with the next drawing of the whole page, whatever asked
for that; and where two requests come together, the drawing in which the button returns True never comes.
"""

from __future__ import annotations

import streamlit as st

from spellbook_core.ui import state

_OPEN = "_open_dialog"


def ask(name: str) -> None:
    """Open a dialog in place of the one that is open; a callback."""
    st.session_state[_OPEN] = (state.visit(), name)


def is_open(name: str) -> bool:
    """Return whether a dialog is to be drawn: it was asked for on this visit of the screen, and not closed."""
    return bool(st.session_state.get(_OPEN) == (state.visit(), name))


def close() -> None:
    """Close the dialog that is open: dismissed, or carried out."""
    st.session_state.pop(_OPEN, None)
