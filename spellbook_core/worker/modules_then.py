"""Imports of a block that runs as it was: the project's modules come from the texts that its run kept."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from spellbook_core.model.task import BlockTask
from spellbook_core.project import kept_modules
from spellbook_core.project.layout import TYPE_FOLDERS, Workspace


def install(task: BlockTask) -> None:
    """Have the block import the project's modules as they were, where its run kept them; else today's."""
    workspace = Workspace.open(Path(task.workspace))
    texts = kept_modules.read(workspace.modules_file(task.run_id)).texts(workspace, task.block)
    if texts:
        sys.meta_path.insert(0, ThenFinder(Path(task.project_root), texts))


class ThenFinder(importlib.abc.MetaPathFinder):
    """Finds modules among kept texts; what is not among them is left to Python, which looks at today's files."""

    def __init__(self, project_root: Path, texts: Mapping[str, bytes]) -> None:
        """Remember the texts, by path relative to the project."""
        self._root = str(project_root)
        self._texts = texts

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module whose text was kept; the names are looked for as `ProjectFinder` has them."""
        if path is None and (fullname in sys.stdlib_module_names or fullname in TYPE_FOLDERS.values()):
            return None
        if path is None and fullname in {"default_repo", os.path.basename(self._root)}:
            return self._spec(fullname, "__init__.py", is_package=True)
        name = fullname.rpartition(".")[2]
        for place in (self._root, os.path.dirname(self._root)) if path is None else path:
            inside = os.path.normpath(os.path.relpath(place, self._root))
            for ending, is_package in ((f"{name}/__init__.py", True), (f"{name}.py", False)):
                found = self._spec(fullname, os.path.normpath(f"{inside}/{ending}"), is_package=is_package)
                if found is not None:
                    return found
        return None

    def _spec(self, fullname: str, relative: str, *, is_package: bool) -> importlib.machinery.ModuleSpec | None:
        text = self._texts.get(relative)
        if text is None:
            return None
        place = os.path.normpath(f"{self._root}/{relative}")
        return importlib.util.spec_from_file_location(
            fullname,
            place,
            loader=_TextLoader(place, text),
            submodule_search_locations=[os.path.dirname(place)] if is_package else None,
        )


class _TextLoader(importlib.abc.SourceLoader):
    """Loads one module from its text, under the path that it had; no byte code of today's file is used or written."""

    def __init__(self, path: str, text: bytes) -> None:
        self._path = path
        self._text = text

    def get_filename(self, fullname: str) -> str:
        return self._path

    def get_data(self, path: bytes | str) -> bytes:
        if str(path) != self._path:  # a file beside it, which nobody kept
            return Path(str(path)).read_bytes()
        return self._text

    def exec_module(self, module: ModuleType) -> None:
        lines = self._text.decode("utf-8", "replace").splitlines(keepends=True)
        linecache.cache[self._path] = (len(self._text), None, lines, self._path)  # for tracebacks
        super().exec_module(module)
