"""The dialog that adds a block: a new one from a template, one from the library, or a file the project has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st

from spellbook_core.model.naming import BlockUuid
from spellbook_core.services import blocks as block_service
from spellbook_core.services import library
from spellbook_core.ui import text
from spellbook_core.ui.editor import confirm, scope
from spellbook_core.ui.editor.session import DialogRequest
from spellbook_core.ui.editor.view import Editor
from spellbook_core.ui.status import language_word, type_look

NEW_TYPES = ("data_loader", "transformer", "custom", "data_exporter", "sensor", "scratchpad", "markdown")
_ROOTS = frozenset({"data_loader", "scratchpad", "markdown"})
"""Types that usually have no parents, so none is suggested."""

_BY_ENDING = {"sql": "sql", "sh": "shell", "md": "markdown", "yaml": "yaml", "r": "r"}

_COLOURED = {"shell": "bash"}
"""Languages that Streamlit's code view calls otherwise."""

_SOURCES = ("Template", "Library", "Existing file")
_SOURCE_ICONS = {
    "Template": ":material/note_add:",
    "Library": ":material/local_library:",
    "Existing file": ":material/file_open:",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """Something a block can be made from: what the list shows, and the code of the preview."""

    ident: str
    block_type: str
    title: str
    description: str
    source: str
    language: str = "python"


def matching(offers: Sequence[Offer], search: str) -> list[Offer]:
    """Return the offers whose title or description has every word of `search`, titles first; order kept otherwise."""
    words = search.casefold().split()
    in_title = [offer for offer in offers if all(word in offer.title.casefold() for word in words)]
    in_text = [
        offer
        for offer in offers
        if offer not in in_title and all(word in f"{offer.title} {offer.description}".casefold() for word in words)
    ]
    return in_title + in_text


def draw(editor: Editor, request: DialogRequest) -> None:
    """Draw the dialog's content."""
    source = st.segmented_control(
        "From",
        _SOURCES,
        key="add_source",
        default="Template",
        required=True,
        label_visibility="collapsed",
        format_func=lambda name: f"{_SOURCE_ICONS[name]} {name}",
    )
    if request.block_type in NEW_TYPES and "add_type" not in st.session_state:
        st.session_state["add_type"] = request.block_type
    kinds = [*NEW_TYPES] if source == "Template" else [None, *NEW_TYPES]
    if st.session_state.get("add_type", kinds[0]) not in kinds:
        del st.session_state["add_type"]
    kind = st.pills(
        "Type",
        kinds,
        key="add_type",
        default=kinds[0],
        required=True,
        label_visibility="collapsed",
        format_func=lambda name: "All types" if name is None else f"{type_look(name).icon} {type_look(name).word}",
    )
    offers = _offers(editor, source or "Template", kind)
    left, right = st.columns([5, 6], gap="medium")
    with left:
        offer = _choose(offers, source or "Template")
        if offer is None:
            return
        _name_and_parents(editor, offer, is_fixed_name=source == "Existing file")
    with right:
        if offer.description:
            st.caption(text.escape(offer.description, max_chars=400))
        st.code(offer.source or "# empty", language=_COLOURED.get(offer.language, offer.language), height=400)
    act = partial(_on_add, editor, source or "Template", offer)
    confirm.buttons(editor, "Add block", key="add_confirm", icon=":material/add:", act=act)


def _offers(editor: Editor, source: str, kind: str | None) -> list[Offer]:
    if source == "Template":
        return [
            Offer(item.id, item.block_type, item.title, item.description, item.source, item.language)
            for item in library.templates(kind)
        ]
    if source == "Library":
        found = [
            Offer(item.id, item.block_type, item.title, item.description, item.source)
            for item in library.library_blocks()
        ]
    else:
        found = _existing(editor)
    return [offer for offer in found if kind is None or offer.block_type == kind]


def _existing(editor: Editor) -> list[Offer]:
    from spellbook_core.services import files

    offers = []
    for item in library.project_blocks(editor.ctx, editor.project):
        if editor.pipeline.has(item.uuid):
            continue
        used = f"Used by {', '.join(item.used_by)}." if item.used_by else "Used by no pipeline yet."
        source = files.read(editor.ctx, editor.project, item.relative_path)[0]
        description = f"{item.description} {used}".strip()
        language = _BY_ENDING.get(item.relative_path.rpartition(".")[2], "python")
        offers.append(Offer(item.uuid, item.block_type, item.uuid, description, source, language))
    return offers


def _choose(offers: Sequence[Offer], source: str) -> Offer | None:
    if not offers:
        st.info("There is nothing of this type here yet." if source != "Template" else "There is no template.")
        return None
    search = st.text_input("Search", key="add_search", placeholder="Search", icon=":material/search:")
    found = matching(offers, search or "")
    if not found:
        st.caption("Nothing matches.")
        return None
    idents = [offer.ident for offer in found]
    if st.session_state.get("add_offer") not in idents:
        st.session_state["add_offer"] = idents[0]
    titles = {offer.ident: offer.title for offer in found}
    words = {offer.ident: language_word(offer) for offer in found}
    with st.container(height=190 if len(found) > 5 else "content", border=len(found) > 5):
        chosen = st.radio(
            source,
            idents,
            key="add_offer",
            label_visibility="collapsed",
            format_func=lambda ident: text.escape(titles[ident], max_chars=60) + _marked(words[ident]),
        )
    return next(offer for offer in found if offer.ident == chosen)


def _marked(word: str) -> str:
    return f" :gray-badge[{text.escape(word)}]" if word else ""


def _name_and_parents(editor: Editor, offer: Offer, *, is_fixed_name: bool) -> None:
    if not is_fixed_name:
        st.text_input("Name", key="add_name", placeholder=suggested_name(editor, offer), max_chars=200)
    names = [block.uuid for block in editor.pipeline.blocks]
    if names:
        selected = editor.session.selected
        block = editor.block(selected) if selected in names else None
        preset = [selected] if block is not None and block.is_runnable and offer.block_type not in _ROOTS else []
        st.multiselect(
            "Parents",
            names,
            default=preset,
            key=_parents_key(offer),
            format_func=lambda name: text.one_line(name, max_chars=40),
        )


def _parents_key(offer: Offer) -> str:
    return f"add_parents_{'none' if offer.block_type in _ROOTS else 'preset'}"


def suggested_name(editor: Editor, offer: Offer) -> str:
    """Return a name that is free in the pipeline: the type's, with a number when it is taken."""
    base = {"data_loader": "load_data", "transformer": "transform", "custom": "model", "data_exporter": "export"}
    base |= {"markdown": "notes"}
    stem = base.get(offer.block_type, offer.block_type)
    taken = {block.uuid for block in editor.pipeline.blocks}
    return stem if stem not in taken else next(f"{stem}_{n}" for n in range(2, 1000) if f"{stem}_{n}" not in taken)


def _on_add(editor: Editor, source: str, offer: Offer) -> None:
    added: list[str] = []

    def act() -> None:
        added.append(_add(editor, source, offer))

    if scope.guarded_by(editor, "dialog", act):
        _show_added(editor, added[0])


def _add(editor: Editor, source: str, offer: Offer) -> str:
    name = (st.session_state.get("add_name") or "").strip() or suggested_name(editor, offer)
    key = _parents_key(offer)
    parents = tuple(BlockUuid(parent) for parent in st.session_state.get(key) or ())
    place: Callable[..., object]
    if source == "Template":
        place = partial(block_service.add_block, block_type=offer.block_type, name=name, template=offer.ident)
        block = place(editor.ctx, editor.project, editor.uuid, parents=parents)
    elif source == "Library":
        block = block_service.add_from_library(
            editor.ctx, editor.project, editor.uuid, offer.ident, name=name, parents=parents
        )
    else:
        block = block_service.add_existing(
            editor.ctx, editor.project, editor.uuid, block_type=offer.block_type, uuid=offer.ident, parents=parents
        )
    return str(block.uuid)


def _show_added(editor: Editor, uuid: str) -> None:
    session = editor.session
    session.opened[uuid] = True
    session.selected = uuid
    session.scroll_to, session.focus = uuid, True
    session.moves += 1
    for key in ("add_name", "add_search", "add_type", "add_offer"):
        st.session_state.pop(key, None)
    st.query_params["block"] = uuid
    confirm.finish(editor)
