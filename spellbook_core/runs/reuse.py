"""The statements of the SQLite run store about outputs that may be used again."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from spellbook_core.model.children import node_key
from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName
from spellbook_core.runs import codec
from spellbook_core.runs.database import Database
from spellbook_core.runs.records import Fingerprint, LatestOutput, Reusable

MAX_KEPT = 30
"""Most fingerprints kept per block: going back to an earlier text finds its output again."""

_MARKS = 500
"""Most values in one statement; SQLite before 3.32 takes 999."""


def keep(
    database: Database,
    block_run_id: BlockRunId,
    row: sqlite3.Row,
    fingerprint: Fingerprint,
    result: tuple[str, str, str],
    *,
    made_at: str,
) -> None:
    """Note that a block run made outputs with a fingerprint; call inside a transaction.

    Args:
        database: The run store's.
        block_run_id: The block run.
        row: Its `run_id`, `block` and `child`, and the `project` and `pipeline` of its run.
        fingerprint: What its outputs depend on.
        result: Outputs, tests and warnings as columns' texts.
        made_at: When it ended, as a column's text.
    """
    where = (row["project"], row["pipeline"], node_key(row["block"], row["child"]), fingerprint.digest)
    recorded = codec.dump(dict(fingerprint.recorded))
    made = (row["run_id"], block_run_id, made_at, fingerprint.parts, recorded, *result)
    updated = database.execute(
        "UPDATE fingerprints SET run_id = ?5, block_run_id = ?6, made_at = ?7, parts = ?8, recorded = ?9,"
        " outputs = ?10, tests = ?11, warnings = ?12"
        " WHERE project = ?1 AND pipeline = ?2 AND block = ?3 AND fingerprint = ?4"
        " AND id = (SELECT max(id) FROM fingerprints WHERE project = ?1 AND pipeline = ?2 AND block = ?3)",
        (*where, *made),
    )
    if not updated.rowcount:  # it was not the newest of the block, whose order is that of the numbers
        database.execute(
            "DELETE FROM fingerprints WHERE project = ?1 AND pipeline = ?2 AND block = ?3 AND (fingerprint = ?4 OR"
            " id <= (SELECT id FROM fingerprints WHERE project = ?1 AND pipeline = ?2 AND block = ?3"
            " ORDER BY id DESC LIMIT 1 OFFSET ?5))",
            (*where, MAX_KEPT - 1),
        )
        database.execute(
            "INSERT INTO fingerprints (project, pipeline, block, fingerprint, run_id, block_run_id, made_at, parts,"
            " recorded, outputs, tests, warnings) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*where, *made),
        )
    if not fingerprint.meanings:
        return
    known = _known(database, fingerprint.meanings)
    for digest, meaning in fingerprint.meanings.items():
        if digest not in known:
            database.execute("INSERT INTO meanings (digest, meaning) VALUES (?, ?)", (digest, meaning))


def find(
    database: Database, project: ProjectName, pipeline: PipelineUuid, block: BlockUuid, fingerprint: str
) -> Reusable | None:
    """See `RunStore.find_reusable`."""
    row = database.row(
        "SELECT * FROM fingerprints WHERE project = ? AND pipeline = ? AND block = ? AND fingerprint = ?",
        (project, pipeline, block, fingerprint),
    )
    return None if row is None else codec.reusable(row)


def latest(database: Database, project: ProjectName, pipeline: PipelineUuid) -> dict[BlockUuid, LatestOutput]:
    """See `RunStore.latest_made`."""
    rows = database.rows(
        "SELECT block_heads.block, block_runs.outputs, block_runs.children, block_runs.ended_at, fingerprints.made_at,"
        " fingerprints.parts,"
        " fingerprints.recorded FROM block_heads JOIN block_runs ON block_runs.id = block_heads.completed_id"
        " LEFT JOIN fingerprints ON fingerprints.project = block_heads.project"
        " AND fingerprints.pipeline = block_heads.pipeline AND fingerprints.block = block_heads.block"
        " AND fingerprints.fingerprint = block_runs.fingerprint"
        " WHERE block_heads.project = ? AND block_heads.pipeline = ?",
        (project, pipeline),
    )
    return {BlockUuid(row["block"]): codec.latest_output(row) for row in rows}


def meanings(database: Database, digests: Collection[str]) -> dict[str, str]:
    """See `RunStore.meanings`."""
    found: dict[str, str] = {}
    for some in _batches(sorted(digests)):
        marks = ", ".join("?" * len(some))
        rows = database.rows(f"SELECT digest, meaning FROM meanings WHERE digest IN ({marks})", some)  # noqa: S608
        found.update((row["digest"], row["meaning"]) for row in rows)
    return found


def _known(database: Database, digests: Collection[str]) -> set[str]:
    found: set[str] = set()
    for some in _batches(sorted(digests)):
        marks = ", ".join("?" * len(some))
        rows = database.rows(f"SELECT digest FROM meanings WHERE digest IN ({marks})", some)  # noqa: S608
        found.update(row["digest"] for row in rows)
    return found


def _batches(values: Sequence[str]) -> Iterator[tuple[str, ...]]:
    left = iter(values)
    while some := tuple(islice(left, _MARKS)):
        yield some
