"""Which modules of a project a block reaches by its imports, followed statically; nothing is imported.

Names are looked up as `worker/load.py` has them looked up: the standard library first, then the project (by its
folder's name, as `default_repo` and at the top level), then the folder that holds the projects.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from spellbook_core.atomic import content_hash
from spellbook_core.project.layout import ProjectLayout
from spellbook_core.project.otherfiles import facts_in, text_of
from spellbook_core.project.sourcefacts import NAMED, ImportRef, SourceFacts

MAX_MODULE_BYTES = 2_000_000
"""A larger file is known by its time and size, and its imports are not followed."""

MAX_REMEMBERED = 4_096
"""Most files, and most closures, that are remembered."""

SETTLED_NS = 100_000_000
"""A file changed less long ago may change again within the same tick of the file system's clock: look again."""

_Stamp = tuple[int, int, int, int]
_ABSENT: _Stamp = (0, 0, 0, 0)


@dataclass(frozen=True)
class Closure:
    """The project modules that some imports reach.

    Attributes:
        members: Path relative to the project (`../` for another project's) -> facts of that module.
        packages: Top-level names that were imported and are not the project's or the standard library's; also the
            variables of the environment that the modules name, see `sourcefacts.NAMED`.
    """

    members: dict[str, SourceFacts]
    packages: frozenset[str]

    @cached_property
    def listing(self) -> str:
        """JSON of path -> digest, sorted."""
        return json.dumps({path: facts.digest for path, facts in sorted(self.members.items())}, ensure_ascii=False)

    @cached_property
    def digest(self) -> str:
        """Equal for closures of the same paths with the same meaning; empty without members."""
        return content_hash(self.listing.encode("utf-8", "surrogatepass")) if self.members else ""

    @cached_property
    def meanings(self) -> dict[str, str]:
        """Return what each digest in it stands for, so that a later change can be told by name."""
        if not self.members:
            return {}
        names = {facts.digest: json.dumps(facts.names, ensure_ascii=False) for facts in self.members.values()}
        return {self.digest: self.listing, **names}

    @cached_property
    def mentions(self) -> frozenset[str]:
        """Return the moments that any module mentions."""
        return frozenset().union(*(facts.mentions for facts in self.members.values()))

    @cached_property
    def asked(self) -> frozenset[str]:
        """Return the moments that any module asks `current_run()` for."""
        return frozenset().union(*(facts.asked for facts in self.members.values()))


class CodeIndex:
    """Remembers the code of one project: a file is read again when its time, size or identity changed."""

    def __init__(self, root: Path, parent: Path | None) -> None:
        """Know nothing yet.

        Args:
            root: The project's folder.
            parent: The folder of all projects; None when other folders are no projects.
        """
        self.root = str(root)
        self._parent = None if parent is None else str(parent)
        self._lock = threading.RLock()
        self._stamps: dict[str, _Stamp] = {}
        self._files: dict[str, tuple[_Stamp, SourceFacts]] = {}
        self._folders: dict[str, tuple[_Stamp, frozenset[str], frozenset[str]]] = {}
        self._closures: dict[frozenset[ImportRef], tuple[Closure, tuple[tuple[str, _Stamp], ...]]] = {}

    def look(self) -> None:
        """Look at the disk again from here on; until the next call each file is looked at once."""
        with self._lock:
            self._stamps.clear()

    def file(self, path: str, *, language: str = "python") -> SourceFacts | None:
        """Return the facts of a file below the project; None when there is none or it leads out of the project."""
        with self._lock:
            stamp = self._stamp(path)
            known = self._files.get(path)
            if known is not None and known[0] == stamp:
                return known[1]
            if stamp == _ABSENT:
                return None
            facts = self._read(path, stamp, language)
            if facts is not None and _is_settled(stamp):
                _remember(self._files, path, (stamp, facts))
            return facts

    def changed_at(self, path: str) -> float | None:
        """Return when a file last changed, in seconds since the epoch; None when it is not there."""
        with self._lock:
            stamp = self._stamp(path)
            return None if stamp == _ABSENT else stamp[0] / 1e9

    def closure(self, imports: frozenset[ImportRef]) -> Closure:
        """Return what these imports of a block file reach."""
        with self._lock:
            known = self._closures.get(imports)
            if known is not None and all(self._stamp(path) == stamp for path, stamp in known[1]):
                return known[0]
            search = _Search(self)
            found = search.run(imports)
            used = tuple((path, self._stamp(path)) for path in search.used)
            if all(_is_settled(stamp) for _, stamp in used):
                _remember(self._closures, imports, (found, used))
            return found

    # -- what a search needs --------------------------------------------------------------------------------------

    def starts(self, top: str) -> tuple[str, bool] | None:
        """Return the folder to look for the top-level name in, and whether the name is the project itself."""
        if top in {"default_repo", os.path.basename(self.root)}:
            return self.root, True
        for folder in (self.root, self._parent):
            if folder is not None and self.has(folder, top):
                return folder, False
        return None

    def has(self, folder: str, name: str) -> bool:
        """Return whether `folder` holds a module or package `name`."""
        files, folders = self.entries(folder)
        return name in files or name in folders

    def entries(self, folder: str) -> tuple[frozenset[str], frozenset[str]]:
        """Return the names of the modules and of the folders in `folder`."""
        stamp = self._stamp(folder)
        known = self._folders.get(folder)
        if known is not None and known[0] == stamp:
            return known[1], known[2]
        files, folders = set(), set()
        try:
            for entry in os.scandir(folder):
                if entry.name.endswith(".py"):
                    files.add(entry.name[:-3])
                elif entry.name.isidentifier() and entry.is_dir():
                    folders.add(entry.name)
        except OSError:
            pass
        if _is_settled(stamp):
            _remember(self._folders, folder, (stamp, frozenset(files), frozenset(folders)))
        return frozenset(files), frozenset(folders)

    def is_inside(self, folder: str) -> bool:
        """Return whether a folder lies in the project, or in the folder of all projects."""
        return any(Path(folder).is_relative_to(top) for top in (self.root, self._parent) if top is not None)

    def _stamp(self, path: str) -> _Stamp:
        stamp = self._stamps.get(path)
        if stamp is None:
            try:
                found = os.stat(path)
            except OSError:
                stamp = _ABSENT
            else:
                stamp = (found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns)
            self._stamps[path] = stamp
        return stamp

    def data(self, path: str) -> bytes | None:
        """Return the text of a file; None when it is too large, is not there, or leads out of the project."""
        if not os.path.isfile(path) or not self._may_read(path, self._stamp(path)):
            return None
        try:
            return Path(path).read_bytes()
        except OSError:
            return None

    def _may_read(self, path: str, stamp: _Stamp) -> bool:
        place = Path(os.path.realpath(path))
        tops = [os.path.realpath(top) for top in (self.root, self._parent) if top is not None]
        return stamp[1] <= MAX_MODULE_BYTES and any(place.is_relative_to(top) for top in tops)

    def _read(self, path: str, stamp: _Stamp, language: str) -> SourceFacts | None:
        if not os.path.isfile(path):  # e.g. a named pipe, which nobody may ever write to
            return None
        if not self._may_read(path, stamp):
            return SourceFacts(content_hash(repr(stamp).encode()))
        try:
            text = text_of(Path(path).read_bytes())
        except OSError:
            return None
        return facts_in(text, language)


