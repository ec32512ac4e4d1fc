"""Which processes are alive: identities that survive reuse of process numbers, and ends told by the kernel."""

from __future__ import annotations

import fcntl
import os
import selectors
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from spellbook_core.model.naming import BlockRunId
from spellbook_core.model.task import LOCK_FILE
from spellbook_core.runs.records import ProcessIdentity


def identity(pid: int) -> ProcessIdentity | None:
    """Return who process `pid` is, or None when it is gone (a zombie counts as gone)."""
    started = _started(pid)
    return None if started is None else ProcessIdentity(pid, started, boot_id())


def is_alive(process: ProcessIdentity) -> bool:
    """Return whether that very process still runs; False for another one with its number."""
    return identity(process.pid) == process


@cache
def boot_id() -> str:
    """Return what names the running boot of this machine."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    import psutil

    return str(psutil.boot_time())


def is_locked(attempt_dir: Path) -> bool:
    """Return whether a worker holds the lock of an attempt, which it does from its first moment to its last."""
    try:
        handle = os.open(attempt_dir / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


_GIVEN_UP = b"given up"


def give_up(attempt_dir: Path) -> bool:
    """Return whether no worker began an attempt; then none ever will, however late it comes.

    A worker writes its number into the lock that it holds before it looks at user code, and leaves a lock alone in
    which something is written. So whoever writes first decides.
    """
    try:
        handle = os.open(attempt_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return True  # without its folder an attempt was never handed to anybody
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.read(handle, len(_GIVEN_UP))
        return _GIVEN_UP.startswith(found) if found else os.write(handle, _GIVEN_UP) > 0
    except OSError:  # held by a worker, or a disk on which nothing can be decided
        return False
    finally:
        os.close(handle)


class Supervisor:
    """Tells when processes that are no children of ours end, without looking again and again (pidfd_open)."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._selector = selectors.DefaultSelector()

    def fileno(self) -> int:
        """Return a descriptor that is readable when a watched process has ended."""
        return self._selector.fileno()

    def watch(self, block_run_id: BlockRunId, process: ProcessIdentity) -> bool:
        """Begin to watch the process of a block run; False when it is gone or this system cannot watch."""
        if sys.platform != "linux":
            return False
        try:
            handle = os.pidfd_open(process.pid)
        except OSError:
            return False
        if not is_alive(process):  # after opening, so that the descriptor is of the process that was meant
            os.close(handle)
            return False
        self._selector.register(handle, selectors.EVENT_READ, block_run_id)
        return True

    def ended(self) -> list[BlockRunId]:
        """Return the block runs whose process has ended since, each once."""
        found = []
        for key, _ in self._selector.select(0):
            self._selector.unregister(key.fileobj)
            os.close(key.fd)
            found.append(BlockRunId(key.data))
        return found

    def close(self) -> None:
        """Stop watching; the processes go on."""
        for key in list(self._selector.get_map().values()):
            self._selector.unregister(key.fileobj)
            os.close(key.fd)
        self._selector.close()


def _started(pid: int) -> str | None:
    return _started_by_proc(pid) if Path("/proc/self/stat").exists() else _started_by_psutil(pid)


def _started_by_proc(pid: int) -> str | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return None if fields[0] in "ZX" else fields[19]


def _started_by_psutil(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.3f}"
    except psutil.Error:
        return None
