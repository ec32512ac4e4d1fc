"""Files: the project's folder as a tree, and an editor that never overwrites what changed on disk unseen."""

from __future__ import annotations

import difflib
from functools import partial

import streamlit as st

from spellbook_core.errors import ChangedOnDiskError, NotFoundError
from spellbook_core.model.naming import ProjectName
from spellbook_core.services import files
from spellbook_core.ui import boundary, open_dialog, parts, state, text
from spellbook_core.ui.components.editor import code_editor
from spellbook_core.ui.components.live import live
from spellbook_core.ui.files.buffer import Buffer
from spellbook_core.ui.files.tree import Row, language_of, visible_rows
from spellbook_core.ui.open_dialog import Dialog, ask

_OPENED = "_files_opened"
_BUFFERS = "_files_buffers"
_SHOWN = "_files_shown"
_PANE_PX = 640
_INDENT = "\u2003"
MAX_ROWS = 400
"""Most rows drawn at once; the search finds the others."""


def render() -> None:
    """Draw the screen."""
    project = state.current_project()
    with parts.page_title("Files", project):
        new = Dialog("New file", partial(_new, project), ":material/note_add:", fields=("new_file_path",))
        st.button("New file", key="new_file", icon=":material/note_add:", on_click=ask, args=(new,))
    left, right = st.columns([1, 3], gap="medium")
    path = st.query_params.get("path")
    if path and st.session_state.get(_SHOWN) != path:
        st.session_state[_SHOWN] = path
        _open_parents(path)
    with left:
        _tree(project)
    with right:
        if path:
            _editor(project, path)
        else:
            parts.empty("description", "No file is open", "Choose one at the left. Blocks are files too.")


@st.fragment(key="file_tree")
def _tree(project: ProjectName) -> None:
    with boundary.guarded():
        search = st.text_input(
            "Find a file",
            key="find_file",
            placeholder="Find a file",
            icon=":material/search:",
            label_visibility="collapsed",
            live=True,
        )
        opened = st.session_state.setdefault(_OPENED, set())
        rows = visible_rows(files.tree(state.context(), project), opened, search or "")
        with st.container(height=_PANE_PX, border=True, gap=None, key="file_tree"):
            if not rows:
                parts.empty("search_off", "No file matches", "Change the search.")
            for row in rows[:MAX_ROWS]:
                _tree_row(row, is_open=row.path in opened)
            if len(rows) > MAX_ROWS:
                st.caption(f"{len(rows) - MAX_ROWS:,} more: search for them.")


def _tree_row(row: Row, *, is_open: bool) -> None:
    chosen = st.query_params.get("path") == row.path
    if row.is_folder:
        icon = ":material/folder_open:" if is_open else ":material/folder:"
    else:
        icon = ":material/code:" if row.path.endswith(".py") else ":material/description:"
    name = text.escape(row.name, max_chars=70)
    st.button(
        _INDENT * row.depth + (f"**{name}**" if chosen else name),  # a blank behind ** would not be bold
        key=f"file_{row.path}",
        icon=icon,
        type="tertiary",
        on_click=_toggle if row.is_folder else partial(state.leave, "files", path=row.path),
        args=(row.path,) if row.is_folder else None,
    )


def _toggle(folder: str) -> None:
    st.session_state[_OPENED] = st.session_state.get(_OPENED, set()) ^ {folder}


@st.fragment(key="file_editor")
def _editor(project: ProjectName, path: str) -> None:
    with boundary.guarded():
        live(key="live_files", query={"project": project})
        buffers: dict[tuple[str, str], Buffer] = st.session_state.setdefault(_BUFFERS, {})
        try:
            now_text, now_hash = files.read(state.context(), project, path)
        except NotFoundError as error:
            buffers.pop((project, path), None)
            boundary.show_error(error.to_dict())
            return
        buffer = buffers.setdefault((project, path), Buffer(now_text, now_hash, now_text))
        buffer.see_disk(now_text, now_hash)
        _bar(project, path, buffer)
        if buffer.theirs is not None:
            _conflict(buffer, path)
        code_editor(
            buffer.text,
            key=f"file_editor_{project}_{path}",
            rev=buffer.rev,
            language=language_of(path),
            height_px=_PANE_PX - 60,
            min_height_px=320,
            label=f"Text of {path}",
            on_draft=lambda event: _typed(buffer, event.text),
            on_save=lambda event: _save(project, path, buffer, event.text),
        )
    boundary.notices()


