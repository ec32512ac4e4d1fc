"""The project's modules as the blocks of a run imported them: each text is kept once, a run keeps which ones.

A run's folder has a file of lines, `{"modules": [digest of a closure, {path: digest of its text}, [package]]}` where
a closure is new to the run, then `{"block": [name, digest of its closure]}`. Lines are only appended, and one that a
kill cut off is left out. The texts lie beside the outputs of blocks, by content.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spellbook_core.atomic import content_hash, write_all
from spellbook_core.errors import BadNameError
from spellbook_core.model.naming import RunId
from spellbook_core.model.run import Code, PipelineRun
from spellbook_core.project.closure import MAX_REMEMBERED, Closure, CodeIndex
from spellbook_core.project.layout import Workspace
from spellbook_core.project.otherfiles import facts_in, text_of
from spellbook_core.project.sourcefacts import SourceFacts

MAX_RUNS = 64
"""Most runs of which is remembered what was kept."""


@dataclass(slots=True)
class _OfRun:
    """What was kept of a run: closures, and the closure of each block."""

    closures: set[str] = field(default_factory=set)
    blocks: set[tuple[str, str]] = field(default_factory=set)


class Keeper:
    """Keeps the modules of the runs of one runner."""

    def __init__(self, workspace: Workspace) -> None:
        """Know of no run yet."""
        self._workspace = workspace
        self._known: dict[RunId, _OfRun] = {}
        self._digests: dict[str, tuple[tuple[int, int], str]] = {}

    def keep(self, run_id: RunId, block: str, closure: Closure, index: CodeIndex) -> None:
        """Keep what a block of a run reaches; costs a look into two sets when that is known.

        Raises:
            OSError: The disk refused: a run that repeats this one "as it was" will say that it lacks it.
        """
        if not closure.members:
            return
        known = self._of(run_id)
        if (block, closure.digest) in known.blocks:
            return
        lines = b""
        if closure.digest not in known.closures:
            texts = {path: self._keep_text(path, index) for path in closure.members}
            if None in texts.values():
                return  # a file that is too large to be read is not kept, and without it the others say too little
            lines += _line("modules", [closure.digest, texts, sorted(closure.packages)])
        lines += _line("block", [block, closure.digest])
        file = self._workspace.modules_file(run_id)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = os.fstat(handle).st_size
        try:
            write_all(handle, lines)
        except OSError:  # the next line must not begin in the middle of this one
            with suppress(OSError):
                os.ftruncate(handle, size)
            raise
        finally:
            os.close(handle)
        known.closures.add(closure.digest)
        known.blocks.add((block, closure.digest))

    def _of(self, run_id: RunId) -> _OfRun:
        if run_id not in self._known and len(self._known) >= MAX_RUNS:
            del self._known[next(iter(self._known))]  # kept once more if it goes on: only the first line counts
        return self._known.setdefault(run_id, _OfRun())

    def _keep_text(self, path: str, index: CodeIndex) -> str | None:
        """Return the digest of a module's text, which is stored; None for a file that is not read."""
        place = f"{index.root}/{path}"
        try:
            found = os.stat(place)
        except OSError:
            return None
        stamp = (found.st_mtime_ns, found.st_size)
        known = self._digests.get(place)
        if known is not None and known[0] == stamp:
            with suppress(OSError):
                os.utime(self._workspace.module_file(known[1]))  # a clean-up sees that it is needed again
                return known[1]
        data = index.data(place)
        if data is None:
            return None
        digest = content_hash(data)
        file = self._workspace.module_file(digest)
        try:
            os.utime(file)
            is_whole = file.stat().st_size == len(data)
        except OSError:
            is_whole = False
        if not is_whole:
            _write(file, data)
        if len(self._digests) >= MAX_REMEMBERED:
            self._digests.clear()
        self._digests[place] = (stamp, digest)
        return digest


