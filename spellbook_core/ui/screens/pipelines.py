"""Pipelines: what there is in the project, how its last runs went, and the ways to a new one."""

from __future__ import annotations

from functools import partial

import streamlit as st

from spellbook_core.model import not_run
from spellbook_core.model.naming import ProjectName
from spellbook_core.services import pipelines
from spellbook_core.ui import boundary, open_dialog, parts, state, text
from spellbook_core.ui.components.live import live
from spellbook_core.ui.pipelines import dialogs, overview
from spellbook_core.ui.status import status_look

ROWS_PER_PAGE = 25
_WIDTHS = (3.7, 1.3, 1.0, 1.9, 2.0, 2.3)
_HEADS = ("Name", "Type", "Blocks", "Last 14 runs", "Last run", "")


def render() -> None:
    """Draw the screen."""
    project = state.current_project()
    with parts.page_title("Pipelines", project):
        st.button(
            "New pipeline",
            key="new_pipeline",
            type="primary",
            icon=":material/add:",
            shortcut="Alt+N",
            on_click=open_dialog.ask,
            args=(dialogs.new_pipeline(project),),
        )
    _overview(project)


@st.fragment(key="pipelines")
def _overview(project: ProjectName) -> None:
    with boundary.guarded():
        ctx = state.context()
        live(key="live_pipelines", query={"project": project})
        found, recent = overview.rows(ctx, project)
        if not found:
            _first_run(project)
        else:
            _figures(overview.figures(len(found), recent, ctx.clock.now()))
            _list(project, found)
    boundary.notices()


def _figures(figures: overview.Figures) -> None:
    rate = "–" if figures.success_rate is None else f"{figures.success_rate:.0%}"
    shown = (
        ("Pipelines", str(figures.pipelines), ""),
        ("Runs in 24 h", f"{figures.runs_24h:,}", parts.hours(figures.by_hour)),
        ("Success in 24 h", rate, ""),
        ("Running now", str(figures.running), ""),
    )
    for number, (cell, (label, value, picture)) in enumerate(zip(st.columns(4), shown, strict=True)):
        with (
            cell,
            st.container(
                border=True,
                horizontal=True,
                wrap=False,
                vertical_alignment="bottom",
                height="stretch",
                key=f"figure_{number}",
            ),
        ):
            st.metric(label, value, width="content")
            if picture:
                st.space("stretch")
                st.html(picture, width="content")


def _list(project: ProjectName, found: list[overview.Row]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="pipelines_filter"):
        search = st.text_input(
            "Search pipelines",
            key="q",
            bind="query-params",
            placeholder="Search by name, description or tag",
            label_visibility="collapsed",
            icon=":material/search:",
            live=True,
            width=300,
        )
        which = st.segmented_control(
            "Show",
            overview.FILTERS,
            default="All",
            required=True,
            key="show",
            bind="query-params",
            label_visibility="collapsed",
        )
        tags = sorted({tag for row in found for tag in row.summary.tags})
        chosen = []
        if tags:
            chosen = st.multiselect(
                "Tags",
                tags,
                key="tags",
                bind="query-params",
                placeholder="Tags",
                label_visibility="collapsed",
                width=180,
            )
    kept = overview.matching(found, search or "", which, chosen)
    if not kept:
        parts.empty("search_off", "No pipeline matches", "Change the search or the filter.")
        return
    parts.list_head(_WIDTHS, _HEADS)
    rows = st.container(gap=None)
    offset = parts.page_offset(len(kept), ROWS_PER_PAGE)
    with rows:
        for number, row in enumerate(kept[offset : offset + ROWS_PER_PAGE]):
            _row(project, row, number)


def _row(project: ProjectName, row: overview.Row, number: int) -> None:
    summary = row.summary
    with st.container(key=f"row_{number}"):
        name, kind, blocks, last, status, acts = st.columns(_WIDTHS, vertical_alignment="center")
        with name:
            _name(summary)
        kind.caption(text.escape(summary.type))
        blocks.caption("–" if summary.problem else str(summary.blocks))
        last.html(parts.bars(row.last_runs, overview.BARS))
        with status:
            _status(row)
        right = acts.container(
            horizontal=True, wrap=False, horizontal_alignment="right", vertical_alignment="center", gap="xsmall"
        )
        with right:
            _acts(project, summary)


