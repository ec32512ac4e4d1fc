"""Which lines of a failure a person can change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spellbook_core.model.outcome import Frame


def own(found: Sequence[Frame], project: Path) -> list[Frame]:
    """Return the frames in the project's files, not those of libraries under them; all of them when none is inside."""
    mine = [frame for frame in found if Path(frame.file).is_relative_to(project) and not _is_installed(frame.file)]
    return mine or list(found)


def place(frame: Frame, project: Path) -> str:
    """Return the frame's file, from the project's folder when it is inside."""
    path = Path(frame.file)
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else frame.file


def _is_installed(file: str) -> bool:
    """Return whether a file came with a package, as in a virtual environment that lies in the project."""
    return not {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts)
