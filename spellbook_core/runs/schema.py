"""Numbered migrations: each file in `migrations/` is applied once, in order, in one transaction."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path

from spellbook_core.runs.store import NewerStoreError


@cache
def migrations() -> tuple[tuple[int, str], ...]:
    """Return (number, SQL text) of every migration this version knows, in order."""
    folder = files("spellbook_core.runs") / "migrations"
    found = [
        (int(file.name[:4]), file.read_text(encoding="utf-8")) for file in folder.iterdir() if file.name[:4].isdigit()
    ]
    return tuple(sorted(found))


def migrate(connection: sqlite3.Connection, path: Path) -> bool:
    """Bring the database to this version's schema; return whether it was empty before.

    Raises:
        NewerStoreError: A newer version wrote it; nothing was changed. [SB-RUN-002]
    """
    newest = migrations()[-1][0]
    if _version(connection) == newest:
        return False
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)  # again: another process may have migrated while this one waited
        if version > newest:
            raise NewerStoreError(
                f"{path.name} has schema {version}; this Spellbook knows {newest}.",
                hint="upgrade Spellbook, or open the workspace with the version that wrote it.",
                path=str(path),
            )
        for number, text in migrations():
            if number > version:
                for statement in _statements(text):
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {newest:d}")
        connection.execute("COMMIT")
    except BaseException:  # also KeyboardInterrupt: a half-made schema must not stay
        with suppress(sqlite3.Error):  # a disk that refused the commit has rolled it back already
            connection.execute("ROLLBACK")
        raise
    return version == 0


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(text: str) -> list[str]:
    """Split a script at the semicolons that end statements (`executescript` would commit the transaction)."""
    statements, pending = [], ""
    for line in text.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
