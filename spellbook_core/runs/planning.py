"""The statements of the SQLite run store that add the block runs of a plan, and the texts that they run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from spellbook_core.clock import to_text
from spellbook_core.model.naming import BlockRunId, RunId
from spellbook_core.model.run import Status
from spellbook_core.runs import codec
from spellbook_core.runs.database import Database
from spellbook_core.runs.records import NewBlockRun


def add(
    database: Database,
    run_id: RunId,
    place: tuple[str, str],
    blocks: Sequence[tuple[int, NewBlockRun]],
    *,
    now: datetime,
) -> list[BlockRunId]:
    """Add block runs (status initial) to a run and return their numbers, in order; call inside a transaction.

    Args:
        database: The run store's.
        run_id: The run.
        place: Its project and its pipeline.
        blocks: Each with its position in the run.
        now: When they were planned.
    """
    numbered = list(zip(_free_numbers(database, len(blocks)), blocks, strict=True))
    queued_at = to_text(now)
    database.execute_each(  # a text that is known already is left alone, which writes nothing
        "INSERT OR IGNORE INTO code (code_hash, source) VALUES (?, ?)",
        {block.code_hash: (block.code_hash, block.source) for _, block in blocks}.values(),
    )
    database.execute_each(
        "INSERT INTO block_runs (id, run_id, block, block_type, status, position, reason, code_hash, spec, queued_at,"
        " child, hangs_on) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                number,
                run_id,
                block.block,
                block.block_type,
                Status.INITIAL.value,
                position,
                block.reason,
                block.code_hash,
                codec.spec_text(block.spec),
                queued_at,
                block.spec.child,
                block.spec.hangs_on,
            )
            for number, (position, block) in numbered
        ],
    )
    database.execute_each(  # of children the block as a whole is what a notebook shows
        "INSERT INTO block_heads (project, pipeline, block, newest_id) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (project, pipeline, block) DO UPDATE SET newest_id = excluded.newest_id",
        [(*place, block.key, number) for number, (_, block) in numbered if not block.spec.child],
    )
    return [number for number, _ in numbered]


def _free_numbers(database: Database, count: int) -> list[BlockRunId]:
    """Return the next numbers that no block run ever had; nobody else takes them, as the transaction is the writer."""
    row = database.row("SELECT seq FROM sqlite_sequence WHERE name = 'block_runs'")
    used = 0 if row is None else int(row["seq"])
    return [BlockRunId(used + 1 + each) for each in range(count)]
