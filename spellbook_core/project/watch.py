"""Telling when files of a workspace change, by the operating system's events; nothing is polled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path, PurePath

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from spellbook_core.errors import StorageError

QUIET_S = 0.1
"""Changes are told when none came for so long: an editor's save is several events."""

MAX_WAIT_S = 0.5
"""Changes are told after so long at the latest, however many still come (a git checkout)."""

IGNORED_NAMES = frozenset({"__pycache__", "node_modules", "site-packages"})
_TOLD = frozenset({"created", "modified", "deleted", "moved", "closed"})


def is_ignored(relative: str) -> bool:
    """Return whether a path is of no interest: hidden (`.spellbook`, `.git`, our temporary files), caches, backups."""
    return any(
        part.startswith(".") or part in IGNORED_NAMES or part.endswith(("~", ".pyc", ".swp", ".tmp", ".egg-info"))
        for part in PurePath(relative).parts
    )


class ProjectWatcher(FileSystemEventHandler):
    """Calls `on_change` with each changed path below `root`, relative and with `/`, a burst told once.

    `on_change` runs on the watcher's own thread. Hidden folders directly in `root` are not watched at all, so the run
    store's writes cost nothing.
    """

    def __init__(self, root: Path, on_change: Callable[[str], None]) -> None:
        self._root = root.resolve()
        self._on_change = on_change
        self._observer = Observer()
        self._changed: dict[str, None] = {}
        self._last = 0.0
        self._condition = threading.Condition()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._tell, name="spellbook-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch; changes made after this returns are told.

        Raises:
            StorageError: The system has no watch left, or the folder is gone. [SB-SYS-006]
        """
        try:
            self._observer.schedule(self, str(self._root), recursive=False)
            for child in sorted(self._root.iterdir()):
                self._watch_folder(child)
            self._observer.start()
        except OSError as cause:
            raise StorageError(
                f"Cannot watch {self._root}: {cause.strerror or cause}.",
                hint="raise fs.inotify.max_user_watches; until then, reload the page to see changes.",
                path=str(self._root),
            ) from cause
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; returns when no further call will be made."""
        with self._condition:
            self._is_stopping = True
            self._condition.notify_all()
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note a change (called by watchdog's thread)."""
        if event.event_type not in _TOLD or (event.is_directory and event.event_type == "modified"):
            return
        for text in (event.src_path, event.dest_path):
            path = Path(text if isinstance(text, str) else bytes(text).decode("utf-8", "surrogateescape"))
            if not text or path == self._root or not path.is_relative_to(self._root):
                continue
            relative = path.relative_to(self._root).as_posix()
            if is_ignored(relative):
                continue
            if event.is_directory and path.parent == self._root:
                self._watch_folder(path)
            with self._condition:
                self._changed[relative] = None
                self._last = time.monotonic()
                self._condition.notify_all()

    def _watch_folder(self, folder: Path) -> None:
        if folder.is_dir() and not folder.is_symlink() and not is_ignored(folder.name):
            self._observer.schedule(self, str(folder), recursive=True)

    def _tell(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._changed or self._is_stopping)
                first = time.monotonic()
                while not self._is_stopping:
                    now = time.monotonic()
                    left = min(self._last + QUIET_S, first + MAX_WAIT_S) - now
                    if left <= 0:
                        break
                    self._condition.wait(left)
                if self._is_stopping:
                    return
                changed, self._changed = self._changed, {}
            for relative in changed:
                self._on_change(relative)
