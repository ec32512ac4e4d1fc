"""The tree of a project's files: which rows are shown when some folders are open."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol


class Entry(Protocol):
    """What a row is made of, as `services.files.FileEntry`."""

    relative_path: str
    is_folder: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A shown file or folder, indented by `depth`."""

    path: str
    name: str
    is_folder: bool
    depth: int


def visible_rows(entries: Iterable[Entry], opened: Collection[str], search: str = "") -> list[Row]:
    """Return the rows to draw, folders before files, each below its folder.

    Args:
        entries: The whole tree in any order.
        opened: Folders that are open; those at the top are listed whatever is open.
        search: When given, every file whose path holds it is shown, flat, with its whole path.
    """
    found = list(entries)
    if search.strip():
        needle = search.strip().casefold()
        hits = sorted(entry.relative_path for entry in found if not entry.is_folder)
        return [Row(path, path, False, 0) for path in hits if needle in path.casefold()]
    rows = []
    for entry in found:
        path = PurePosixPath(entry.relative_path)
        folders = [str(parent) for parent in path.parents if str(parent) != "."]
        if all(folder in opened for folder in folders):
            rows.append(Row(str(path), path.name, entry.is_folder, len(folders)))
    return sorted(rows, key=_order(found))


def _order(entries: Iterable[Entry]):
    folders = {entry.relative_path for entry in entries if entry.is_folder}

    def key(row: Row) -> list[tuple[bool, str]]:
        parts = PurePosixPath(row.path).parts
        paths = ["/".join(parts[: end + 1]) for end in range(len(parts))]
        return [(path not in folders, part.casefold()) for path, part in zip(paths, parts, strict=True)]

    return key


def language_of(path: str) -> str:
    """Return the editor's language for a file name."""
    suffix = PurePosixPath(path).suffix.lower()
    return {
        ".py": "python",
        ".sql": "sql",
        ".yaml": "yaml",
        ".yml": "yaml",
        ".md": "markdown",
        ".json": "json",
    }.get(suffix, "text")
