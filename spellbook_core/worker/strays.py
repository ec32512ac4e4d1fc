"""Processes that a block left behind: found among the children that a dead parent bequeathed to the zygote."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

MARKER = "SPELLBOOK_ATTEMPT"
"""Environment variable of a block's process and of every program it starts: `<block_run_id>.<attempt>`."""

_ROUNDS = 20
"""Most times the list of leftovers is read; each round may reveal the children of those killed in the last."""

_ROUND_WAIT_MS = 50


def children_of(pid: int) -> list[int]:
    """Return the direct children of `pid`; empty when it is gone or the system cannot tell."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        texts = [Path(f"/proc/{pid}/task/{thread}/children").read_text() for thread in threads]
    except OSError:
        return []
    return [int(word) for text in texts for word in text.split()]


def end_strays(marker: str, lock_path: Path, known: AbstractSet[int], *, is_last: bool) -> list[str]:
    """Kill what the attempt `marker` left behind, and everything below it; return their command lines.

    Args:
        marker: The attempt.
        lock_path: Its lock file. A process that was forked, not started anew, has the file open.
        known: Children that are no leftovers: standby and running blocks.
        is_last: Whether no other attempt runs; then every unknown child is this one's.
    """
    ended: list[str] = []
    for _ in range(_ROUNDS):
        orphans = [pid for pid in children_of(os.getpid()) if pid not in known]
        mine = [pid for pid in orphans if is_last or _belongs(pid, marker, lock_path)]
        if not mine:
            break
        for pid in mine:
            tree = _tree(pid)
            ended += [name for one in tree if (name := _command(one))]
            for one in tree:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(one, signal.SIGKILL)
        for pid in mine:
            _reap(pid)
    return ended


def _reap(pid: int) -> None:
    with suppress(OSError):
        watch = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(watch, select.POLLIN)
            if poll.poll(_ROUND_WAIT_MS):
                os.waitpid(pid, os.WNOHANG)
        finally:
            os.close(watch)


def _tree(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        found += [child for child in children_of(one) if child not in found]
    return found


def _belongs(pid: int, marker: str, lock_path: Path) -> bool:
    folder = Path(f"/proc/{pid}")
    with suppress(OSError):
        if f"{MARKER}={marker}".encode() in (folder / "environ").read_bytes().split(b"\0"):
            return True
    with suppress(OSError):
        return any(_target(entry) == str(lock_path) for entry in (folder / "fd").iterdir())
    return False


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _command(pid: int) -> str:
    """Return the command line, shortened; empty for a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()[:120]
    except OSError:
        return ""
