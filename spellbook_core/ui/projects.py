"""Projects in the page's frame: the switcher, the dialog for a new one, and the view of an empty workspace."""

from __future__ import annotations

import streamlit as st

from spellbook_core.services import projects
from spellbook_core.ui import boundary, open_dialog, state, text

_WANTED = "_project_wanted"


def switcher(project: str | None) -> None:
    """Draw the sidebar's project switcher; choosing another project opens its pipelines."""
    wanted = st.session_state.pop(_WANTED, None)
    if wanted is not None:
        st.switch_page(state.page("pipelines"), query_params={"project": wanted})
    names = state.project_names()
    if names:
        if st.session_state.get("project_switch") != project:
            st.session_state["project_switch"] = project
        st.selectbox(
            "Project",
            names,
            index=None if project is None else 0,  # none is chosen where the address names one that is not there
            placeholder="Choose a project",
            key="project_switch",
            on_change=_switch,
            label_visibility="collapsed",
        )
    st.button(
        "New project",
        key="new_project",
        icon=":material/add:",
        type="tertiary",
        on_click=open_dialog.ask,
        args=(NEW,),
    )


def _switch() -> None:
    st.session_state[_WANTED] = st.session_state["project_switch"]


def _new() -> None:
    st.markdown("A project is a folder of pipelines, block files and settings.")
    name = st.text_input("Name", key="new_project_name", placeholder="e.g. churn or 매출 예측", max_chars=200)

    def create() -> None:
        created = projects.create_project(state.context(), name)
        open_dialog.close()
        boundary.notify(f"Created project {created}.")
        state.go("pipelines", project=created)

    open_dialog.buttons("Create project", key="new_project_create", icon=":material/add:", act=create)


NEW = open_dialog.Dialog("New project", _new, ":material/create_new_folder:", fields=("new_project_name",))


def first_project() -> None:
    """Draw what a workspace without projects shows."""
    with st.container(key="first_project", horizontal_alignment="center", gap="small"):
        st.space("large")
        st.markdown("## Welcome to Spellbook", text_alignment="center", width="stretch")
        st.markdown(
            "A notebook made of files: pipelines of blocks, each a small Python file, with an engine under them.",
            text_alignment="center",
        )
        root = text.code_span(state.context().workspace.root)
        st.caption(f"This workspace has no project yet: {root}", text_alignment="center")
        st.button(
            "Create your first project",
            key="first_project_create",
            type="primary",
            icon=":material/add:",
            on_click=open_dialog.ask,
            args=(NEW,),
        )
