"""The engine's side of one zygote: how it is started, what it is asked, what it last said."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from spellbook_core.executors.building import is_made, take
from spellbook_core.executors.foreign import variables_of
from spellbook_core.model.recipe import Recipe
from spellbook_core.model.task import Environment
from spellbook_core.model.values import JsonValue
from spellbook_core.worker import boot as boot_file
from spellbook_core.worker import preload
from spellbook_core.worker.options import Options
from spellbook_core.worker.wire import Channel

END_WAIT_S = 5.0
"""How long an ended warm process is waited for; it only has to leave its loop."""

_LEFT: list[subprocess.Popen[bytes]] = []
"""Processes that still watch running attempts; kept so that Python does not complain about not waiting for them."""


@dataclass(slots=True, eq=False)
class WarmProcess:
    """A zygote.

    Attributes:
        preload: Packages that it was started for.
        mode: `starting`, then `fork` or `spare`.
        loaded: Packages that are warm in it; fewer than `preload` when not all were safe to fork after.
        used_at: Monotonic seconds of the last use.
        folders: The attempts that run in it, with their folders.
        recipe: Of an environment of ours; while that is made, attempts are `waiting` here, and can be taken back.
        is_made_first: Whether the environment was not there when the process was started.
        is_written_when_ready: Whether the selector is asked to say when its channel takes more.
        hold: Keeps the environment from being removed.
    """

    python: str | None
    preload: tuple[str, ...]
    channel: Channel
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    recipe: Recipe | None = None
    is_made_first: bool = False
    is_written_when_ready: bool = False
    hold: int | None = None
    waiting: dict[tuple[int, int], tuple[Path, float | None]] = field(default_factory=dict)
    mode: str = "starting"
    loaded: tuple[str, ...] = ()
    used_at: float = field(default_factory=time.monotonic)
    folders: dict[tuple[int, int], str] = field(default_factory=dict)

    @classmethod
    def start(cls, environment: Environment, mode: str, folder: Path) -> WarmProcess:
        """Start a zygote in a session of its own; it is warm when it says so.

        Raises:
            OSError: The interpreter cannot be started.
        """
        packages = preload.preload_list(environment.preload)
        variables = {**variables_of(environment.python), **preload.ENVIRONMENT}
        restore = {name: os.environ.get(name) for name in preload.ENVIRONMENT}
        boot = None if environment.python is None else boot_file.__file__
        options = Options(packages, packages if mode == "fork" else (), mode, restore, boot)
        command = options.command("spellbook_core.worker.zygote", environment.python or sys.executable)
        making = _making(environment)
        ours, theirs = socket.socketpair()
        errors = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process; closed in `close`
        try:
            process = subprocess.Popen(
                [*making, *command, str(theirs.fileno()), options.to_text()],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                pass_fds=[theirs.fileno()],
                env=variables,
                cwd=folder,
                start_new_session=True,
            )
        except OSError:
            ours.close()
            errors.close()
            raise
        finally:
            theirs.close()
        made = cls(environment.python, packages, Channel(ours), process, errors, recipe=environment.recipe)
        made.is_made_first = bool(making)
        return made

    @property
    def pid(self) -> int:
        """The zygote's process id."""
        return self.process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it has finished importing."""
        return self.mode != "starting"

    @property
    def was_killed(self) -> bool:
        """Whether somebody ended it by force, so that another one may well start; known once it is closed."""
        return self.process.returncode == -signal.SIGKILL

    def serves(self, environment: Environment) -> bool:
        """Return whether blocks of `environment` may run in it: same interpreter, all packages warm."""
        wanted = preload.preload_list(environment.preload)
        return self.python == environment.python and set(wanted) <= set(self.preload)

    def covers(self, other: WarmProcess) -> bool:
        """Return whether everything that `other` can serve, this one can."""
        return self.python == other.python and set(other.preload) <= set(self.preload)

    def run(self, key: tuple[int, int], attempt_dir: Path, timeout_s: float | None, ahead: Sequence[Path] = ()) -> None:
        """Ask for an attempt; one that is still importing begins it when it has finished.

        The folders `ahead` are made while it runs, in the zygote's process instead of the engine's.
        """
        self.folders[key] = str(attempt_dir)
        self.used_at = time.monotonic()
        if self.recipe is not None and not self.is_ready:
            self.waiting[key] = (attempt_dir, timeout_s)
            return
        self.channel.send(
            {
                "op": "run",
                "id": key[0],
                "attempt": key[1],
                "dir": str(attempt_dir),
                "timeout_s": timeout_s,
                "ahead": [str(folder) for folder in ahead],
            }
        )

    def take_back(self, key: tuple[int, int]) -> bool:
        """Forget an attempt that waits for the environment; False when it does not wait any more."""
        if self.waiting.pop(key, None) is None:
            return False
        del self.folders[key]
        return True

    def cancel(self, key: tuple[int, int], grace_s: float) -> None:
        """Ask for the end of an attempt."""
        self.channel.send({"op": "cancel", "id": key[0], "attempt": key[1], "grace_s": grace_s})

    def on_ready(self, message: dict[str, JsonValue]) -> None:
        """Take note that it serves, and begin what waited for it."""
        self.mode = str(message["mode"])
        self.loaded = tuple(cast("list[str]", message["preload"]))
        if self.recipe is not None:
            self.hold = take(self.recipe.folder, alone=False, wait=False)
        waiting, self.waiting = self.waiting, {}
        for key, (folder, timeout_s) in waiting.items():
            self.run(key, folder, timeout_s)

    def last_words(self) -> str:
        """Return the last line that it printed, e.g. the import error that ended it."""
        with suppress(OSError, ValueError):
            self.errors.seek(0)
            lines = self.errors.read()[-4_000:].decode("utf-8", "replace").strip().splitlines()
            return lines[-1] if lines else ""
        return ""

    def close(self, *, is_busy: bool) -> None:
        """Let it end: at once when nothing runs in it, else after the last attempt has sealed."""
        self.channel.close()
        self.errors.close()
        if self.hold is not None:
            os.close(self.hold)
        if is_busy:
            _LEFT.append(self.process)
            return
        try:
            self.process.wait(END_WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _making(environment: Environment) -> list[str]:
    """Return what comes before the command of a process whose environment must be made first."""
    recipe = environment.recipe
    if recipe is None or recipe.into is not None or is_made(recipe):
        return []
    return [sys.executable, boot_file.__file__, "spellbook_core.executors.building", recipe.to_text()]
