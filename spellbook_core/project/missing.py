"""Packages that blocks import and their Python lacks, told from syntax trees and the names of files."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from spellbook_core.errors import SpellbookError
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.project.blockfile import OWN_PACKAGES
from spellbook_core.project.closure import index_of
from spellbook_core.project.containment import decode, read_inside
from spellbook_core.project.environment import interpreter_of
from spellbook_core.project.layout import ProjectLayout
from spellbook_core.project.packages import CLIENT_DRIVERS, REQUIREMENT, install_name, normalized, required
from spellbook_core.project.site_packages import importable, site_folders
from spellbook_core.project.sourcefacts import ImportRef
from spellbook_core.project.syntax import nodes_of

_FORGIVING = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


@dataclass(frozen=True, slots=True)
class Missing:
    """A package that a block needs and does not have.

    Attributes:
        imported: The top-level name in the source.
        package: What to install, with the versions that the project's requirements.txt asks for.
        file: Where it is imported, relative to the project; likewise `line`, 1-based.
        client: The module of mage that is imported there and needs the package; empty for the package itself.
    """

    imported: str
    package: str
    file: str
    line: int
    client: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the blocks of a pipeline can import beside the standard library and their project.

    Attributes:
        python: The interpreter; None for the one Spellbook runs in.
        names: Top-level names in its folders.
        has_own: Whether Spellbook's own packages are in reach too.
        promised: Normalized names of packages that will be there once the environment is made.
        is_made: Whether it is there. Of one that is not, only what it inherits and what is promised is known.
    """

    python: str | None = None
    names: frozenset[str] = frozenset()
    has_own: bool = True
    promised: frozenset[str] = frozenset()
    is_made: bool = True

    def has(self, imported: str) -> bool:
        """Return whether `import <imported>` finds a package; True when it cannot be told yet."""
        package = normalized(install_name(imported))
        if imported in self.names or package in self.names or package in self.promised:
            return True
        if self.has_own:
            return _is_installed(imported)
        return not self.is_made

    def has_driver(self, package: str, modules: Sequence[str]) -> bool:
        """Return whether one of the `modules` is found that a client of mage can use; `package` brings the first."""
        name = package.partition("[")[0]
        return normalized(name) in self.names | self.promised or any(map(self._finds, modules))

    def _finds(self, module: str) -> bool:
        if "." not in module:
            return self.has(module)
        return _is_installed(module) if self.has_own else not self.is_made  # `google` alone may be of anything


def surroundings_of(project: ProjectLayout, pipeline: str | None) -> Surroundings:
    """Return what blocks can import, without starting their interpreter.

    Raises:
        SpellbookError: The Python that the project or pipeline names cannot be used.
    """
    interpreter = interpreter_of(project, pipeline)
    if interpreter is None:
        return Surroundings()
    recipe = interpreter.recipe
    if recipe is None or os.path.isfile(f"{recipe.folder}/bin/python"):
        has_own = recipe is not None and recipe.inherits
        return Surroundings(interpreter.path, importable(site_folders(interpreter.path)), has_own)
    named = [match["name"] for text in recipe.packages if (match := REQUIREMENT.fullmatch(text))]
    promised = frozenset(map(normalized, named))
    return Surroundings(interpreter.path, frozenset(), recipe.inherits, promised, is_made=False)


class MissingImports:
    """Tells what the blocks of one pipeline import in vain. What they have in common is looked up once."""

    def __init__(self, project: ProjectLayout, pipeline: str) -> None:
        """Look up the pipeline's Python.

        Raises:
            SpellbookError: The Python that the project or pipeline names cannot be used.
        """
        self._project = project
        self._wanted = requirements_of(project)
        self._index = index_of(project)
        self._index.look()
        self._is_there: dict[str, bool] = {}
        self._modules: dict[str, Mapping[str, int]] = {}
        self.surroundings = surroundings_of(project, pipeline)

    def of(self, source: str, relative: str) -> list[Missing]:
        """Return what a block's text and the project's modules that it reaches import in vain, each name once."""
        found: dict[str, Missing] = {}
        members = self._index.closure(_references(source)).members
        reached = [(member, self._imports_of(member)) for member in members]
        for file, imports in [(relative, _required(source)), *reached]:
            for name, line in imports.items():
                if name not in found and not self._has(name):
                    client = name if name in CLIENT_DRIVERS else ""
                    package, imported = CLIENT_DRIVERS[client][:2] if client else (install_name(name), name)
                    wanted = self._wanted.get(normalized(package.partition("[")[0]), package)
                    found[name] = Missing(imported, wanted, file, line, client)
        return list(found.values())

    def _has(self, name: str) -> bool:
        if name not in self._is_there:
            if name in CLIENT_DRIVERS:
                package, *modules = CLIENT_DRIVERS[name]
                self._is_there[name] = self.surroundings.has_driver(package, modules)
            else:
                self._is_there[name] = _is_local(self._project, name) or self.surroundings.has(name)
        return self._is_there[name]

    def _imports_of(self, member: str) -> Mapping[str, int]:
        if member not in self._modules:
            path = Path(os.path.normpath(f"{self._project.root}/{member}"))
            try:
                self._modules[member] = _required(decode(read_inside(self._project.root, path), path))
            except SpellbookError:  # of another project, or gone
                self._modules[member] = {}
        return self._modules[member]


