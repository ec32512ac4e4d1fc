"""Library: ready-made blocks, templates and the project's own block files, ready to be added to a pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import streamlit as st

from spellbook_core.model.naming import ProjectName
from spellbook_core.services import blocks, library, pipelines
from spellbook_core.services.wiring import Context
from spellbook_core.ui import boundary, open_dialog, parts, state, text
from spellbook_core.ui.open_dialog import Dialog, ask
from spellbook_core.ui.status import coloured_as, language_word, type_look

CARDS_PER_PAGE = 12
SOURCES = ("All", "Shared library", "Templates", "This project")
_FIELDS = ("add_target", "add_parents", "add_name")


@dataclass(frozen=True, slots=True)
class Item:
    """A card: a shared block, a template, or a block file of the project.

    Attributes:
        ident: The library's or template's id; for a project's block its uuid.
        code: The file's text; None when it is read only when shown.
        used_by: Pipelines of this project that use it; empty for shared blocks and templates.
    """

    source: str
    ident: str
    block_type: str
    title: str
    description: str
    code: str | None
    relative_path: str = ""
    used_by: tuple[str, ...] = ()
    language: str = "python"


def items(ctx: Context, project: ProjectName) -> list[Item]:
    """Return every card: shared blocks first, then templates, then the project's own files."""
    found = [
        Item(SOURCES[1], block.id, block.block_type, block.title, block.description, block.source)
        for block in library.library_blocks()
    ]
    found += [
        Item(SOURCES[2], item.id, item.block_type, item.title, item.description, item.source, language=item.language)
        for item in library.templates()
    ]
    found += [
        Item(
            SOURCES[3],
            block.uuid,
            block.block_type,
            block.uuid,
            block.description,
            None,
            block.relative_path,
            tuple(block.used_by),
            coloured_as(block.relative_path),
        )
        for block in library.project_blocks(ctx, project)
    ]
    return found


def matching(found: Iterable[Item], search: str, source: str, types: Iterable[str]) -> list[Item]:
    """Return the cards of this source and these types whose title, description or type hold every word."""
    words = search.casefold().split()
    wanted = set(types)
    return [
        item
        for item in found
        if (source == SOURCES[0] or item.source == source)
        and (not wanted or item.block_type in wanted)
        and all(word in f"{item.title} {item.description} {item.block_type}".casefold() for word in words)
    ]


def users(used_by: tuple[str, ...]) -> str:
    """Return markdown of the first two pipelines and how many more there are."""
    named = text.escape(", ".join(used_by[:2]), max_chars=60)
    return named if len(used_by) <= 2 else f"{named} and {len(used_by) - 2} more"


def render() -> None:
    """Draw the screen."""
    project = state.current_project()
    parts.page_title("Library", "ready-made blocks, templates and your own")
    _cards(project)


@st.fragment(key="library")
def _cards(project: ProjectName) -> None:
    with boundary.guarded():
        found = items(state.context(), project)
        with st.container(horizontal=True, vertical_alignment="center", key="library_filter"):
            search = st.text_input(
                "Search blocks",
                key="q",
                bind="query-params",
                placeholder="Search by name or what it does",
                label_visibility="collapsed",
                icon=":material/search:",
                live=True,
                width=320,
            )
            source = st.segmented_control(
                "Source",
                SOURCES,
                default=SOURCES[0],
                required=True,
                key="source",
                bind="query-params",
                label_visibility="collapsed",
            )
            # No format_func on bound widgets: the address would hold the formatted text.
            kinds = {type_look(item.block_type).word: item.block_type for item in found}
            words = st.pills(
                "Type",
                list(kinds),
                selection_mode="multi",
                key="type",
                bind="query-params",
                label_visibility="collapsed",
            )
        kept = matching(found, search or "", source, [kinds[word] for word in words])
        st.caption(text.count(len(kept), "block"))
        if not kept:
            if source == SOURCES[-1] and not search and not words:
                parts.empty(
                    "widgets", "This project has no block yet", "Blocks that you add to its pipelines are listed here."
                )
            else:
                parts.empty("search_off", "No block matches", "Change the search or the filters.")
            return
        grid = st.grid(3, min_column_width=270)
        offset = parts.page_offset(len(kept), CARDS_PER_PAGE)
        for number, item in enumerate(kept[offset : offset + CARDS_PER_PAGE]):
            with grid.cell():
                _card(project, item, number)
    boundary.notices()


