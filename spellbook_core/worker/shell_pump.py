"""Hand on what a command prints, as it comes, and remember its last lines."""

from __future__ import annotations

import os
import selectors
import subprocess
from collections import deque
from typing import IO

READ_BYTES = 64 * 1024
KEPT_LINES = 40
MAX_LINE_CHARS = 500


def pump(process: subprocess.Popen[bytes]) -> list[str]:
    """Copy a process's pipes to our stdout and stderr until it has ended, and return its last lines.

    A process that it left behind may hold the pipes for ever: they are read until it ends itself, and no longer.
    """
    lines: deque[str] = deque(maxlen=KEPT_LINES)
    rest = {1: b"", 2: b""}
    out, error = process.stdout, process.stderr
    if out is None or error is None:
        raise ValueError("both streams have to be pipes")
    exit_fd = _exit_descriptor(process)
    with selectors.DefaultSelector() as selector, out, error:
        for pipe, to in ((out, 1), (error, 2)):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, to)
        if exit_fd is not None:
            selector.register(exit_fd, selectors.EVENT_READ, 0)
        open_pipes, has_ended = 2, False
        while open_pipes and not has_ended:
            for key, _ in selector.select():
                if key.data == 0:
                    has_ended = True
                elif not _copy(key.fileobj, key.data, rest, lines):  # type: ignore[arg-type]  # a pipe
                    selector.unregister(key.fileobj)
                    open_pipes -= 1
        if has_ended:
            for key in [key for key in selector.get_map().values() if key.data]:
                while _copy(key.fileobj, key.data, rest, lines) is True:  # type: ignore[arg-type]  # a pipe
                    pass
    if exit_fd is not None:
        os.close(exit_fd)
    process.wait()
    return [*lines, *(_line(part) for part in rest.values() if part)]


def _exit_descriptor(process: subprocess.Popen[bytes]) -> int | None:
    """Return a descriptor that is readable once the process has ended; None where there is no such thing."""
    opener = getattr(os, "pidfd_open", None)
    try:
        return int(opener(process.pid)) if opener is not None else None
    except OSError:
        return None


def _copy(pipe: IO[bytes], to: int, rest: dict[int, bytes], lines: deque[str]) -> bool | None:
    """Copy what is there: True when there was something, None when there is nothing now, False at the end."""
    try:
        data = os.read(pipe.fileno(), READ_BYTES)
    except BlockingIOError:
        return None
    if not data:
        return False
    view = memoryview(data)
    while view:
        view = view[os.write(to, view) :]
    *whole, rest[to] = (rest[to] + data).split(b"\n")
    lines.extend(_line(line) for line in whole[-KEPT_LINES:])
    rest[to] = rest[to][-4 * MAX_LINE_CHARS :]
    return True


def _line(data: bytes) -> str:
    text = data.rpartition(b"\r")[2].decode("utf-8", "replace")
    return text if len(text) <= MAX_LINE_CHARS else text[: MAX_LINE_CHARS - 1] + "…"
