"""The few rules of style that the theme cannot say, and the product's own mark."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st

from spellbook_core.ui import state

_MARK = (
    '<rect x="1" y="2" width="22" height="20" rx="5" fill="#8b5cf6"/>'
    '<path fill="#fff" fill-opacity=".95" d="M12 6.2c-2-1.3-4.2-1.6-6.4-1.3v11.7c2.2-.3 4.4 0 6.4 1.3 '
    '2-1.3 4.2-1.6 6.4-1.3V4.9c-2.2-.3-4.4 0-6.4 1.3z"/><path d="M12 6.2v11.7" stroke="#8b5cf6" stroke-width="1.3"/>'
    '<path d="M15.4 8.3l.6 1.5 1.5.6-1.5.6-.6 1.5-.6-1.5-1.5-.6 1.5-.6z" fill="#f59e0b"/>'
)
MARK_SVG = f'<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" viewBox="0 0 24 24">{_MARK}</svg>'
"""The book with a spark, 24 px square; also the tab's icon."""

WORDMARK_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="132" height="24" viewBox="0 0 132 24">'
    f"{_MARK}"
    '<text x="31" y="18" font-family="Inter,-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif" font-size="17" '
    'font-weight="700" letter-spacing="-.2" fill="#8b5cf6">Spellbook</text></svg>'
)
"""The mark and the name, 24 px high; its violet reads on white and on near-black."""


_DARK_DIALOG = '[data-testid="stDialog"] { color-scheme: dark; }'
"""Dialogs hang beside the app and not in it, so they do not inherit its colour scheme, which `light-dark()` reads."""


@cache
def _css() -> str:
    return (Path(__file__).parent / "style.css").read_text(encoding="utf-8")


def apply() -> None:
    """Put the style sheet on the page.

    The empty span is needed: Streamlit keeps a style-only `st.html` in the same place as toasts, and a toast from a
    fragment's callback would wipe it.
    """
    with st.container(key="style"):
        st.html(f"<span></span><style>{_css()}{_DARK_DIALOG if state.is_dark() else ''}</style>")
