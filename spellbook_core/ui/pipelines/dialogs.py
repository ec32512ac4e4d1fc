"""The dialogs and acts of the pipelines screen: new, duplicate, rename, delete, run."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

import streamlit as st

from spellbook_core.errors import AlreadyExistsError
from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.model.run import NewRun, PipelineRun
from spellbook_core.services import pipelines, runs
from spellbook_core.ui import boundary, open_dialog, state, text
from spellbook_core.ui.open_dialog import Dialog

BLANK = "blank"
"""Id of the template without blocks."""

_MOST_COPIES = 100


def blank_first(templates: Iterable[pipelines.PipelineTemplate]) -> list[pipelines.PipelineTemplate]:
    """Return the templates with the blank one first."""
    return sorted(templates, key=lambda item: item.id != BLANK)


def new_pipeline(project: ProjectName) -> Dialog:
    """Return the dialog that asks for a name and a starting point, creates the pipeline and opens it in the editor."""
    fields = ("new_pipeline_name", "new_pipeline_template", "new_pipeline_description")
    return Dialog("New pipeline", partial(_new, project), ":material/account_tree:", "medium", fields)


def _new(project: ProjectName) -> None:
    name = st.text_input("Name", key="new_pipeline_name", placeholder="e.g. churn model or 고객 이탈", max_chars=200)
    templates = blank_first(pipelines.pipeline_templates())
    chosen = st.radio(
        "Start from",
        templates,
        key="new_pipeline_template",
        format_func=lambda item: f"**{text.escape(item.title)}**",
        captions=[text.escape(item.description) for item in templates],
    )
    with st.expander("More"):
        description = st.text_area("Description", key="new_pipeline_description", height=80, max_chars=2000)

    def create() -> None:
        created = pipelines.create(state.context(), project, name, description=description, template=chosen.id)
        open_dialog.close()
        state.go("editor", pipeline=created)

    open_dialog.buttons("Create pipeline", key="new_pipeline_create", icon=":material/add:", act=create)


def rename_pipeline(project: ProjectName, summary: pipelines.PipelineSummary) -> Dialog:
    """Return the dialog that asks for another name; history and block files stay."""
    return Dialog("Rename pipeline", partial(_rename, project, summary), ":material/edit:", fields=("rename_pipeline",))


def _rename(project: ProjectName, summary: pipelines.PipelineSummary) -> None:
    name = st.text_input("New name", value=summary.name, key="rename_pipeline", max_chars=200)
    st.caption("Runs and block files keep their place; links to the old name stop working.")

    def rename() -> None:
        if name != summary.name:
            pipelines.rename(state.context(), project, summary.uuid, name)
            boundary.notify(f"Renamed to {name}.")
        open_dialog.finish()

    open_dialog.buttons("Rename", key="rename_apply", icon=":material/edit:", act=rename)


def duplicate_pipeline(project: ProjectName, summary: pipelines.PipelineSummary) -> Dialog:
    """Return the dialog that asks for the copy's name; the copy shares the block files."""
    body = partial(_duplicate, project, summary)
    return Dialog("Duplicate pipeline", body, ":material/content_copy:", fields=("duplicate_name",))


def _duplicate(project: ProjectName, summary: pipelines.PipelineSummary) -> None:
    name = st.text_input("Name of the copy", value=f"{summary.name} copy", key="duplicate_name", max_chars=200)
    st.caption("The copy uses the same block files, so an edit of a block shows in both pipelines.")

    def duplicate() -> None:
        created = pipelines.duplicate(state.context(), project, summary.uuid, name)
        boundary.notify(f"Created {created}.")
        open_dialog.finish()

    open_dialog.buttons("Duplicate", key="duplicate_apply", icon=":material/content_copy:", act=duplicate)


def delete_pipeline(project: ProjectName, pipeline: PipelineUuid) -> None:
    """Delete at once and offer to take it back; for a widget callback, which ends here."""
    ctx = state.context()
    token = boundary.attempt(pipelines.delete, ctx, project, pipeline)
    if token is not None:
        boundary.offer_undo(
            f"Deleted pipeline {pipeline}. Its block files are still there.", lambda: pipelines.undo(ctx, token)
        )
    st.rerun()  # the offer stands above the list


def create_example(project: ProjectName, item: pipelines.PipelineTemplate) -> PipelineUuid:
    """Create an example under its own name, or with the first free number when that is taken (`titanic 2`)."""
    for number in range(1, _MOST_COPIES):
        name = item.title if number == 1 else f"{item.title} {number}"
        with suppress(AlreadyExistsError):
            return pipelines.create(state.context(), project, name, template=item.id)
    return pipelines.create(state.context(), project, item.title, template=item.id)


def run_pipeline(project: ProjectName, pipeline: PipelineUuid) -> PipelineRun | None:
    """Start the whole pipeline; for a widget callback. None when it cannot run, which a notice then says."""
    new = NewRun(project=project, pipeline=pipeline, trigger="manual", request_id=uuid.uuid4().hex)
    return boundary.attempt(runs.start, state.context(), new)
