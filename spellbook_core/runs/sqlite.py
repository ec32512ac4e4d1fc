"""The run store on SQLite: the statements behind the `RunStore` protocol. What only reads is in `sqlite_reader`."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import cast

from spellbook_core.clock import to_text
from spellbook_core.model.naming import BlockRunId, RunId
from spellbook_core.model.outcome import ErrorReport
from spellbook_core.model.run import NewRun, PipelineRun, Status
from spellbook_core.model.values import JsonValue, YamlValue
from spellbook_core.runs import codec, history, planning, queue, reuse, run_file
from spellbook_core.runs import waiting as waits
from spellbook_core.runs.database import Database
from spellbook_core.runs.housekeeping import Upkeep
from spellbook_core.runs.records import (
    BlockEnd,
    EngineBeat,
    NewBlockRun,
    ProcessIdentity,
    Waiting,
)
from spellbook_core.runs.sqlite_reader import SqliteRunReader, no_run

_UNENDED = ", ".join(f"'{status.value}'" for status in Status if not status.is_terminal)

_PLACE = (
    "SELECT b.attempt, b.run_id, b.block, b.child, b.hangs_on, project, pipeline"
    " FROM block_runs AS b JOIN pipeline_runs AS r ON r.id = b.run_id WHERE b.id = ?"
)
"""The newest attempt of a block run, and what never changes of it."""

MAX_BEGUN = 2_000
"""Most block runs under way of which that is remembered."""


class SqliteRunStore(SqliteRunReader):
    """Runs in one SQLite file; several threads and processes use it at once. Implements `RunStore`."""

    def __init__(self, path: Path, *, runs_dir: Path | None = None) -> None:
        """Remember where the file is; it is made when first used.

        Args:
            path: The database, in a folder that exists.
            runs_dir: Holds one folder per run id. A store made anew reads the history back from them and counts on
                from the highest, so a new run never meets the files of an old one.
        """
        self._runs_dir = runs_dir
        self._begun: dict[BlockRunId, sqlite3.Row] = {}
        super().__init__(Database(path, on_created=self._read_back))

    def _read_back(self, connection: sqlite3.Connection) -> None:
        highest = 0 if self._runs_dir is None else history.highest(self._runs_dir)
        if self._runs_dir is None or not highest:
            return
        found = history.rebuild(connection, self._runs_dir)
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'pipeline_runs'")
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('pipeline_runs', ?)", (highest,))
        if found:
            self._database.notices.append(f"The history of {found} runs was read back from their folders.")

    def transaction(self, *, durable: bool = False) -> AbstractContextManager[None]:
        """See `RunStore`."""
        return self._database.transaction(durable=durable)

    def create_run(self, new: NewRun, *, now: datetime, owner: ProcessIdentity | None = None) -> PipelineRun:
        """See `RunStore`."""
        with self.transaction():
            if new.request_id is not None:
                row = self._database.row("SELECT * FROM pipeline_runs WHERE request_id = ?", (new.request_id,))
                if row is not None:
                    return codec.pipeline_run(row)
            made = self._database.execute(
                "INSERT INTO pipeline_runs (project, pipeline, status, trigger_kind, selection, variables, request_id,"
                " owner, execution_date, created_at, again, priority) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    new.project,
                    new.pipeline,
                    Status.QUEUED.value,
                    new.trigger,
                    codec.selection_text(new.selection),
                    codec.dump(dict(new.variables)),
                    new.request_id,
                    codec.process_text(owner),
                    to_text(new.execution_date or now),
                    to_text(now),
                    codec.again_text(new.again),
                    new.priority,
                ),
            )
            return self.run(RunId(cast("int", made.lastrowid)))

    def request_cancel(self, run_id: RunId, *, now: datetime) -> None:
        """See `RunStore`."""
        with self.transaction():
            self.run(run_id)
            self._database.execute(
                "UPDATE pipeline_runs SET cancel_requested_at = ? WHERE id = ? AND is_ended = 0"
                " AND cancel_requested_at IS NULL",
                (to_text(now), run_id),
            )

    def begin_run(
        self,
        run_id: RunId,
        blocks: Sequence[NewBlockRun],
        *,
        now: datetime,
        variables: Mapping[str, YamlValue] | None = None,
    ) -> list[BlockRunId]:
        """See `RunStore`."""
        with self.transaction():
            place = self._place(run_id)
            self._database.execute(
                "UPDATE pipeline_runs SET status = ?, started_at = ?, blocks_total = ?, pipeline_variables = ?,"
                " waiting_for = NULL WHERE id = ?",
                (
                    Status.RUNNING.value,
                    to_text(now),
                    sum(not block.spec.hangs_on for block in blocks),
                    None if variables is None else codec.dump(dict(variables)),
                    run_id,
                ),
            )
            return planning.add(self._database, run_id, place, list(enumerate(blocks)), now=now)

    def expand_block(
        self, block_run_id: BlockRunId, names: Sequence[str], blocks: Sequence[NewBlockRun], *, now: datetime
    ) -> list[BlockRunId]:
        """See `RunStore`."""
        with self.transaction():
            row = self._block_run_row(block_run_id)
            self._database.execute(
                "UPDATE block_runs SET status = ?, started_at = coalesce(started_at, ?),"
                " first_started_at = coalesce(first_started_at, ?), children = ? WHERE id = ?",
                (Status.RUNNING.value, to_text(now), to_text(now), codec.dump(list(names)), block_run_id),
            )
            placed = [(row["position"], block) for block in blocks]
            return planning.add(self._database, row["run_id"], self._place(row["run_id"]), placed, now=now)

    def _place(self, run_id: RunId) -> tuple[str, str]:
        """Return the project and the pipeline of a run."""
        row = self._database.row("SELECT project, pipeline FROM pipeline_runs WHERE id = ?", (run_id,))
        if row is None:
            raise no_run(run_id)
        return row["project"], row["pipeline"]

    def start_attempt(self, block_run_id: BlockRunId, *, now: datetime) -> int:
        """See `RunStore`."""
        with self.transaction():
            found = self._block_run_row(block_run_id, _PLACE)
            if len(self._begun) >= MAX_BEGUN:  # those whose end nobody recorded
                self._begun.clear()
            self._begun[block_run_id] = found
            attempt, began = int(found["attempt"]) + 1, to_text(now)
            self._database.execute(
                "UPDATE block_runs SET status = ?, attempt = ?, started_at = ?,"
                " first_started_at = coalesce(first_started_at, ?) WHERE id = ?",
                (Status.RUNNING.value, attempt, began, began, block_run_id),
            )
            self._database.execute(
                "INSERT INTO attempts (block_run_id, attempt, created_at) VALUES (?, ?, ?)",
                (block_run_id, attempt, began),
            )
            return attempt

    def postpone_block(self, block_run_id: BlockRunId, waiting: Waiting) -> None:
        """See `RunStore`."""
        with self.transaction():
            self._block_run_row(block_run_id)
            waits.postpone(self._database, block_run_id, waiting)

    def record_process(
        self,
        block_run_id: BlockRunId,
        attempt: int,
        handle: Mapping[str, JsonValue],
        process: ProcessIdentity | None,
    ) -> None:
        """See `RunStore`."""
        known = (None, None, None) if process is None else (process.pid, process.started, process.boot_id)
        with self.transaction():
            self._database.execute(
                "UPDATE attempts SET handle = ?, pid = ?, process_started = ?, boot_id = ?"
                " WHERE block_run_id = ? AND attempt = ?",
                (codec.dump(dict(handle)), *known, block_run_id, attempt),
            )

    def end_block(self, block_run_id: BlockRunId, end: BlockEnd) -> None:
        """See `RunStore`."""
        with self.transaction():
            row = self._begun.pop(block_run_id, None) or self._block_run_row(block_run_id, _PLACE)
            ended_at = to_text(end.ended_at)
            result = (codec.outputs_text(end.outputs), codec.tests_text(end.tests), codec.dump(end.warnings))
            updated = self._database.execute(
                "UPDATE block_runs SET status = ?, started_at = coalesce(?, started_at), ended_at = ?, duration_s = ?,"  # noqa: S608
                " cpu_s = ?, peak_memory_bytes = ?, outputs = ?, tests = ?, warnings = ?, error = ?,"
                " fingerprint = coalesce(?, (SELECT fingerprint FROM block_runs WHERE id = ?)),"
                " reused = ?, reused_from = ?, reason = coalesce(?, reason), children = coalesce(?, children)"
                f" WHERE id = ? AND status IN ({_UNENDED}) AND attempt = coalesce(?, attempt)",
                (
                    end.status.value,
                    None if end.started_at is None else to_text(end.started_at),
                    ended_at,
                    end.duration_s,
                    end.cpu_s,
                    end.peak_memory_bytes,
                    *result,
                    codec.error_text(end.error),
                    None if end.fingerprint is None else end.fingerprint.digest,
                    end.reused_from,
                    end.reused_from is not None,
                    end.reused_from,
                    end.reason,
                    None if end.children is None else codec.dump(list(end.children)),
                    block_run_id,
                    end.attempt,
                ),
            )
            if not updated.rowcount:  # it has ended, or begun anew
                self._block_run_row(block_run_id)
                return
            if not row["child"] and not row["hangs_on"]:
                self._database.execute(
                    "UPDATE pipeline_runs SET blocks_done = blocks_done + 1 WHERE id = ?", (row["run_id"],)
                )
            if end.status is Status.COMPLETED and not row["hangs_on"]:
                if not row["child"]:
                    self._note_completed(block_run_id, row)
                if end.fingerprint is not None and end.reused_from is None:
                    reuse.keep(self._database, block_run_id, row, end.fingerprint, result, made_at=ended_at)

    def _note_completed(self, block_run_id: BlockRunId, row: sqlite3.Row) -> None:
        self._database.execute(
            "UPDATE block_heads SET completed_id = ?1 WHERE project = ?2 AND pipeline = ?3 AND block = ?4"
            " AND (completed_id IS NULL OR completed_id < ?1)",
            (block_run_id, row["project"], row["pipeline"], row["block"]),
        )

    def end_run(self, run_id: RunId, status: Status, error: ErrorReport | None, *, now: datetime) -> None:
        """See `RunStore`."""
        with self.transaction(durable=True):
            if error is None and self._has_unended(run_id):
                return
            self._database.execute(
                "UPDATE pipeline_runs SET status = ?, is_ended = 1, waiting_for = NULL, error = ?, ended_at = ?"
                " WHERE id = ? AND is_ended = 0",
                (status.value, codec.error_text(error), to_text(now), run_id),
            )
            if error is not None:  # else all have ended
                self._end_unended(run_id, status, error, now)
        if self._runs_dir is not None:
            run_file.write(self._database, self._runs_dir, run_id)

    def _end_unended(self, run_id: RunId, status: Status, error: ErrorReport, now: datetime) -> None:
        was_cancelled = status is Status.CANCELLED
        self._database.execute(
            "UPDATE block_runs SET error = CASE WHEN status = ?1 AND ?2 <> ?3 THEN ?4 END,"
            " status = CASE WHEN status = ?1 THEN ?2 ELSE ?5 END, ended_at = ?6"
            " WHERE run_id = ?7 AND status IN (?1, ?8, ?9)",
            (
                Status.RUNNING.value,
                (Status.CANCELLED if was_cancelled else Status.FAILED).value,
                Status.CANCELLED.value,
                codec.error_text(error),
                (Status.CANCELLED if was_cancelled else Status.UPSTREAM_FAILED).value,
                to_text(now),
                run_id,
                Status.INITIAL.value,
                Status.QUEUED.value,
            ),
        )

    def _has_unended(self, run_id: RunId) -> bool:
        statuses = (Status.INITIAL.value, Status.QUEUED.value, Status.RUNNING.value)
        found = self._database.row(
            "SELECT 1 FROM block_runs WHERE run_id = ? AND status IN (?, ?, ?)", (run_id, *statuses)
        )
        return found is not None

    def wait_run(self, run_id: RunId, waiting_for: str | None) -> None:
        """See `RunStore`."""
        with self.transaction():
            queue.wait(self._database, run_id, waiting_for)

    def beat(self, beat: EngineBeat) -> None:
        """See `RunStore`."""
        with self.transaction():
            self._database.execute(
                "INSERT OR REPLACE INTO engine (id, pid, boot_id, version, started_at, heartbeat_at, workers)"
                " VALUES (1, ?, ?, ?, ?, ?, ?)",
                (
                    beat.pid,
                    beat.boot_id,
                    beat.version,
                    to_text(beat.started_at),
                    to_text(beat.heartbeat_at),
                    beat.workers,
                ),
            )

    def warnings(self) -> list[str]:
        """See `RunStore`."""
        return list(self._database.notices)

    @property
    def upkeep(self) -> Upkeep:
        """See `RunStore`."""
        return Upkeep(self._database)

    def close(self) -> None:
        """See `RunStore`."""
        self._database.close()