def _bar(project: ProjectName, path: str, buffer: Buffer) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="file_bar"):
        st.markdown(f"**{text.escape(path, max_chars=100)}**", width="content")
        if buffer.is_dirty:
            st.badge("unsaved", icon=":material/edit:", color="orange")
        else:
            st.badge("saved", icon=":material/check:", color="green")
        st.space("stretch")
        st.button(
            "Save",
            key="file_save",
            icon=":material/save:",
            type="primary",
            shortcut="Mod+S",
            disabled=not buffer.is_dirty or buffer.theirs is not None,
            on_click=lambda: _save(project, path, buffer, buffer.text),
        )
        st.menu_button(
            "",
            ["Rename", "Delete"],
            key="file_menu",
            icon=":material/more_horiz:",
            type="tertiary",
            on_click=_on_menu,
            args=(project, path),
        )


def _on_menu(project: ProjectName, path: str) -> None:
    choice = st.session_state.get("file_menu")
    if choice == "Rename":
        body = partial(_rename, project, path)
        ask(Dialog("Rename file", body, ":material/edit:", fields=("rename_file_path",)))
    elif choice == "Delete":
        _delete(project, path)


def _typed(buffer: Buffer, typed: str) -> None:
    buffer.text = typed


def _save(project: ProjectName, path: str, buffer: Buffer, typed: str) -> None:
    buffer.text = typed
    ctx = state.context()

    def write() -> None:
        try:
            files.write(ctx, project, path, typed, expected_hash=buffer.saved_hash)
        except ChangedOnDiskError:
            buffer.see_disk(*files.read(ctx, project, path))
            return
        buffer.was_saved(*files.read(ctx, project, path))

    boundary.attempt(write)


def _conflict(buffer: Buffer, path: str) -> None:
    theirs = buffer.theirs[0] if buffer.theirs else ""
    with st.container(border=True, key="file_conflict"):
        st.markdown(":orange[:material/warning:] **This file was changed on disk while you typed.** Nothing was lost.")
        with st.container(horizontal=True):
            st.button("Take the file's text", key="file_take_theirs", on_click=buffer.take_theirs)
            st.button("Keep mine", key="file_keep_mine", type="primary", on_click=buffer.keep_mine)
            shown = st.toggle("Show the difference", key="file_diff")
        if shown:
            pieces = difflib.unified_diff(
                theirs.splitlines(), buffer.text.splitlines(), f"{path} on disk", "yours", lineterm=""
            )
            st.code("\n".join(pieces), language="diff", height=260)


def _new(project: ProjectName) -> None:
    path = st.text_input("Path inside the project", key="new_file_path", placeholder="utils/helpers.py", max_chars=400)
    st.caption("Folders in the path are created.")

    def create() -> None:
        files.create(state.context(), project, path.strip())
        _open_parents(path.strip())
        open_dialog.close()
        state.go("files", path=path.strip())

    open_dialog.buttons("Create file", key="new_file_create", icon=":material/note_add:", act=create)


def _open_parents(path: str) -> None:
    opened = st.session_state.setdefault(_OPENED, set())
    parts_of_path = path.split("/")
    opened.update("/".join(parts_of_path[:end]) for end in range(1, len(parts_of_path)))


def _rename(project: ProjectName, path: str) -> None:
    new = st.text_input("New path", value=path, key="rename_file_path", max_chars=400)
    st.caption("A block file that is renamed here is no longer found by its pipelines: rename blocks in the editor.")

    def rename() -> None:
        if new.strip() != path:
            files.rename(state.context(), project, path, new.strip())
        _open_parents(new.strip())
        open_dialog.close()
        state.go("files", path=new.strip())

    open_dialog.buttons("Rename", key="rename_file_apply", icon=":material/edit:", act=rename)


def _delete(project: ProjectName, path: str) -> None:
    ctx = state.context()
    token = boundary.attempt(files.delete, ctx, project, path)
    if token is not None:
        boundary.offer_undo(f"Deleted {path}.", lambda: files.undo(ctx, token))
    state.leave("files")
