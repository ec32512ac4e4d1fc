"""A second place for the history: every run that ended is written into its folder too; `history` reads it back."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from spellbook_core.atomic import write_all
from spellbook_core.runs.database import Database

RUN_FILE = "run.json"
"""Holds the rows of a run as they are."""

_LOG = logging.getLogger("spellbook.runs")
_encode = json.JSONEncoder(ensure_ascii=False).encode


def write(database: Database, runs_dir: Path, run_id: int) -> None:
    """Write the rows of a run into its folder, whole or not at all; a disk that refuses is only logged."""
    run = database.row("SELECT * FROM pipeline_runs WHERE id = ?", (run_id,))
    if run is None:
        return
    block_runs = database.rows("SELECT * FROM block_runs WHERE run_id = ? ORDER BY position, id", (run_id,))
    attempts = database.rows(
        "SELECT attempts.* FROM attempts JOIN block_runs ON block_runs.id = block_run_id WHERE run_id = ?", (run_id,)
    )
    code: list[sqlite3.Row] = []
    if any(row["attempt"] == 0 for row in block_runs):  # the text of a block that executed is in its task
        code = database.rows(
            "SELECT DISTINCT code.* FROM code JOIN block_runs USING (code_hash) WHERE run_id = ? AND attempt = 0",
            (run_id,),
        )
    record = {
        "run": _named([run])[0],
        "block_runs": _named(block_runs),
        "attempts": _named(attempts),
        "code": {row["code_hash"]: row["source"] for row in code},
    }
    folder = runs_dir / str(run_id)
    draft = f"{folder}/{RUN_FILE}.tmp"
    try:
        handle = _opened(draft, folder)
        try:
            write_all(handle, _encode(record).encode())
        finally:
            os.close(handle)
        os.replace(draft, f"{folder}/{RUN_FILE}")
    except OSError as cause:
        _LOG.warning("the history of run %s has no second copy: %s", run_id, cause)
        with suppress(OSError):
            os.unlink(draft)


def _named(rows: Sequence[sqlite3.Row]) -> list[Mapping[str, object]]:
    """Return the rows of one statement as mappings; `dict(row)` would look for each name among all."""
    names = rows[0].keys() if rows else []
    return [dict(zip(names, row, strict=True)) for row in rows]


def _opened(path: str, folder: Path) -> int:
    """Return a descriptor of an empty private file, made with its folder where that is missing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, flags, 0o600)