def missing_in(project: ProjectLayout, pipeline: Pipeline) -> list[Missing]:
    """Return what the Python blocks of a pipeline import in vain, each package once; a broken block file has no say.

    Raises:
        SpellbookError: The Python that the project or pipeline names cannot be used.
    """
    imports = MissingImports(project, pipeline.uuid)
    found: dict[str, Missing] = {}
    for block in (*pipeline.blocks, *pipeline.callbacks, *pipeline.conditionals):
        if block.language != "python":
            continue
        try:
            path = project.block_file(block)
            each = imports.of(decode(read_inside(project.root, path), path), project.relative(path))
        except SpellbookError:
            continue
        found.update({entry.package: entry for entry in each if entry.package not in found})
    return list(found.values())


def requirements_of(project: ProjectLayout) -> dict[str, str]:
    """Return normalized name -> line of the project's requirements.txt; empty when there is none."""
    path = project.root / "requirements.txt"
    try:
        return required(decode(read_inside(project.root, path), path))
    except SpellbookError:
        return {}


def _is_local(project: ProjectLayout, name: str) -> bool:
    if name in sys.stdlib_module_names or name in OWN_PACKAGES or name in {project.name, project.root.name}:
        return True
    folders = (project.root, project.root.parent)
    return any((folder / name).is_dir() or (folder / f"{name}.py").is_file() for folder in folders)


def _is_installed(name: str) -> bool:
    """Ask where a top-level module is; for a top-level name that imports nothing."""
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False


@lru_cache(maxsize=4096)
def _required(text: str) -> Mapping[str, int]:
    """Return top-level name -> line of the imports that fail the block when they fail; clients of mage by module."""
    found: dict[str, int] = {}
    for name, line in _imports(_nodes(text)[:1]):
        found.setdefault(name, line)
    return found


@lru_cache(maxsize=4096)
def _references(text: str) -> frozenset[ImportRef]:
    found = set()
    for node in _nodes(text):
        if isinstance(node, ast.Import):
            found |= {ImportRef(0, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(ImportRef(node.level, node.module or "", tuple(alias.name for alias in node.names)))
    return frozenset(found)


def _nodes(text: str) -> Sequence[ast.AST]:
    try:
        return nodes_of(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def _imports(statements: Iterable[ast.AST]) -> Iterator[tuple[str, int]]:
    for node in statements:
        if isinstance(node, ast.Import):
            yield from ((_counted(alias.name), node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module and not node.level:
                full = (f"{node.module}.{alias.name}" for alias in node.names)
                clients = [name for name in full if name in CLIENT_DRIVERS]
                yield from ((name, node.lineno) for name in clients or [_counted(node.module)])
        elif isinstance(node, ast.Try) and _forgives(node.handlers):
            yield from _imports([*node.orelse, *node.finalbody])  # the handlers, too, run only in need
        elif isinstance(node, ast.If) and _is_for_checkers(node.test):
            yield from _imports(node.orelse)
        else:
            yield from _imports(child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))


def _counted(module: str) -> str:
    """Return what of a module's name tells whether it is there: the package, or the whole for a client of mage."""
    return module if module in CLIENT_DRIVERS else module.partition(".")[0]


def _forgives(handlers: Sequence[ast.ExceptHandler]) -> bool:
    caught = [handler.type for handler in handlers]
    names = [node.id for kind in caught if kind for node in ast.walk(kind) if isinstance(node, ast.Name)]
    return None in caught or not _FORGIVING.isdisjoint(names)


def _is_for_checkers(test: ast.expr) -> bool:
    return getattr(test, "id", getattr(test, "attr", "")) == "TYPE_CHECKING"
