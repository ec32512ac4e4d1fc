"""The world of a chaotic life: a disk that can be full, a clock that can jump, a page that can be killed.

Disk and clock are those of every process that is started with `faults/diskfaults.so` ahead of the C library.
"""

from __future__ import annotations

import mmap
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__).parent / "faults/diskfaults.c"
SHARED = "FAULT_WORLD"
"""Names the file that the processes of one life share; it is how they are known, too."""

ANSWER_S = 10.0


def compiled(folder: Path) -> Path | None:
    """Return the library that refuses changes of files, compiled into `folder`; None where that is not possible."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    path = folder / "diskfaults.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", path, SOURCE, "-ldl"], check=True)
    return path


def surroundings(folder: Path, workspace: Path) -> dict[str, str]:
    """Return the environment in which a life's processes are started; its files lie in `folder`."""
    shared, library = folder / "world", compiled(folder)
    shared.write_bytes(struct.pack("ll", 0, 0))
    found = {**os.environ, "PYTHONPATH": str(ROOT), SHARED: str(shared), "FAULT_FOLDER": str(workspace)}
    return found if library is None else {**found, "LD_PRELOAD": str(library)}


class World:
    """Disk and clock of this process and of all that it starts; see `surroundings`."""

    def __init__(self) -> None:
        path = os.environ[SHARED]
        with open(path, "r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 0)
        self.can_change = "LD_PRELOAD" in os.environ

    def fill_disk(self, is_full: bool) -> None:
        """Refuse every change of a file of the workspace from now on, or no longer."""
        self._shared[:8] = struct.pack("l", int(is_full))

    def jump(self, seconds: int) -> None:
        """Put the wall clock forward, or backward."""
        (now,) = struct.unpack("l", self._shared[8:])
        self._shared[8:] = struct.pack("l", now + seconds)

    @staticmethod
    def processes() -> list[int]:
        """Return the processes of this world, but for this one and those above it."""
        mark = f"{SHARED}={os.environ[SHARED]}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                is_ours = mark in (folder / "environ").read_bytes().split(b"\0")
                is_over = (folder / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
                if is_ours and not is_over and int(folder.name) != os.getpid():
                    found.append(int(folder.name))
        return found


@dataclass
class Page:
    """The process that serves the page, started again and again.

    Attributes:
        log: What it prints; outside of the workspace.
    """

    workspace: Path
    log: Path
    process: subprocess.Popen[bytes] | None = None
    _printed: Path = field(init=False)
    _starts: int = 0

    def ensure(self) -> None:
        """Start it where it does not run; whether it answers is seen later."""
        if self.process is not None and self.process.poll() is None:
            return
        self._starts += 1
        self._printed = self.log.with_suffix(f".{self._starts}")
        command = ["-P", "-m", "spellbook_core.serve", "--workspace", self.workspace, "--port", "0", "--no-browser"]
        with self._printed.open("wb") as file:
            self.process = subprocess.Popen([sys.executable, *command], stdout=file, stderr=subprocess.STDOUT)

    def address(self) -> str | None:
        """Return where it answers; None while it does not."""
        if self.process is None or self.process.poll() is not None:
            return None
        found = re.search(r"(http://\S+?)/\?\S*?token=", self._printed.read_text("utf-8", "replace"))
        return found and found[1]

    def post(self, path: str, body: object, *, with_token: bool = True) -> httpx.Response:
        """Ask it for something; raises httpx.HTTPError when it does not answer, or never did."""
        address = self.address()
        if address is None:
            raise httpx.ConnectError("the page is not there")
        token = (self.workspace / ".spellbook/token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"} if with_token else {}
        return httpx.post(f"{address}{path}", json=body, headers=headers, timeout=ANSWER_S)

    def kill(self) -> bool:
        """Kill it; False when it is not there."""
        if self.process is None or self.process.poll() is not None:
            return False
        self.process.kill()
        self.process.wait()
        return True

    def end(self) -> None:
        """End it as a person does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