def _name(summary: pipelines.PipelineSummary) -> None:
    if summary.problem is not None:
        st.markdown(f":red[:material/warning:] **{text.escape(summary.name)}**")
        st.caption(text.escape(summary.problem.get("message", "This pipeline cannot be read."), max_chars=300))
        return
    state.link("editor", f"**{text.escape(summary.name, max_chars=80)}**", pipeline=summary.uuid)
    notes = [text.escape(summary.description, max_chars=90)] if summary.description else []
    notes += [f":gray-badge[{text.escape(tag, max_chars=24)}]" for tag in summary.tags[:4]]
    if notes:
        st.caption(" ".join(notes))


def _status(row: overview.Row) -> None:
    look = status_look(row.status)
    if not row.last_runs:
        st.markdown(parts.word(look))
        return
    run = row.last_runs[0]
    state.link("run", parts.word(look), id=run.id)
    st.caption(text.ago(run.started_at or run.created_at, state.context().clock.now()))


def _acts(project: ProjectName, summary: pipelines.PipelineSummary) -> None:
    uuid = summary.uuid
    if summary.problem is None:
        told = not_run.PIPELINES.get(summary.type)
        st.button(
            "Run",
            key=f"run_{uuid}",
            icon=":material/play_arrow:",
            disabled=told is not None,
            help=None if told is None else f"Not run here: {told.why}.",
            on_click=_run,
            args=(project, uuid),
        )
    options = ["Open", "Rename", "Duplicate", "Delete"] if summary.problem is None else ["Delete"]
    st.menu_button(
        "",
        options,
        key=f"menu_{uuid}",
        icon=":material/more_horiz:",
        type="tertiary",
        on_click=_on_menu,
        args=(project, summary),
    )


def _on_menu(project: ProjectName, summary: pipelines.PipelineSummary) -> None:
    choice = st.session_state.get(f"menu_{summary.uuid}")
    if choice == "Open":
        state.leave("editor", pipeline=summary.uuid)
    elif choice == "Rename":
        open_dialog.ask(dialogs.rename_pipeline(project, summary))
    elif choice == "Duplicate":
        open_dialog.ask(dialogs.duplicate_pipeline(project, summary))
    elif choice == "Delete":
        dialogs.delete_pipeline(project, summary.uuid)


def _run(project: ProjectName, pipeline: str) -> None:
    started = dialogs.run_pipeline(project, pipeline)
    if started is not None:
        boundary.notify(f"Run {started.id} of {pipeline} is queued.", icon=":material/schedule:")


def _first_run(project: ProjectName) -> None:
    """Draw what a project without pipelines shows: examples that run with one click, and the way to a blank one."""
    st.space("small")
    st.markdown("### Start with an example, or from nothing", anchors=False)
    st.caption("An example is copied into your project as ordinary files. Change whatever you like.")
    for cell, item in zip(st.columns(3), pipelines.pipeline_templates()[:3], strict=False):
        with cell, st.container(border=True, key=f"example_{item.id}", height="stretch"):
            icon = "note_add" if item.id == dialogs.BLANK else "auto_stories"
            st.markdown(f"##### :violet[:material/{icon}:] {text.escape(item.title)}", anchors=False)
            st.markdown(text.escape(item.description))
            st.space("stretch")
            with st.container(horizontal=True):
                _example_acts(project, item)


def _example_acts(project: ProjectName, item: pipelines.PipelineTemplate) -> None:
    if item.id == dialogs.BLANK:
        ask = partial(open_dialog.ask, dialogs.new_pipeline(project))
        st.button("Create", key="example_create_blank", icon=":material/add:", on_click=ask)
        return
    st.button(
        "Create and run",
        key=f"example_run_{item.id}",
        type="primary",
        icon=":material/play_arrow:",
        on_click=_create_and_run,
        args=(project, item),
    )
    st.button(
        "Open",
        key=f"example_open_{item.id}",
        help="Create it and open it in the editor",
        on_click=_create_and_open,
        args=(project, item),
    )


def _create_and_open(project: ProjectName, item) -> None:
    created = boundary.attempt(dialogs.create_example, project, item)
    if created is not None:
        state.leave("editor", pipeline=created)


def _create_and_run(project: ProjectName, item) -> None:
    created = boundary.attempt(dialogs.create_example, project, item)
    if created is not None:
        started = dialogs.run_pipeline(project, created)
        if started is not None:
            state.leave("run", id=started.id)