class _Search:
    """One walk over imports; `used` collects every path whose change could lead elsewhere."""

    def __init__(self, index: CodeIndex) -> None:
        self._index = index
        self.used: dict[str, None] = {}
        self._members: dict[str, SourceFacts] = {}
        self._packages: set[str] = set()
        self._waiting: list[tuple[str, SourceFacts]] = []
        self._skipped = 0

    def run(self, imports: Iterable[ImportRef]) -> Closure:
        for ref in imports:
            self._follow(ref, None)
        while self._waiting:
            path, facts = self._waiting.pop()
            for ref in facts.imports:
                self._follow(ref, os.path.dirname(path))
        return Closure(self._members, frozenset(self._packages))

    def _follow(self, ref: ImportRef, folder: str | None) -> None:
        if ref.module.startswith(NAMED):
            self._packages.add(ref.module)
            return
        parts = [part for part in ref.module.split(".") if part]
        if ref.level:
            for _ in range(ref.level - 1):
                folder = os.path.dirname(folder or "")
            if not folder or not self._index.is_inside(folder):
                return  # a block file belongs to no package: there it fails when it runs
            self._package(folder)
        else:
            folder = self._start(parts)
        for part in parts if ref.level else parts[self._skipped :]:
            if folder is None:
                return
            folder = self._step(folder, part)
        if folder is None:
            return
        for name in self._index.entries(folder)[0] if "*" in ref.names else ref.names:
            self._step(folder, name)

    def _start(self, parts: list[str]) -> str | None:
        """Return where the first of `parts` that is left is looked for; None for what is not the project's."""
        self._skipped = 0
        if not parts or parts[0] in sys.stdlib_module_names:
            return None
        self._use(self._index.root)
        found = self._index.starts(parts[0])
        if found is None:
            self._packages.add(parts[0])
            return None
        folder, is_project = found
        if is_project:
            self._skipped = 1
            self._package(folder)
        return folder

    def _step(self, folder: str, name: str) -> str | None:
        """Take in the module or package `name` of `folder`; return its folder when it is a package."""
        self._use(folder)
        files, folders = self._index.entries(folder)
        inner = f"{folder}/{name}"
        if name in folders and (name not in files or "__init__" in self._index.entries(inner)[0]):
            self._package(inner)
            return inner
        if name in files:
            self._take(f"{inner}.py")
        return None

    def _package(self, folder: str) -> None:
        self._use(folder)
        if "__init__" in self._index.entries(folder)[0]:
            self._take(f"{folder}/__init__.py")

    def _use(self, path: str) -> None:
        self.used[path] = None

    def _take(self, path: str) -> None:
        shown = os.path.relpath(path, self._index.root)
        if shown in self._members:
            return
        self._use(path)
        facts = self._index.file(path)
        if facts is not None:
            self._members[shown] = facts
            self._waiting.append((path, facts))


@lru_cache(maxsize=64)
def _index(root: str, is_alone: bool) -> CodeIndex:
    return CodeIndex(Path(root), None if is_alone else Path(root).parent)


def index_of(project: ProjectLayout) -> CodeIndex:
    """Return the index of a project that this process shares."""
    return _index(str(project.root), project.workspace.is_single_project)


def is_settled(changed: int) -> bool:
    """Return whether a change that is made from now on has another time than the one at `changed`, in nanoseconds."""
    coarse = changed % 1_000_000_000 == 0  # a file system that counts whole seconds, or two
    return time.time_ns() - changed > (SETTLED_NS if not coarse else 3_000_000_000)


def _is_settled(stamp: _Stamp) -> bool:
    """Whether a later change would show in the stamp."""
    return stamp == _ABSENT or is_settled(max(stamp[0], stamp[3]))


def _remember(cache: dict, key: object, value: object) -> None:  # type: ignore[type-arg]  # any of the three caches
    if len(cache) >= MAX_REMEMBERED:
        cache.clear()
    cache[key] = value
