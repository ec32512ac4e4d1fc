"""Which files the statements of a SQL block reach: those of its project, but for the workspace's own state."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_TEXT = re.compile(r"'((?:[^'/\\\\]|'')+)'")


@dataclass(frozen=True, slots=True)
class Reach:
    """Folders that are reached with all below them, and single files, which need not be there yet."""

    folders: list[str]
    files: list[str]


def holds_state(root: Path, state: Path) -> bool:
    """Return whether the state of the workspace lies in the project's folder: the workspace is this one project."""
    return state.is_relative_to(root)


def reach_of(root: Path, state: Path, texts: str, database: Path | None) -> Reach:
    """Return what a script may reach.

    That is the whole project, unless the state of the workspace lies in it (tokens, runs, stored outputs): then its
    folders whose names do not begin with a dot, the files beside them, and those that the script names to be written
    there.

    Args:
        root: The project's folder.
        state: The folder with the state of the workspace.
        texts: The statements.
        database: The DuckDB file that is open already.
    """
    if not holds_state(root, state):
        return Reach([str(root)], [])
    hidden = os.path.realpath(state)
    folders, files = [], {match.replace("''", "'") for match in _TEXT.findall(texts)}
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name.startswith(".") or _is_below(os.path.realpath(entry.path), hidden):
                continue
            if entry.is_dir():
                folders.append(entry.path)
            else:
                files.add(entry.name)
    own = [str(database), f"{database}.wal"] if database is not None else []
    named = [str(root / name) for name in sorted(files) if _is_plain(root / name, name)]
    return Reach(sorted(folders), [*own, *named])


def _is_plain(path: Path, name: str) -> bool:
    """Whether it is, or can become, a file of the project that is not hidden."""
    is_literal = not name.startswith(".") and not set(name) & set("*?[\0")
    return is_literal and len(name) < 200 and not path.is_symlink()


def _is_below(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder) or Path(folder).is_relative_to(path)
