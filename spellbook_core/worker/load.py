"""Load a block's source as a module of its own, with the import path that mage's projects expect."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from spellbook_core.artifacts.formats.pickles import forget_by_value, keep_by_value
from spellbook_core.decorators import ALL_DECORATORS, Collection, collecting
from spellbook_core.model.task import BlockTask
from spellbook_core.worker import mage_shim
from spellbook_core.worker.failures import BlockSyntaxError, UnreadableSourceError
from spellbook_core.worker.mage_shim.place import remember
from spellbook_core.worker.source_only import SourceLoader, read_from_source

MODULE_PREFIX = "spellbook_block_"
"""Block files are modules of this private name, so a block called `random` or `torch` shadows nothing."""

_TYPE_FOLDERS = frozenset(
    ["data_loaders", "transformers", "custom", "data_exporters", "sensors", "conditionals", "callbacks", "charts"]
)


def import_named(name: str) -> bool:
    """Import the module `name`; False when it is not installed."""
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def source_of(task: BlockTask) -> str:
    """Return the block's text: the snapshot in the task, else the file.

    Raises:
        UnreadableSourceError: The file is missing or no UTF-8. [SB-WRK-013]
    """
    if task.source is not None:
        return task.source
    try:
        return Path(task.source_path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise UnreadableSourceError(
            f"Block '{task.block}' cannot be read: {cause}.",
            hint="restore the file, or remove the block from the pipeline.",
            block=task.block,
            path=task.source_path,
        ) from cause


def extend_import_path(project_root: Path) -> None:
    """Make the project importable: its modules, itself by name and as `default_repo`, and mage's names last.

    The standard library always wins over the project; the project wins over installed packages, but for the folders
    of blocks: `import transformers` means the installed package when there is one.
    """
    root, parent = str(project_root), str(project_root.parent)
    place = next((n for n, entry in enumerate(sys.path) if entry.endswith("site-packages")), len(sys.path))
    if root not in sys.path:
        sys.path.insert(place, root)
    if parent not in sys.path:
        sys.path.append(parent)
    read_from_source(project_root)
    sys.meta_path.insert(0, ProjectFinder(project_root))
    mage_shim.install(root)


class ProjectFinder(importlib.abc.MetaPathFinder):
    """Finds the project's package by its folder's name and as `default_repo`, and guards installed packages."""

    def __init__(self, project_root: Path) -> None:
        self._root = project_root
        self._names = {n for n in ("default_repo", project_root.name) if n not in sys.stdlib_module_names}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a name that this finder decides; None leaves it to Python."""
        if path is not None:
            return None
        if fullname in self._names:
            init = self._root / "__init__.py"
            if init.is_file():
                return importlib.util.spec_from_file_location(
                    fullname,
                    init,
                    loader=SourceLoader(fullname, str(init)),
                    submodule_search_locations=[str(self._root)],
                )
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(self._root)]
            return spec
        if fullname in _TYPE_FOLDERS:
            installed = [entry for entry in sys.path if entry.endswith("site-packages")]
            return importlib.machinery.PathFinder.find_spec(fullname, installed)
        return None


def load_block(task: BlockTask, names: Mapping[str, object] | None = None) -> tuple[ModuleType, Collection]:
    """Execute the block's source in a fresh module, decorators in its globals, and return what it declared.

    Args:
        task: The attempt.
        names: Further globals that the source finds.

    Raises:
        BlockSyntaxError: The text does not compile. [SB-WRK-002]
        UnreadableSourceError: There is no text. [SB-WRK-013]
        BaseException: Whatever the block's own top-level code raises.
    """
    remember(task)
    if task.is_as_it_was:
        from spellbook_core.worker import modules_then

        modules_then.install(task)
    source = source_of(task)
    path = task.source_path
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    try:
        code = compile(source, path, "exec", dont_inherit=True)
    except (
        SyntaxError,
        ValueError,
        MemoryError,
        RecursionError,
    ) as cause:  # MemoryError: "too many nested parentheses"
        line = cause.lineno if isinstance(cause, SyntaxError) else None
        reason = cause.msg if isinstance(cause, SyntaxError) else str(cause) or type(cause).__name__
        raise BlockSyntaxError(
            f"Block '{task.block}' is no valid Python: {reason}" + (f" (line {line})." if line else "."),
            hint="correct the line that is marked and run the block again.",
            block=task.block,
            line=line,
        ) from cause
    module = ModuleType(MODULE_PREFIX + re.sub(r"\W", "_", task.block))
    module.__file__ = path
    vars(module).update({**ALL_DECORATORS, **(names or {})})
    sys.modules[module.__name__] = module
    keep_by_value(module)  # the next block cannot import this one's classes
    with collecting() as collection:
        exec(code, vars(module))  # noqa: S102  # running the person's block is what this process is for
    return module, collection


def forget_block(name: str) -> None:
    """Undo what `load_block` did for the module `name`."""
    forget_by_value(sys.modules.pop(name))


def project_modules(project_root: Path) -> tuple[str, ...]:
    """Return the project's files that the block imported, relative to the project, sorted.

    Reads `sys.modules` backwards to the block itself: a look at every key would copy, in a forked child, the memory
    page of every module's name (3 ms of a no-op block's 7).
    """
    found = set()
    for name in reversed(sys.modules):
        if name.startswith(MODULE_PREFIX):
            break
        path = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(path, str) and Path(path).is_relative_to(project_root):
            found.add(str(Path(path).relative_to(project_root)))
    return tuple(sorted(found))
