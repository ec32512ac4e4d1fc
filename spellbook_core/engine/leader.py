"""Who leads: the process that holds the lock on `engine.lock`. The kernel lets go of it however the process ends."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from spellbook_core.atomic import write_atomically
from spellbook_core.project.layout import Workspace


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the leading engine says of itself.

    Attributes:
        started: UTC text of `clock.to_text`.
        socket: Absolute path of its unix socket.
        protocol: Version of the messages on it.
    """

    pid: int
    started: str
    boot_id: str
    socket: str
    version: str
    protocol: int


class Leadership:
    """The held lock of a workspace; let go of by `release` or by the end of the process."""

    def __init__(self, workspace: Workspace, handle: int) -> None:
        """Keep the locked descriptor; use `take`."""
        self._workspace = workspace
        self._handle = handle

    @classmethod
    def take(cls, workspace: Workspace) -> Leadership | None:
        """Return the leadership, or None when another process leads; never waits."""
        workspace.ensure_state_dir()
        handle = os.open(workspace.engine_lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return cls(workspace, handle)

    def announce(self, info: EngineInfo) -> None:
        """Tell where the engine listens; call once it does."""
        data = json.dumps(asdict(info), indent=2).encode() + b"\n"
        write_atomically(self._workspace.engine_info_path, data, mode=0o600)

    def release(self) -> None:
        """Take the announcement back and let another process lead."""
        self._workspace.engine_info_path.unlink(missing_ok=True)
        os.close(self._handle)


def read_info(workspace: Workspace) -> EngineInfo | None:
    """Return what the newest engine announced; it may have been killed since."""
    with suppress(FileNotFoundError, ValueError, TypeError):
        data = json.loads(Path(workspace.engine_info_path).read_text("utf-8"))
        return EngineInfo(**data)
    return None
