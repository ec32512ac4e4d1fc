"""One SQLite file as several threads and processes use it: the only place that knows about locks, WAL and damage.

Measured for this design: 20 processes x 25 transactions with Python's default deferred transactions lost 461 of 500 to
"database is locked", whatever the timeout; with WAL and BEGIN IMMEDIATE none.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from spellbook_core.errors import StorageError
from spellbook_core.runs.schema import migrate
from spellbook_core.runs.store import StoreBusyError

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another. 20 writers without a pause waited 0.3 s at most when this was measured."""

MIN_COMPACT_BYTES = 4 * 1024 * 1024
"""Free space in the file that is left to be used again."""

_DAMAGE = ("malformed", "not a database", "disk image")
_REFUSALS = {
    "disk is full": "No space left on device",
    "disk I/O error": "Input/output error",
    "readonly database": "Read-only file system",
    "unable to open database": "It cannot be opened",
}
"""SQLite's words -> what they mean, in the system's words."""

_LOG = logging.getLogger("spellbook.runs")


_JOINED: AbstractContextManager[None] = nullcontext()


class _Connection(sqlite3.Connection):
    """A connection that knows which file it opened."""

    file_id: tuple[int, int] = (0, 0)


class _OfThread(threading.local):
    """What each thread has of its own.

    Attributes:
        connection: Opened when first used.
        depth: Whether a transaction is under way.
        durable: Whether its end waits for the disk.
    """

    connection: _Connection | None = None
    depth: int = 0
    durable: bool = False


