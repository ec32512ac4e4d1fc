"""Where a project's blocks come from: which Python, and which packages its warm process imports before it forks."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from spellbook_core.model.task import Environment
from spellbook_core.project.blockfile import static_imports
from spellbook_core.project.environment import Interpreter, interpreter_of
from spellbook_core.project.layout import ProjectLayout

ALWAYS_PRELOADED = frozenset({"pandas", "pyarrow", "duckdb"})
PRELOADED_WHEN_USED = frozenset({"torch", "sklearn"})
"""Costly packages that are safe to import before a fork; a project that uses none of them must not pay for them."""

_Stamp = tuple[int, int]


class Environments:
    """The environment of each project, worked out again when one of its Python files changed."""

    def __init__(self) -> None:
        """Know no project yet."""
        self._known: dict[Path, tuple[_Stamp, Environment]] = {}

    def of(self, project: ProjectLayout, interpreter: Interpreter | None) -> Environment:
        """Return the environment of blocks that run in a Python; costs one stat per Python file when nothing changed.

        Args:
            project: Of the blocks.
            interpreter: Of `interpreter_of`.
        """
        base = self._base(project)
        if interpreter is None:
            return base
        return replace(base, python=interpreter.path, recipe=interpreter.recipe)

    def to_warm(self, project: ProjectLayout) -> Environment | None:
        """Return what may be warmed before anybody runs anything: never a Python that the project brings along.

        Raises:
            SpellbookError: The Python that the project names cannot be used; see `interpreter_of`.
        """
        return self.of(project, None) if interpreter_of(project) is None else None

    def _base(self, project: ProjectLayout) -> Environment:
        stamp = _stamp(project.root)
        known = self._known.get(project.root)
        if known is not None and known[0] == stamp:
            return known[1]
        used = static_imports(project) & PRELOADED_WHEN_USED
        environment = Environment(preload=tuple(sorted(ALWAYS_PRELOADED | used)))
        self._known[project.root] = (stamp, environment)
        return environment


def _stamp(root: Path) -> _Stamp:
    """Return a number that changes with the set of Python files below `root` and with each of them."""
    newest, mixed = 0, 0
    folders = [str(root)]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith((".", "__pycache__")) or entry.is_symlink():
                continue
            if entry.is_dir():
                folders.append(entry.path)
            elif entry.name.endswith(".py"):
                changed = entry.stat().st_mtime_ns
                newest = max(newest, changed)
                mixed ^= hash((entry.path, changed))
    return newest, mixed
