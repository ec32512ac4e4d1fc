"""Files that waiting sensors watch: the system's events wake the engine's loop through a pipe; nothing is polled."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from spellbook_core.engine.sensing import SensorPolicy
from spellbook_core.errors import SpellbookError
from spellbook_core.model.naming import BlockRunId

if TYPE_CHECKING:
    from spellbook_core.project.watch import ProjectWatcher

_LOG = logging.getLogger("spellbook.engine")


class FileWatch:
    """Tells which block runs watch a file that changed. One watcher per project, only while somebody watches."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._watching: dict[BlockRunId, tuple[Path, SensorPolicy]] = {}
        self._watchers: dict[Path, ProjectWatcher] = {}
        self._changed: set[tuple[Path, str]] = set()
        self._lock = threading.Lock()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def fileno(self) -> int:
        """Return a descriptor that is readable when `changed` would return something."""
        return self._reader

    def add(self, block_run_id: BlockRunId, root: Path, policy: SensorPolicy) -> None:
        """Begin to tell changes for a block run; when the system has no watch left, it is left to its next look."""
        if not policy.watch or block_run_id in self._watching:
            return
        if root not in self._watchers:
            from spellbook_core.project.watch import ProjectWatcher  # 5 ms that a run without such sensors does not pay

            watcher = ProjectWatcher(root, partial(self._note, root))
            try:
                watcher.start()
            except SpellbookError as error:
                _LOG.warning("a sensor is not woken by files: %s", error)
                watcher.stop()
                return
            self._watchers[root] = watcher
        self._watching[block_run_id] = (root, policy)

    def drop(self, block_run_id: BlockRunId) -> None:
        """Stop telling changes for a block run; without effect when it watches nothing."""
        found = self._watching.pop(block_run_id, None)
        if found is not None and all(root != found[0] for root, _ in self._watching.values()):
            self._watchers.pop(found[0]).stop()

    def changed(self) -> list[BlockRunId]:
        """Return the block runs that watch a file which changed since, each once."""
        with suppress(BlockingIOError):
            os.read(self._reader, 4096)
        with self._lock:
            changed, self._changed = self._changed, set()
        return [
            number
            for number, (root, policy) in self._watching.items()
            if any(place == root and policy.watches(relative) for place, relative in changed)
        ]

    def close(self) -> None:
        """Stop watching."""
        stops: list[Callable[[], None]] = [watcher.stop for watcher in self._watchers.values()]
        self._watchers, self._watching = {}, {}
        for stop in stops:
            stop()
        os.close(self._reader)
        os.close(self._writer)

    def _note(self, root: Path, relative: str) -> None:
        """Called on the watcher's thread."""
        with self._lock:
            self._changed.add((root, relative))
        with suppress(BlockingIOError):  # full: the loop is about to look anyway
            os.write(self._writer, b".")