def _card(project: ProjectName, item: Item, number: int) -> None:
    with st.container(border=True, height="stretch", key=f"libcard_{number}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            parts.type_badge(item.block_type)
            if language_word(item):
                st.badge(language_word(item), color="gray")
            st.caption(item.source, width="content")
        st.markdown(f"**{text.escape(item.title, max_chars=80)}**")
        first = next((line for line in item.description.splitlines() if line.strip()), "No description yet.")
        with st.container(key=f"libtext_{number}"):
            st.caption(text.prose(first, max_chars=150))
        if item.used_by:
            st.caption(f":material/link: used by {users(item.used_by)}")
        elif item.source == SOURCES[3]:
            st.caption(":material/link_off: not used by any pipeline")
        st.space("stretch")
        with st.container(horizontal=True):
            preview = Dialog("Block", partial(_preview, project, item), ":material/code:", "large")
            st.button("Code", key=f"preview_{number}", icon=":material/code:", on_click=ask, args=(preview,))
            add = Dialog("Add to pipeline", partial(_add, project, item), ":material/add:", fields=_FIELDS)
            st.button("Add to pipeline", key=f"add_{number}", icon=":material/add:", on_click=ask, args=(add,))


def _preview(project: ProjectName, item: Item) -> None:
    from spellbook_core.services import files

    with st.container(horizontal=True, vertical_alignment="center"):
        parts.type_badge(item.block_type)
        st.markdown(f"**{text.escape(item.title)}**", width="content")
    if item.description:
        st.markdown("\n\n".join(text.prose(line) for line in item.description.splitlines() if line.strip()))
    code = item.code
    if code is None:
        code = files.read(state.context(), project, item.relative_path)[0]
    st.code(code, language="bash" if item.language == "shell" else item.language, height=460)


def _add(project: ProjectName, item: Item) -> None:
    ctx = state.context()
    st.markdown(f"Add **{text.escape(item.title)}** to")
    readable = [summary for summary in pipelines.list_pipelines(ctx, project) if summary.problem is None]
    if not readable:
        st.caption("This project has no pipeline yet. Create one first, on the Pipelines page.")
        return
    names = {summary.uuid: summary.name for summary in readable}
    target = st.selectbox("Pipeline", list(names), key="add_target", format_func=names.__getitem__)
    known = [block.uuid for block in pipelines.load(ctx, project, target).pipeline.blocks]
    parents = st.multiselect("Parents", known, key="add_parents", placeholder="None yet")
    name = item.title
    if item.source != SOURCES[3]:
        name = st.text_input("Name of the new block", value=item.title, key="add_name", max_chars=200)

    def add() -> None:
        added = _add_to(ctx, project, target, item, name, tuple(parents))
        open_dialog.close()
        state.go("editor", pipeline=target, block=added)

    open_dialog.buttons("Add block", key="add_apply", icon=":material/add:", act=add)


def _add_to(ctx: Context, project: ProjectName, target, item: Item, name: str, parents: tuple[str, ...]) -> str:
    if item.source == SOURCES[3]:
        return blocks.add_existing(
            ctx, project, target, block_type=item.block_type, uuid=item.ident, parents=parents
        ).uuid
    if item.source == SOURCES[1]:
        return blocks.add_from_library(ctx, project, target, item.ident, name=name, parents=parents).uuid
    return blocks.add_block(
        ctx, project, target, block_type=item.block_type, name=name, template=item.ident, parents=parents
    ).uuid
