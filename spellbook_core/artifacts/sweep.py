"""Removing stored outputs that nothing needs, while blocks store and use others.

What is to go is decided elsewhere and takes a while; meanwhile a block may store the same bytes again, or a run may
reuse them. Whoever does so calls `hold`, which renews the folder's time; removal looks at that time once more under a
lock that `hold` shares. So an output that was asked for after the decision stays, whatever the clock was set to.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from spellbook_core.artifacts.formats import composites

LOCK_FILE = ".lock"
DRAFTS = "tmp"

_DIGEST = re.compile(r"[0-9a-f]{32}")
_BATCH = 50
"""Outputs moved away per lock: blocks that store meanwhile wait about 2 ms."""

_STUCK_S = 86_400.0
"""Age of a draft that is removed though a process of its number lives: the number was given to another one."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A folder of the store.

    Attributes:
        size_bytes: Of its files.
        held_at: Epoch seconds, when it was last stored or asked for.
        folder_at: The folder's own time, which `hold` renews.
    """

    path: Path
    size_bytes: int
    held_at: float
    folder_at: float = 0.0


def hold(root: Path, folder: Path, *, since: float = 0.0) -> bool:
    """Keep a stored output from being removed for the time being; False when it is not there.

    Args:
        root: Of the store.
        folder: Of the output.
        since: Epoch seconds that the folder's time is not before, though the clock be: see `LocalArtifactStore`.
    """
    try:
        with _locked(root, fcntl.LOCK_SH):
            os.utime(folder, None if time.time() >= since else (since, since))
    except FileNotFoundError:
        return False
    return True


def stored(root: Path) -> dict[str, Stored]:
    """Return digest -> folder of all outputs in a store; three system calls per file."""
    found = {}
    for part in _folders(root):
        if len(part.name) == 2:
            for entry in _folders(Path(part.path)):
                if _DIGEST.fullmatch(entry.name) and (measured := measure(Path(entry.path))) is not None:
                    found[entry.name] = measured
    return found


def parts_in(found: Mapping[str, Stored]) -> dict[str, frozenset[str]]:
    """Return the digests of the parts of each value among `found` that was stored in parts; one system call each."""
    parts = {}
    for digest, stored_value in found.items():
        skeleton = stored_value.path / f"data.{composites.SUFFIX}"
        if skeleton.is_file() and not skeleton.is_symlink():
            with suppress(OSError, ValueError):  # damaged: it has lost its parts already
                parts[digest] = frozenset(ref.digest for ref in composites.read(skeleton).refs)
    return parts


def with_parts(parts: Mapping[str, frozenset[str]], digests: Iterable[str]) -> frozenset[str]:
    """Return `digests` and those of their parts; see `parts_in`."""
    given = frozenset(digests)
    return given.union(*(parts[digest] for digest in given & parts.keys())) if parts else given


def remove(root: Path, found: Mapping[str, Stored], digests: Iterable[str], *, unless_held_since: float) -> list[str]:
    """Remove outputs and return which; those that were stored or held since they were found, or that time, stay."""
    wanted, removed = list(digests), list[str]()
    (root / DRAFTS).mkdir(mode=0o700, parents=True, exist_ok=True)
    for start in range(0, len(wanted), _BATCH):
        moved = []
        with _locked(root, fcntl.LOCK_EX):
            for digest in wanted[start : start + _BATCH]:
                folder = found[digest].path
                with suppress(OSError):  # gone, or not ours to move: the next time tells
                    held_at = folder.stat().st_mtime
                    if held_at == found[digest].folder_at and held_at < unless_held_since:
                        aside = root / DRAFTS / f"{os.getpid()}.{secrets.token_hex(8)}.old"
                        folder.rename(aside)
                        moved.append(aside)
                        removed.append(digest)
        for aside in moved:
            shutil.rmtree(aside, ignore_errors=True)
    return removed


def old_drafts(root: Path, *, before: float) -> list[Stored]:
    """Return the unfinished folders that no living process writes any more."""
    found = []
    for entry in _folders(root / DRAFTS):
        draft = measure(Path(entry.path))
        if draft is None or draft.held_at >= before:
            continue
        number = entry.name.split(".")[0]
        if not number.isdecimal() or not _lives(int(number)) or draft.held_at < before - _STUCK_S:
            found.append(draft)
    return found


def measure(folder: Path) -> Stored | None:
    """Return the bytes below a folder and the newest time of it and what is in it; None when it is gone."""
    size, newest, own, stack = 0, 0.0, 0.0, [folder]
    try:
        newest = own = folder.stat().st_mtime
        while stack:
            with os.scandir(stack.pop()) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    newest = max(newest, status.st_mtime)
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(Path(entry.path))
                    else:
                        size += status.st_size
    except FileNotFoundError:
        return None
    return Stored(folder, size, newest, own)


def _folders(path: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            yield from [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@contextmanager
def _locked(root: Path, how: int) -> Iterator[None]:
    handle = os.open(root / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)
