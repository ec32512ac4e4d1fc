"""Why a block run failed: the exception first, then the user's frames, the full trace behind a toggle."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from spellbook_core.errors import NotFoundError
from spellbook_core.model.outcome import ErrorReport
from spellbook_core.ui import frames, state, text


def show_failure(error: ErrorReport, *, project: str, key: str) -> None:
    """Draw the error of a block run of a project."""
    with st.container(border=True, key=f"failure_{key}"):
        if error.exception:
            st.code(text.one_line(error.exception, max_chars=4000), language=None, wrap_lines=True)
        else:
            st.markdown(f":red[:material/error:] **{text.escape(error.message, max_chars=2000)}**")
        if error.exception and error.message not in error.exception:
            st.markdown(text.escape(error.message, max_chars=2000))
        if error.hint:
            st.markdown(f"Do this: {text.prose(error.hint, max_chars=1000)}")
        if error.frames:
            root = _root(project)
            shown = [
                f"{frames.place(frame, root)}:{frame.line} in {frame.function}\n    {frame.text}"
                for frame in frames.own(error.frames, root)
            ]
            st.caption("In your code, the failing line last")
            st.code("\n".join(shown), language="python")
        place = " · ".join(f"{name} {value}" for name, value in error.facts.items() if isinstance(value, (str, int)))
        st.caption(text.escape(f"{error.code}  {place}"))
        if error.traceback and st.toggle("Full traceback", key=f"traceback_{key}"):
            st.code(error.traceback, language="python", height=320)


def _root(project: str) -> Path:
    workspace = state.context().workspace
    try:
        return workspace.project(project).root
    except NotFoundError:  # the project is gone, but its runs are still told
        return workspace.root
