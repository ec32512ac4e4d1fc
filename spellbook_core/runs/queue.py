"""The statements of the SQLite run store about runs that have not ended: who begins next, and who waits for what."""

from __future__ import annotations

import sqlite3

from spellbook_core.model.naming import PipelineUuid, ProjectName, RunId
from spellbook_core.model.run import Status
from spellbook_core.runs import codec
from spellbook_core.runs.database import Database
from spellbook_core.runs.records import UnendedRun

_COLUMNS = "id, status, owner, cancel_requested_at, project, pipeline, trigger_kind, selection, priority, waiting_for"


def unended(database: Database, after: RunId | None) -> list[UnendedRun]:
    """See `RunStore.unended_runs`; with `after` both parts are indexed reads of what is new."""
    if after is None:
        rows = database.rows(f"SELECT {_COLUMNS} FROM pipeline_runs WHERE is_ended = 0 ORDER BY id")  # noqa: S608
    else:
        rows = database.rows(
            f"SELECT {_COLUMNS} FROM pipeline_runs WHERE is_ended = 0 AND id > ? UNION"  # noqa: S608
            f" SELECT {_COLUMNS} FROM pipeline_runs INDEXED BY pipeline_runs_asked_to_end"
            " WHERE is_ended = 0 AND cancel_requested_at IS NOT NULL"
            " ORDER BY id",
            (after,),
        )
    return [_unended(row) for row in rows]


def wait(database: Database, run_id: RunId, waiting_for: str | None) -> None:
    """See `RunStore.wait_run`; call inside a transaction."""
    database.execute(
        "UPDATE pipeline_runs SET waiting_for = ? WHERE id = ? AND is_ended = 0 AND started_at IS NULL",
        (waiting_for, run_id),
    )


def _unended(row: sqlite3.Row) -> UnendedRun:
    return UnendedRun(
        id=RunId(row["id"]),
        status=Status(row["status"]),
        owner=codec.process(row["owner"]),
        is_cancelled=row["cancel_requested_at"] is not None,
        project=ProjectName(row["project"]),
        pipeline=PipelineUuid(row["pipeline"]),
        trigger=row["trigger_kind"],
        selection=codec.selection(row["selection"]),
        priority=row["priority"],
        waiting_for=row["waiting_for"],
    )
