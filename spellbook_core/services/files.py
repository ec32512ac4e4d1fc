"""The files of a project: list, read, write, make, rename and delete, inside the project's folder only."""

from __future__ import annotations

import codecs
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from spellbook_core.atomic import ABSENT, content_hash, write_atomically
from spellbook_core.errors import AlreadyExistsError, NotFoundError, SpellbookError
from spellbook_core.project import moves
from spellbook_core.project.containment import decode, inside, read_inside
from spellbook_core.project.layout import HasWorkspace

MAX_ENTRIES = 5_000
"""Most entries that a listing shows; projects have hundreds, and a page with more is of no use."""

_NOT_LISTED = frozenset({"__pycache__", "node_modules", "site-packages"})


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file or folder of a project; `size_bytes` is 0 for folders."""

    relative_path: str
    is_folder: bool
    size_bytes: int


def tree(ctx: HasWorkspace, project: str) -> list[FileEntry]:
    """Return the project's files and folders, each folder before its content, at most `MAX_ENTRIES`.

    Hidden files (`.env`, `.git`, the state folder), caches, and links that leave the project are never listed.
    """
    layout = ctx.workspace.project(project)
    found: list[FileEntry] = []
    pending = [layout.root]
    while pending and len(found) < MAX_ENTRIES:
        path = pending.pop()
        if path != layout.root:
            state = path.stat()
            is_folder = stat.S_ISDIR(state.st_mode)
            found.append(FileEntry(layout.relative(path), is_folder, 0 if is_folder else state.st_size))
        if path.is_dir() and not path.is_symlink():
            pending.extend(reversed(_children(layout.root, path)))
    return found


def read(ctx: HasWorkspace, project: str, relative: str) -> tuple[str, str]:
    """Return a file's text and content hash.

    Raises:
        OutsideProjectError: It is hidden or outside the project. [SB-PRJ-002]
        UnreadableFileError: It is no UTF-8 text, or too large to show. [SB-PRJ-003]
        NotFoundError: There is none. [SB-SYS-002]
    """
    layout = ctx.workspace.project(project)
    path = layout.contained(relative)
    data = read_inside(layout.root, path)
    return decode(data, path), content_hash(data)


def write(ctx: HasWorkspace, project: str, relative: str, text: str, *, expected_hash: str) -> str:
    """Write a file when the disk still holds what was read, atomically, and return the new content hash.

    Raises:
        ChangedOnDiskError: Someone else wrote it since; nothing was written. [SB-SYS-004]
    """
    layout = ctx.workspace.project(project)
    place = inside(layout.root, layout.contained(relative)).resolve()
    moves.make_folder(place.parent)
    mark = codecs.BOM_UTF8 if _has_mark(place) and not text.startswith("\ufeff") else b""
    return write_atomically(place, mark + text.encode("utf-8", "replace"), expected_hash=expected_hash)


def create(ctx: HasWorkspace, project: str, relative: str, text: str = "", *, is_folder: bool = False) -> None:
    """Make a file, or a folder; those above it are made too. Raises AlreadyExistsError when something is there."""
    path = ctx.workspace.project(project).contained(relative)
    if os.path.lexists(path):
        raise AlreadyExistsError(f"There is already a '{relative}'.", hint="choose another name.")
    if is_folder:
        moves.make_folder(path)
        return
    moves.make_folder(path.parent)
    write_atomically(path, text.encode("utf-8", "replace"), expected_hash=ABSENT)


def rename(ctx: HasWorkspace, project: str, relative: str, new_relative: str) -> None:
    """Move a file or folder to another place in the project. Pipelines are not told: rename blocks as blocks."""
    layout = ctx.workspace.project(project)
    source = layout.contained(relative)
    if not os.path.lexists(source):
        raise NotFoundError(f"There is no '{relative}'.", hint="reload the page.")
    moves.move(source, layout.contained(new_relative))


def delete(ctx: HasWorkspace, project: str, relative: str) -> str:
    """Move a file or folder to the trash and return the token for `undo`."""
    layout = ctx.workspace.project(project)
    path = layout.contained(relative)
    if not os.path.lexists(path):
        raise NotFoundError(f"There is no '{relative}'.", hint="reload the page.")
    return moves.put_in_trash(layout, [path], {"kind": "file"})


def undo(ctx: HasWorkspace, token: str) -> None:
    """Bring a deleted file or folder back. Raises AlreadyExistsError when something else is there now."""
    moves.take_from_trash(ctx.workspace, token)


def _has_mark(path: Path) -> bool:
    """Return whether a file begins with a byte order mark, which `read` leaves out of its text."""
    try:
        with path.open("rb") as file:
            return file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
    except OSError:
        return False


def _children(root: Path, folder: Path) -> list[Path]:
    found = []
    for entry in sorted(os.scandir(folder), key=lambda entry: (not entry.is_dir(), entry.name.casefold())):
        if entry.name.startswith(".") or entry.name in _NOT_LISTED:
            continue
        path = Path(entry.path)
        try:
            inside(root, path)
        except SpellbookError:
            continue
        if path.exists():
            found.append(path)
    return found
