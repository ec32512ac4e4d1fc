"""The card of a project's secrets: their names, where they lie, adding and removing one. Never a value."""

from __future__ import annotations

import streamlit as st

from spellbook_core.services import secrets
from spellbook_core.ui import boundary, state, text

_NAME, _VALUE = "secret_name", "secret_value"
_ASK = 'secret("API_KEY")'
_MOST_ROWS = 8
"""Above this many the list scrolls."""


@st.fragment(key="secrets")
def card() -> None:
    """Draw the card as a fragment of its own."""
    with boundary.guarded(), st.container(border=True, key="settings_secrets"):
        project = state.current_project()
        st.markdown(f"#### Secrets of {text.escape(project)}", anchors=False)
        found = secrets.names(state.context(), project)
        if not found:
            st.caption("None yet. What is kept here is masked in everything that blocks print, raise and show.")
        with st.container(height=320 if len(found) > _MOST_ROWS else "content", border=False, gap="xsmall"):
            for one in found:
                _row(project, one)
        with st.form("secret_form", clear_on_submit=True, border=False):
            fields = st.columns([2, 2.6, 1.4], vertical_alignment="bottom", gap="small")
            fields[0].text_input("Name", key=_NAME, placeholder="API_KEY", max_chars=200)
            fields[1].text_input("Value", key=_VALUE, type="password", autocomplete="off")
            fields[2].form_submit_button("Keep", on_click=_keep, args=(project,), width="stretch")
        st.caption(
            f"Kept in {text.code_span('.env')} of the project, readable by you alone and ignored by git. "
            f"A block asks for it with {text.code_span(_ASK)}; a block that runs already keeps the old value."
        )
    boundary.notices()


def _row(project: str, one: secrets.SecretName) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"secret_row_{one.name}"):
        st.markdown(text.code_span(one.name, max_chars=60), width="content")
        st.caption(text.escape(one.origin), width="content")
        if not one.is_masked:
            st.badge("not masked", icon=":material/visibility:", color="orange", help=_WHY_NOT)
        st.space("stretch")
        if one.is_removable:
            st.button(
                "",
                key=f"secret_remove_{one.name}",
                icon=":material/delete:",
                type="tertiary",
                help=f"Remove {text.escape(one.name)} from .env",
                on_click=_remove,
                args=(project, one.name),
            )


_WHY_NOT = "Too short or too plain to be told from other text, such as `dev` or `5432`."


def _keep(project: str) -> None:
    name, value = str(st.session_state.get(_NAME, "")).strip(), str(st.session_state.get(_VALUE, ""))
    st.session_state[_VALUE] = ""  # whatever becomes of it, the page keeps no copy

    def keep() -> None:
        secrets.put(state.context(), project, name, value)
        boundary.notify(f"{name} is kept.")

    boundary.attempt(keep)


def _remove(project: str, name: str) -> None:
    boundary.attempt(secrets.remove, state.context(), project, name)
