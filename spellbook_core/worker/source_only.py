"""Imports of the project's own modules: from their source each time, with no bytecode read or written.

Python takes a module's bytecode for current when the source's size and the whole second of its change agree with what
the bytecode notes (PEP 552, timestamp-based): an edit of equal size within a second of a run would run as it was, and
be stored as the result of the new text. And Python 3.11 takes a short write of bytecode, as a full disk gives, for a
whole one, and cannot import the module until somebody removes it. Compiling costs about 1 ms for 130 lines (measured
with the standard library's modules). Installed packages keep their bytecode.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
from collections.abc import Callable, Iterator
from importlib.abc import PathEntryFinder
from pathlib import Path
from types import CodeType

_FOLDERS_OF_PACKAGES = frozenset({"site-packages", "dist-packages"})


class SourceLoader(importlib.machinery.SourceFileLoader):
    """Python's loader of source files, without its use of bytecode."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the module's code, compiled from what its file says now.

        Raises:
            ImportError: The file is not this module's.
            OSError: It cannot be read.
            SyntaxError: It is no Python.
        """
        path = self.get_filename(fullname)
        try:
            code: CodeType = self.source_to_code(self.get_data(path), path)
        except SyntaxError as error:
            error.filename = error.filename or path  # Python names none for a file with null bytes
            raise
        return code


def read_from_source(project_root: Path) -> None:
    """Have the project's modules, and those of the projects beside it, imported with `SourceLoader`.

    Not what is installed there: packages in an environment below the folder of the projects.
    """
    top = str(project_root.parent)
    sys.path_hooks.insert(0, _hook(top))
    for entry in [entry for entry in _folders_looked_at() if _is_ours(entry, top)]:
        del sys.path_importer_cache[entry]


def forget_folders() -> None:
    """Forget, before a fork, what is known of folders that may be a project's; those that are left never are.

    A forked child then looks at those alone that it came by itself: to look at each one of some ninety copies as many
    pages of memory.
    """
    global _last_installed
    for entry in [entry for entry in sys.path_importer_cache if not _is_installed(os.path.abspath(entry))]:
        del sys.path_importer_cache[entry]
    _last_installed = next(reversed(sys.path_importer_cache), None)


_last_installed: str | None = None


def _folders_looked_at() -> Iterator[str]:
    for entry in reversed(sys.path_importer_cache):
        if entry == _last_installed:
            return
        yield entry


def _hook(top: str) -> Callable[[str], PathEntryFinder]:
    finder = importlib.machinery.FileFinder.path_hook(
        (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
        (SourceLoader, importlib.machinery.SOURCE_SUFFIXES),
        (importlib.machinery.SourcelessFileLoader, importlib.machinery.BYTECODE_SUFFIXES),
    )

    def find(entry: str) -> PathEntryFinder:
        if not _is_ours(entry, top):
            raise ImportError(f"{entry!r} is no folder of a project")  # Python asks the next hook
        return finder(entry)

    return find


def _is_ours(entry: str, top: str) -> bool:
    place = os.path.abspath(entry or os.curdir)
    return f"{place}/".startswith(f"{top.rstrip('/')}/") and not _is_installed(place)


def _is_installed(place: str) -> bool:
    """Return whether a folder belongs to an environment, to Python itself, or to packages."""
    if any(f"{place}/".startswith(f"{prefix}/") for prefix in (sys.prefix, sys.base_prefix)):
        return True
    return not _FOLDERS_OF_PACKAGES.isdisjoint(place.split("/"))
