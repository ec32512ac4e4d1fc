"""The statements of the SQLite run store about block runs that wait, and about attempts that were not the last."""

from __future__ import annotations

from spellbook_core.clock import to_text
from spellbook_core.model.naming import BlockRunId
from spellbook_core.model.run import Status
from spellbook_core.runs import codec
from spellbook_core.runs.database import Database
from spellbook_core.runs.records import AttemptEnd, Waiting


def postpone(database: Database, block_run_id: BlockRunId, waiting: Waiting) -> bool:
    """See `RunStore.postpone_block`; call inside a transaction. False when there is no such unended block run."""
    updated = database.execute(
        "UPDATE block_runs SET status = ?, waiting_for = ?, waiting_since = ?, due_at = ?, retried = ?"
        " WHERE id = ? AND ended_at IS NULL AND attempt = coalesce(?, attempt)",
        (
            Status.QUEUED.value,
            waiting.what,
            to_text(waiting.since),
            None if waiting.due_at is None else to_text(waiting.due_at),
            waiting.retried,
            block_run_id,
            None if waiting.attempt is None else waiting.attempt.attempt,
        ),
    )
    end = waiting.attempt
    if updated.rowcount and end is not None:
        database.execute(
            "UPDATE attempts SET ended_at = ?, duration_s = ?, error = ? WHERE block_run_id = ? AND attempt = ?",
            (to_text(end.ended_at), end.duration_s, codec.error_text(end.error), block_run_id, end.attempt),
        )
    if waiting.forget is not None:
        database.execute("DELETE FROM attempts WHERE block_run_id = ? AND attempt = ?", (block_run_id, waiting.forget))
    return bool(updated.rowcount)


def earlier(database: Database, block_run_id: BlockRunId) -> list[AttemptEnd]:
    """See `RunStore.earlier_attempts`."""
    rows = database.rows(
        "SELECT * FROM attempts WHERE block_run_id = ? AND ended_at IS NOT NULL ORDER BY attempt", (block_run_id,)
    )
    return [codec.attempt_end(row) for row in rows]