@dataclass(frozen=True, slots=True)
class Kept:
    """The modules that the blocks of one run reached.

    Attributes:
        closures: Digest of a closure -> path relative to the project -> digest of the module's text.
        packages: Digest of a closure -> what else its modules import.
        blocks: Block -> digest of its closure.
    """

    closures: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    packages: Mapping[str, frozenset[str]] = field(default_factory=dict)
    blocks: Mapping[str, str] = field(default_factory=dict)
    _closures: dict[str, Closure | None] = field(default_factory=dict)

    def texts(self, workspace: Workspace, block: str) -> dict[str, bytes] | None:
        """Return path -> text of the modules of a block; None when nothing, or not all of it, is kept."""
        modules = self.closures.get(self.blocks.get(block, ""))
        if modules is None:
            return None
        found = {path: _text(workspace, digest) for path, digest in modules.items()}
        whole = {path: text for path, text in found.items() if text is not None}
        return whole if len(whole) == len(found) else None

    def closure(self, workspace: Workspace, block: str) -> Closure | None:
        """Return what a block reached, as it was; None when that is not kept. Its texts are read once."""
        digest = self.blocks.get(block, "")
        if digest not in self._closures:
            texts = self.texts(workspace, block)
            members = None if texts is None else {path: _facts(text) for path, text in texts.items()}
            self._closures[digest] = None if members is None else Closure(members, self.packages[digest])
        return self._closures[digest]


def read(file: Path) -> Kept:
    """Return what a run kept; nothing when it kept nothing or its files were removed."""
    closures: dict[str, dict[str, str]] = {}
    packages: dict[str, frozenset[str]] = {}
    blocks: dict[str, str] = {}
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return Kept()
    for line in lines:
        with suppress(ValueError, TypeError, KeyError, AttributeError):  # cut off by a kill
            found: dict[str, Any] = json.loads(line)
            if "modules" in found:
                digest, texts, names = found["modules"]
                closures[digest], packages[digest] = dict(texts), frozenset(names)
            else:
                block, digest = found["block"]
                blocks.setdefault(block, digest)
    return Kept(closures, packages, blocks)


def is_used(run: PipelineRun) -> bool:
    """Return whether a run imports what an earlier run kept, as far as it did, instead of today's modules."""
    return run.again is not None and run.again.code is Code.THEN


def hand_on(workspace: Workspace, earlier: RunId, run_id: RunId) -> None:
    """Give a run that repeats an earlier one as it was what that one kept."""
    file = workspace.modules_file(run_id)
    with suppress(FileNotFoundError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(workspace.modules_file(earlier), file)
        file.chmod(0o600)


def sweep(workspace: Workspace, *, unless_held_since: float) -> int:
    """Remove the texts that no run names; return how many.

    Args:
        workspace: Whose.
        unless_held_since: Epoch seconds; what was kept since stays: the run that needs it may be about to say so.
    """
    named: set[str] = set()
    for file in workspace.runs_dir.glob("*/modules.jsonl"):
        named.update(digest for modules in read(file).closures.values() for digest in modules.values())
    removed = 0
    for text in workspace.modules_dir.glob("??/*"):
        with suppress(OSError):
            if text.name not in named and text.stat().st_mtime < unless_held_since:
                text.unlink()
                removed += 1
    return removed


def _line(kind: str, facts: list[object]) -> bytes:
    return json.dumps({kind: facts}, separators=(",", ":")).encode() + b"\n"


def _write(file: Path, data: bytes) -> None:
    """Not synced: what a power loss damages is noticed by its digest."""
    for folder in (file.parent.parent, file.parent):
        folder.mkdir(exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(prefix=".", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as draft:
            draft.write(data)
        os.replace(name, file)
    except BaseException:  # also KeyboardInterrupt: no draft stays
        with suppress(OSError):
            os.unlink(name)
        raise


def _facts(text: bytes) -> SourceFacts:
    return facts_in(text_of(text), "python")


def _text(workspace: Workspace, digest: str) -> bytes | None:
    try:
        data = workspace.module_file(digest).read_bytes()
    except (OSError, BadNameError):
        return None
    return data if content_hash(data) == digest else None
