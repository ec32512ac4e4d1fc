"""The Settings card with the Python environments of blocks: what they are made from, who uses them, their size."""

from __future__ import annotations

from functools import partial

import streamlit as st

from spellbook_core.services import environment_list
from spellbook_core.services.environment_list import EnvironmentView
from spellbook_core.ui import boundary, state, text

_LOOKS = {
    environment_list.READY: (":material/check_circle:", "green", "ready"),
    environment_list.MAKING: (":material/hourglass_top:", "violet", "being made"),
    environment_list.FAILED: (":material/error:", "red", "failed"),
    environment_list.ABSENT: (":material/schedule:", "gray", "made by the next run"),
}


def card() -> None:
    """Draw the card."""
    with boundary.guarded(), st.container(border=True, key="settings_environments"):
        st.markdown("#### Python environments of blocks", anchors=False)
        ctx = state.context()
        found = environment_list.list_environments(ctx)
        if not found:
            st.caption(
                "None: all blocks run in the Python that Spellbook runs in. A project gets its own with "
                "`spellbook: environment: requirements: requirements.txt` in its metadata.yaml, or from the banner "
                "that names missing packages."
            )
        for view in found:
            _row(view)


def _row(view: EnvironmentView) -> None:
    icon, color, word = _LOOKS[view.progress.state]
    name = view.digest or str(abs(hash(view.python)))
    with st.container(key=f"environment_{name[:12]}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{text.escape(view.made_from or 'nothing yet', max_chars=60)}**", width="content")
            st.badge(word, icon=icon, color=color)
            st.space("stretch")
            if view.digest is not None and view.progress.state != environment_list.MAKING:
                st.button(
                    "Remove",
                    key=f"environment_remove_{name[:12]}",
                    icon=":material/delete:",
                    help="Takes it off the disk. The next run that names it makes it again.",
                    on_click=partial(_remove, view.digest),
                )
        users = f"used by {', '.join(view.used_by)}" if view.used_by else "no project names it"
        facts = [users, f"Python {view.version}" if view.version else ""]
        facts += [text.size(view.size_bytes)] if view.size_bytes else []
        facts += [view.python] if view.digest is None else [f"environments/{view.digest[:12]}…"]
        st.caption(text.escape(" · ".join(fact for fact in facts if fact), max_chars=300))
        if view.progress.problem:
            st.caption(f":red[{text.escape(view.progress.problem, max_chars=300)}]")


def _remove(digest: str) -> None:
    def act() -> None:
        environment_list.remove(state.context(), digest)
        boundary.notify("The environment is removed.", icon=":material/delete:")

    boundary.attempt(act)
