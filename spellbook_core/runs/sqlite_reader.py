"""What is read from a run store on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import cast

from spellbook_core.model.children import node_key
from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.run import BlockRun, PipelineRun, Status
from spellbook_core.model.values import JsonValue, YamlValue
from spellbook_core.runs import codec, queue, reuse
from spellbook_core.runs import waiting as waits
from spellbook_core.runs.database import Database
from spellbook_core.runs.records import (
    Attempt,
    AttemptEnd,
    BlockSpec,
    EngineBeat,
    LatestOutput,
    ProcessIdentity,
    Reusable,
    RunFilter,
    RunsPage,
    UnendedRun,
)
from spellbook_core.runs.store import RunNotFoundError


class SqliteRunReader:
    """The questions of `RunStore`, answered from one SQLite file."""

    def __init__(self, database: Database) -> None:
        """Read from `database`."""
        self._database = database

    def run(self, run_id: RunId) -> PipelineRun:
        """See `RunStore`."""
        row = self._database.row("SELECT * FROM pipeline_runs WHERE id = ?", (run_id,))
        if row is None:
            raise no_run(run_id)
        return codec.pipeline_run(row)

    def runs(self, where: RunFilter, *, offset: int, limit: int) -> RunsPage:
        """See `RunStore`."""
        conditions, values = _conditions(where)
        counted = self._database.row(f"SELECT count(*) AS total FROM pipeline_runs{conditions}", values)  # noqa: S608
        rows = self._database.rows(
            # the inner part sorts numbers of an index, not whole rows
            f"SELECT * FROM pipeline_runs WHERE id IN (SELECT id FROM pipeline_runs{conditions}"  # noqa: S608
            " ORDER BY id DESC LIMIT ? OFFSET ?) ORDER BY id DESC",
            (*values, limit, offset),
        )
        return RunsPage(tuple(codec.pipeline_run(row) for row in rows), counted["total"] if counted else 0)

    def unended_runs(self, *, after: RunId | None = None) -> list[UnendedRun]:
        """See `RunStore`."""
        return queue.unended(self._database, after)

    def specs(self, run_id: RunId) -> dict[BlockRunId, BlockSpec]:
        """See `RunStore`."""
        rows = self._database.rows("SELECT id, spec FROM block_runs WHERE run_id = ? ORDER BY position, id", (run_id,))
        return {BlockRunId(row["id"]): codec.spec(row["spec"]) for row in rows}

    def pipeline_variables(self, run_id: RunId) -> dict[str, YamlValue] | None:
        """See `RunStore`."""
        row = self._database.row("SELECT pipeline_variables FROM pipeline_runs WHERE id = ?", (run_id,))
        return None if row is None or row[0] is None else codec.mapping(row[0])

    def attempts(self, run_id: RunId) -> list[Attempt]:
        """See `RunStore`."""
        rows = self._database.rows(
            "SELECT attempts.* FROM attempts JOIN block_runs ON block_runs.id = attempts.block_run_id"
            " AND block_runs.attempt = attempts.attempt WHERE block_runs.run_id = ? ORDER BY block_runs.position",
            (run_id,),
        )
        return [_attempt(row) for row in rows]

    def earlier_attempts(self, block_run_id: BlockRunId) -> list[AttemptEnd]:
        """See `RunStore`."""
        return waits.earlier(self._database, block_run_id)

    def block_run(self, block_run_id: BlockRunId) -> BlockRun:
        """See `RunStore`."""
        return codec.block_run(self._block_run_row(block_run_id))

    def _block_run_row(
        self, block_run_id: BlockRunId, statement: str = "SELECT * FROM block_runs WHERE id = ?"
    ) -> sqlite3.Row:
        """Return the row that `statement` finds for a block run; what runs per block asks for a few columns only."""
        row = self._database.row(statement, (block_run_id,))
        if row is None:
            raise RunNotFoundError(
                f"There is no block run {block_run_id}.", hint="look for its run in the list of runs."
            )
        return row

    def children(self, block_run: BlockRun) -> list[BlockRun]:
        """See `RunStore`."""
        rows = self._database.rows(
            "SELECT * FROM block_runs WHERE run_id = ? AND position = ? AND child <> '' ORDER BY id",
            (block_run.run_id, block_run.position),
        )
        return [codec.block_run(row) for row in rows]

    def child_counts(self, run_id: RunId) -> dict[BlockUuid, dict[Status, int]]:
        """See `RunStore`."""
        rows = self._database.rows(
            "SELECT block, hangs_on, status, count(*) AS number FROM block_runs WHERE run_id = ? AND child <> ''"
            " GROUP BY position, block, hangs_on, status",
            (run_id,),
        )
        counts: dict[BlockUuid, dict[Status, int]] = {}
        for row in rows:
            counts.setdefault(node_key(row["block"], "", row["hangs_on"]), {})[Status(row["status"])] = row["number"]
        return counts

    def block_runs(self, run_id: RunId, *, with_children: bool = True) -> list[BlockRun]:
        """See `RunStore`."""
        only = "" if with_children else " AND child = ''"
        rows = self._database.rows(
            f"SELECT * FROM block_runs WHERE run_id = ?{only} ORDER BY position, id",  # noqa: S608
            (run_id,),
        )
        if not rows:
            self.run(run_id)
        return [codec.block_run(row) for row in rows]

    def block_runs_by_id(self, ids: Collection[BlockRunId]) -> dict[BlockRunId, BlockRun]:
        """See `RunStore`."""
        marks = ", ".join("?" * len(ids))
        rows = self._database.rows(f"SELECT * FROM block_runs WHERE id IN ({marks})", tuple(ids))  # noqa: S608
        return {BlockRunId(row["id"]): codec.block_run(row) for row in rows}

    def latest_block_runs(self, project: ProjectName, pipeline: PipelineUuid) -> dict[BlockUuid, BlockRun]:
        """See `RunStore`."""
        return self._heads("newest_id", project, pipeline)

    def latest_outputs(self, project: ProjectName, pipeline: PipelineUuid) -> dict[BlockUuid, BlockRun]:
        """See `RunStore`."""
        return self._heads("completed_id", project, pipeline)

    def _heads(self, column: str, project: ProjectName, pipeline: PipelineUuid) -> dict[BlockUuid, BlockRun]:
        rows = self._database.rows(
            f"SELECT block_runs.* FROM block_heads JOIN block_runs ON block_runs.id = block_heads.{column}"  # noqa: S608
            " WHERE block_heads.project = ? AND block_heads.pipeline = ?",
            (project, pipeline),
        )
        found = [codec.block_run(row) for row in rows]
        return {block_run.key: block_run for block_run in found}

    def find_reusable(
        self, project: ProjectName, pipeline: PipelineUuid, block: BlockUuid, fingerprint: str
    ) -> Reusable | None:
        """See `RunStore`."""
        return reuse.find(self._database, project, pipeline, block, fingerprint)

    def latest_made(self, project: ProjectName, pipeline: PipelineUuid) -> dict[BlockUuid, LatestOutput]:
        """See `RunStore`."""
        return reuse.latest(self._database, project, pipeline)

    def meanings(self, digests: Collection[str]) -> dict[str, str]:
        """See `RunStore`."""
        return reuse.meanings(self._database, digests)

    def code(self, code_hash: str) -> str:
        """See `RunStore`."""
        row = self._database.row("SELECT source FROM code WHERE code_hash = ?", (code_hash,))
        if row is None:
            raise RunNotFoundError(
                f"No code with the hash {code_hash} is stored.", hint="look at the block's file instead."
            )
        return str(row["source"])

    def last_beat(self) -> EngineBeat | None:
        """See `RunStore`."""
        row = self._database.row("SELECT * FROM engine WHERE id = 1")
        if row is None:
            return None
        started, beaten = codec.at(row["started_at"]), codec.at(row["heartbeat_at"])
        return EngineBeat(
            row["pid"],
            row["boot_id"],
            row["version"],
            cast("datetime", started),
            cast("datetime", beaten),
            row["workers"],
        )


def no_run(run_id: RunId) -> RunNotFoundError:
    """Return what says that there is no run of that number."""
    return RunNotFoundError(f"There is no run {run_id}.", hint="look for it in the list of runs.", run=run_id)


def _conditions(where: RunFilter) -> tuple[str, list[object]]:
    """Return a WHERE clause of fixed text with marks, and the values for the marks."""
    clauses: list[str] = []
    values: list[object] = []
    if where.project is not None:
        clauses.append("project = ?")
        values.append(where.project)
    if where.pipeline is not None:
        clauses.append("pipeline = ?")
        values.append(where.pipeline)
    for column, wanted in (("status", [s.value for s in where.statuses]), ("trigger_kind", list(where.triggers))):
        if wanted:
            clauses.append(f"{column} IN ({', '.join('?' * len(wanted))})")
            values.extend(wanted)
    return (" WHERE " + " AND ".join(clauses) if clauses else ""), values


def _attempt(row: sqlite3.Row) -> Attempt:
    process = None
    if row["pid"] is not None:
        process = ProcessIdentity(row["pid"], row["process_started"], row["boot_id"])
    handle = None if row["handle"] is None else cast("Mapping[str, JsonValue]", codec.load(row["handle"]))
    created = cast("datetime", codec.at(row["created_at"]))
    return Attempt(BlockRunId(row["block_run_id"]), row["attempt"], created, handle, process)
