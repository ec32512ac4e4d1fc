"""The children of a zygote that wait for an attempt: forked ahead of demand, handed over, forked anew."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress

from spellbook_core.worker.child import Ends, serve
from spellbook_core.worker.job import READ_BYTES, Child, crash_file, start_ticks
from spellbook_core.worker.options import Options

STANDBY = 2
"""Children forked ahead: the fork (4-24 ms of page tables) is then off the path from click to result. Each holds 5 MB
of its own, 13 with torch; with 3 or 4 a chain of blocks was hardly faster."""

REFILL_DELAY_S = 0.01
"""How long after handing over an attempt the next child is forked ahead: a short block alone keeps the memory to
itself."""

IN_A_ROW_S = 0.05
"""Attempts that are handed over within this time are a chain: the next child is forked at once, while the attempt runs.
Later the fork would fall between its end and the next attempt, which would wait for it."""


class Standby:
    """The waiting children of one zygote.

    Args:
        options: How children are made, and their environment.
        forget: Called in a forked child to close what it copied of the zygote.
        raise_threads: Called in a child whose block wants native threads.
    """

    def __init__(self, options: Options, forget: Callable[[], None], raise_threads: Callable[[], None]) -> None:
        self._options = options
        self._forget = forget
        self._raise_threads = raise_threads
        self._children: list[Child] = []
        self._leaving: set[int] = set()
        self._handed_over_at = 0.0
        self.refill_at: float | None = 0.0

    @property
    def pids(self) -> set[int]:
        """The processes that wait, and those that were let go and are not reaped yet: nobody's leftovers."""
        return {child.pid for child in self._children} | self._leaving

    def hand_over(self, folder: str, now: float) -> Child:
        """Have a child run the attempt in `folder`, one made now when none waits.

        Raises:
            OSError: None could be made: no more processes or descriptors.
        """
        while True:
            child = self._children.pop(0) if self._children else self._make()
            with suppress(OSError):  # it died while it waited, e.g. by the out-of-memory killer
                os.write(child.control, os.fsencode(folder) + b"\n")
                is_one_of_many = not self._children or now - self._handed_over_at < IN_A_ROW_S
                self.refill_at = now if is_one_of_many else now + REFILL_DELAY_S
                self._handed_over_at = now
                return child
            self._let_go(child)

    def refill(self, now: float) -> None:
        """Make one child when one is missing and it is time."""
        if self.refill_at is not None and now >= self.refill_at:
            if len(self._children) < STANDBY:
                with suppress(OSError):  # no more processes or descriptors: it is tried again
                    self._children.append(self._make())
            self.refill_at = now + REFILL_DELAY_S if len(self._children) < STANDBY else None

    def drop(self, pid: int) -> None:
        """Forget a child that ended without an attempt."""
        self._leaving.discard(pid)
        for child in [child for child in self._children if child.pid == pid]:
            self._children.remove(child)
            child.close()

    def close(self) -> None:
        """Close our ends: a waiting child reads the end of its control socket and exits. No more are made."""
        for child in self._children:
            self._let_go(child)
        self._children.clear()
        self.refill_at = None

    def _let_go(self, child: Child) -> None:
        child.close()
        self._leaving.add(child.pid)

    def _make(self) -> Child:
        with ExitStack() as opened:
            ours, theirs = socket.socketpair()
            opened.callback(ours.close)
            opened.callback(theirs.close)
            (out_read, out_write), (err_read, err_write) = _pipe(opened), _pipe(opened)
            crash = crash_file()
            opened.callback(os.close, crash)
            ends = Ends(theirs.fileno(), out_write, err_write, crash)
            pid = os.fork() if self._options.mode == "fork" else self._spawn(ends)
            opened.pop_all()
        if pid == 0:
            for descriptor in (ours.fileno(), out_read, err_read):
                os.close(descriptor)
            self.close()
            self._forget()
            serve(ends, self._options.restore, self._raise_threads)
        theirs.close()
        os.close(out_write)
        os.close(err_write)
        ours.setblocking(False)
        return Child(pid, start_ticks(pid), ours.detach(), out_read, err_read, crash)

    def _spawn(self, ends: Ends) -> int:
        descriptors = (ends.control, ends.stdout, ends.stderr, ends.crash)
        options = json.dumps({"preload": list(self._options.wanted), "restore": dict(self._options.restore)})
        command = [*self._options.command("spellbook_core.worker.child"), *map(str, descriptors), options]
        for descriptor in descriptors:
            os.set_inheritable(descriptor, True)
        try:
            return os.posix_spawn(sys.executable, command, os.environ)
        finally:
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)


def _pipe(opened: ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    opened.callback(os.close, read)
    opened.callback(os.close, write)
    os.set_blocking(read, False)
    with suppress(OSError, AttributeError):  # beyond the user's limit of pipe memory, or not Linux
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, READ_BYTES)
    return read, write
