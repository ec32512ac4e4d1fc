"""The editor of one pipeline: a notebook of blocks beside its graph. Address: `/editor?project=&pipeline=&block=`."""

from __future__ import annotations

import streamlit as st

from spellbook_core.errors import NotFoundError
from spellbook_core.model.naming import PipelineUuid
from spellbook_core.services import pipelines as pipeline_service
from spellbook_core.ui import boundary, parts, state, text
from spellbook_core.ui.editor import page


def render() -> None:
    """Draw the pipeline that the address names, else the last one seen, else a way to choose one."""
    ctx, project = state.context(), state.current_project()
    wanted = st.query_params.get("pipeline") or st.session_state.get("last_pipeline")
    found = pipeline_service.list_pipelines(ctx, project)
    names = [summary.uuid for summary in found]
    if wanted is None and len(names) == 1:
        wanted = names[0]
    if wanted is None or (wanted not in names and "pipeline" not in st.query_params):
        _choose(found)
        return
    if wanted not in names:
        boundary.show_error(_unknown(project, wanted, found).to_dict())
        _choose(found)
        return
    st.session_state["last_pipeline"] = wanted
    page.draw(ctx, project, PipelineUuid(wanted), st.query_params.get("block"))


def _unknown(project: str, wanted: str, found) -> NotFoundError:
    hint = "choose one of these." if found else "create one on the Pipelines page."
    message = f"Project '{project}' has no pipeline '{wanted[:200]}'."
    return NotFoundError(message, hint=hint, project=project, pipeline=wanted[:200])


def _choose(found) -> None:
    with st.container(key="page_title"):
        st.markdown("## Editor")
    if not found:
        parts.empty("account_tree", "This project has no pipeline yet", "Begin with an example, or with a blank one.")
        with st.container(horizontal_alignment="center"):
            state.link("pipelines", "Create the first pipeline", icon=":material/add:")
        return
    st.caption("Choose the pipeline to work on.")
    for summary in found:
        with st.container(key=f"choose_{summary.uuid}", border=True, horizontal=True, vertical_alignment="center"):
            state.link(
                "editor", f"**{text.escape(summary.name)}**", icon=":material/account_tree:", pipeline=summary.uuid
            )
            st.caption(text.count(summary.blocks, "block"), width="content")