class Database:
    """A SQLite file with one connection per thread, opened when first used.

    A damaged file is moved aside as `<name>.corrupt-<milliseconds>` and an empty one takes its place; a file deleted
    under a running process is made anew.
    """

    def __init__(self, path: Path, *, on_created: Callable[[sqlite3.Connection], None] | None = None) -> None:
        """Remember where the file is; nothing is opened.

        Args:
            path: The database; its folder exists.
            on_created: Called inside no transaction after a fresh schema was made.
        """
        self.path = path
        self.notices: list[str] = []
        self._on_created = on_created
        self._local = _OfThread()
        self._open: list[tuple[threading.Thread, _Connection]] = []

    def transaction(self, *, durable: bool = False) -> AbstractContextManager[None]:
        """Hold the write lock; commit at the end, or roll back when the body raises. Nested ones join."""
        if self._local.depth:
            self._local.durable |= durable
            return _JOINED
        return self._outermost(durable)

    @contextmanager
    def _outermost(self, durable: bool) -> Iterator[None]:
        try:
            connection = self._begin()
            self._local.depth, self._local.durable = 1, durable
            yield
            try:
                connection.execute("COMMIT")
            except sqlite3.OperationalError as cause:
                if (refusal := self._refusal(cause)) is None:
                    raise
                raise refusal from cause
        except BaseException:  # also KeyboardInterrupt, just behind BEGIN too: the lock must not stay held
            if (held := self._local.connection) is not None:
                with suppress(sqlite3.Error):
                    held.execute("ROLLBACK")
            raise
        finally:
            self._local.depth = 0
        if self._local.durable:
            # What FULL does at COMMIT; `synchronous` cannot be changed inside a transaction, and only its end knows.
            _flush(Path(f"{self.path}-wal"))

    def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run one writing statement inside the current transaction.

        Raises:
            StorageError: The disk refused; nothing of the transaction was written. [SB-SYS-006]
        """
        try:
            return self._connection().execute(statement, values)
        except sqlite3.OperationalError as cause:
            if (refusal := self._refusal(cause)) is None:
                raise
            raise refusal from cause

    def execute_each(self, statement: str, values: Iterable[Sequence[object]]) -> None:
        """Run one writing statement for each of `values`, inside the current transaction; raises as `execute` does."""
        try:
            self._connection().executemany(statement, values)
        except sqlite3.OperationalError as cause:
            if (refusal := self._refusal(cause)) is None:
                raise
            raise refusal from cause

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """Return all rows of one reading statement."""
        try:
            return self._connection().execute(statement, values).fetchall()
        except sqlite3.DatabaseError as cause:
            self._mend(cause)
        return self._connection().execute(statement, values).fetchall()

    def row(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Row | None:
        """Return the first row of one reading statement."""
        found = self.rows(statement, values)
        return found[0] if found else None

    def compact(self) -> int:
        """Give unused pages back to the disk when they are a quarter of the file and more than 4 MiB.

        Returns:
            Bytes by which the file shrank; 0 when another process uses it right now.
        """
        connection = self._connection()
        page, pages, free = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_size", "page_count", "freelist_count")
        )
        if free * page < MIN_COMPACT_BYTES or free * 4 < pages:
            return 0
        try:
            connection.execute("VACUUM")
        except sqlite3.OperationalError:
            return 0
        return free * page

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._open:
            self._open.pop()[1].close()
        self._local = _OfThread()

    # -- connections ----------------------------------------------------------------------------------------------

    def _connection(self) -> _Connection:
        local = self._local
        connection = local.connection
        if connection is not None and (local.depth or connection.file_id == _file_id(self.path)):
            return connection
        if connection is not None:
            connection.close()
            self._notice(f"{self.path.name} was deleted or replaced while it was in use; a fresh one is used.")
        local.connection = None
        local.connection = self._opened()
        return local.connection

    def _refusal(self, cause: sqlite3.DatabaseError) -> StorageError | None:
        """Return what tells a disk that is full, broken or read-only as what it is; None when that is not the cause.

        Nothing of the transaction was written then.
        """
        if not isinstance(cause, sqlite3.OperationalError):
            return None
        words = next((words for sign, words in _REFUSALS.items() if sign in str(cause)), None)
        return None if words is None else _refused(self.path, words)

    def _opened(self) -> _Connection:
        with self._file_lock():
            try:
                try:
                    connection = self._connected()
                except sqlite3.DatabaseError as cause:
                    if not _is_damage(cause):
                        raise
                    self._move_aside(str(cause))
                    connection = self._connected()
            except sqlite3.OperationalError as cause:
                if (refusal := self._refusal(cause)) is None:
                    raise
                raise refusal from cause
        self._close_those_of_dead_threads()
        self._open.append((threading.current_thread(), connection))
        return connection

    def _close_those_of_dead_threads(self) -> None:
        """Close what nobody can use any more: a connection holds three descriptors until the garbage collector runs."""
        for entry in list(self._open):
            if not entry[0].is_alive():
                with suppress(ValueError):  # another thread has seen to it
                    self._open.remove(entry)
                    entry[1].close()

    def _connected(self) -> _Connection:
        if not self.path.exists():
            for leftover in self._log_files():
                leftover.unlink(missing_ok=True)  # an old write-ahead log must not be played into a new file
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,  # close() closes those of other threads
            factory=_Connection,
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            if migrate(connection, self.path) and self._on_created:
                self._on_created(connection)
        except BaseException:  # also KeyboardInterrupt: no open descriptor may stay
            connection.close()
            raise
        connection.file_id = _file_id(self.path)
        return connection

    def _begin(self) -> _Connection:
        try:
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.DatabaseError as cause:
            self._mend(cause)
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
        return connection

    # -- damage ---------------------------------------------------------------------------------------------------

    def _mend(self, cause: sqlite3.DatabaseError) -> None:
        """Replace the file where `cause` says that it is damaged: what failed is then tried once more; else raise."""
        if (refusal := self._refusal(cause)) is not None:
            raise refusal from cause
        if "locked" in str(cause) or "busy" in str(cause):
            raise StoreBusyError(
                f"{self.path.name} was locked by another process for more than {BUSY_TIMEOUT_S:.0f} s.",
                hint="close the program that holds it (a database browser, a backup), then try again.",
                path=str(self.path),
            ) from cause
        if self._local.depth or not _is_damage(cause):
            raise cause
        self._replace_damaged(str(cause))

    def _replace_damaged(self, reason: str) -> None:
        connection = self._local.connection
        if connection is None:
            return
        with suppress(sqlite3.Error):
            connection.close()
        self._local.connection = None
        with self._file_lock():
            if connection.file_id == _file_id(self.path):  # else another process has replaced it already
                self._move_aside(reason)

    def _move_aside(self, reason: str) -> None:
        aside = f"{self.path.name}.corrupt-{time.time_ns() // 1_000_000}"
        for file in (self.path, *self._log_files()):
            with suppress(FileNotFoundError):
                file.rename(self.path.with_name(aside + file.name.removeprefix(self.path.name)))
        self._notice(f"{self.path.name} was damaged ({reason}); it was moved aside as {aside} and a fresh one is used.")

    def _log_files(self) -> tuple[Path, Path]:
        return Path(f"{self.path}-wal"), Path(f"{self.path}-shm")

    @contextmanager
    def _file_lock(self) -> Iterator[None]:
        """Let one process at a time decide what happens to the file itself."""
        try:
            handle = os.open(f"{self.path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as cause:
            raise _refused(self.path, cause.strerror or str(cause)) from cause
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _notice(self, text: str) -> None:
        self.notices.append(text)
        _LOG.warning(text)


def _refused(path: Path, words: str) -> StorageError:
    return StorageError(
        f"Cannot write {path}: {words}.",
        hint="free some disk space or make the folder writable, then try again; what was stored is intact.",
        path=str(path),
    )


def _is_damage(cause: sqlite3.DatabaseError) -> bool:
    return any(word in str(cause) for word in _DAMAGE)


def _file_id(path: Path) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return (-1, -1)
    return (found.st_dev, found.st_ino)


def _flush(path: Path) -> None:
    with suppress(FileNotFoundError):
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(handle)
        finally:
            os.close(handle)
