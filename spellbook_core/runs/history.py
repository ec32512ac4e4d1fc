"""The history read back from the folders of runs when the store is lost.

`run.json` holds the rows of a run that ended, see `run_file`. A run that had not ended is put together from the files
of its attempts: `task.json` says what was to be done, `outcome.json` what came of it.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias, cast

from spellbook_core.atomic import content_hash
from spellbook_core.clock import to_text
from spellbook_core.errors import SpellbookError
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.outcome import OUTCOME_FILE, ErrorReport, Outcome
from spellbook_core.model.run import Selection, Status
from spellbook_core.model.task import TASK_FILE
from spellbook_core.model.values import YamlValue
from spellbook_core.runs import codec
from spellbook_core.runs.records import BlockSpec
from spellbook_core.runs.run_file import RUN_FILE

MAX_RUNS = 2_000
"""Most runs read back, the newest; a run of ten blocks takes about a millisecond."""

Row: TypeAlias = "Mapping[str, object]"

_LOG = logging.getLogger("spellbook.runs")


class HistoryLostError(SpellbookError):
    """What became of a run is not known, because the run store was lost before it ended."""

    code = "SB-RUN-061"


@dataclass(slots=True)
class _Record:
    """The rows of one run, by table; `code` maps a hash to its text."""

    run: Row
    block_runs: Sequence[Row]
    attempts: Sequence[Row] = ()
    code: dict[str, str] = field(default_factory=dict)


def rebuild(connection: sqlite3.Connection, runs_dir: Path) -> int:
    """Fill an empty database from the folders of runs; return how many were found. Never fails for a damaged file."""
    found = 0
    connection.execute("BEGIN IMMEDIATE")
    try:
        for run_id in sorted(_numbers(runs_dir), reverse=True)[:MAX_RUNS]:
            try:
                record = _kept(runs_dir / str(run_id)) or _pieced_together(runs_dir / str(run_id), run_id)
                if record is not None:
                    _insert_all(connection, record)
                    found += 1
            except (sqlite3.Error, LookupError, TypeError, ValueError, AttributeError, OSError) as cause:
                _LOG.warning("run %s cannot be read back: %r", run_id, cause)  # a damaged file costs its own run
        connection.execute(
            "INSERT INTO block_heads (project, pipeline, block, newest_id, completed_id)"
            " SELECT project, pipeline, block || CASE WHEN hangs_on = '' THEN '' ELSE '@' || hangs_on END AS key,"
            " max(block_runs.id), max(CASE WHEN block_runs.status = ? AND hangs_on = '' THEN block_runs.id END)"
            " FROM block_runs JOIN pipeline_runs ON pipeline_runs.id = run_id"
            " WHERE child = '' GROUP BY project, pipeline, key",
            (Status.COMPLETED.value,),
        )
        connection.execute("COMMIT")
    except BaseException:  # also KeyboardInterrupt: half a history must not stay
        with suppress(sqlite3.Error):  # a disk that refused the commit has rolled it back already
            connection.execute("ROLLBACK")
        raise
    return found


def highest(runs_dir: Path) -> int:
    """Return the highest run number that has a folder; 0 when none has."""
    return max(_numbers(runs_dir), default=0)


def _numbers(runs_dir: Path) -> Iterator[int]:
    with suppress(OSError):
        for folder in runs_dir.iterdir():
            if folder.name.isascii() and folder.name.isdecimal():
                yield int(folder.name)


def _insert_all(connection: sqlite3.Connection, record: _Record) -> None:
    connection.execute("SAVEPOINT one_run")
    try:
        _insert(connection, "pipeline_runs", record.run)
        for row in record.block_runs:
            _insert(connection, "block_runs", row)
        for row in record.attempts:
            _insert(connection, "attempts", row)
        for code_hash, source in record.code.items():
            connection.execute("INSERT OR IGNORE INTO code (code_hash, source) VALUES (?, ?)", (code_hash, source))
    except BaseException:  # nothing of a run whose rows do not fit
        connection.execute("ROLLBACK TO one_run")
        raise
    finally:
        connection.execute("RELEASE one_run")


def _insert(connection: sqlite3.Connection, table: str, row: Row) -> None:
    """Insert the values of `row` for which the table has a column; `table` is one of our own names."""
    known = [str(column[1]) for column in connection.execute(f"PRAGMA table_info({table})")]
    columns = [name for name in known if name in row]
    marks = ", ".join("?" * len(columns))
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608  # names of our schema
    connection.execute(statement, [row[name] for name in columns])


# -- reading folders --------------------------------------------------------------------------------------------------


def _kept(folder: Path) -> _Record | None:
    data = _json(folder / RUN_FILE)
    try:
        record = _Record(
            cast("Row", data["run"]),
            cast("Sequence[Row]", data["block_runs"]),
            cast("Sequence[Row]", data["attempts"]),
            cast("dict[str, str]", data["code"]),
        )
        if str(record.run["id"]) != folder.name:
            return None
    except (KeyError, TypeError):
        return None
    for task, _ in _attempts(folder).values():
        source = str(task.get("source") or "")
        record.code.setdefault(content_hash(source.encode("utf-8", "surrogatepass")), source)
    return record


def _pieced_together(folder: Path, run_id: int) -> _Record | None:
    """Return what the files of the attempts tell of a run that had not ended; blocks that never began are missing."""
    attempts = _attempts(folder)
    if not attempts:
        return None
    code: dict[str, str] = {}
    block_runs = [
        _block_row(run_id, position, number, task, outcome, code)
        for position, (number, (task, outcome)) in enumerate(sorted(attempts.items()))
    ]
    task = next(iter(attempts.values()))[0]
    began = min(str(row["started_at"]) for row in block_runs)
    names = tuple(BlockUuid(str(row["block"])) for row in block_runs)
    selection = Selection(names if task["trigger"] == "notebook" else None, tests_only=bool(task.get("tests_only")))
    error = _lost("The run store was lost before this run ended; blocks that it had not reached are missing.")
    run = {
        "id": run_id,
        "project": task["project"],
        "pipeline": task["pipeline"],
        "status": Status.FAILED.value,
        "is_ended": 1,
        "trigger_kind": task["trigger"],
        "selection": codec.selection_text(selection),
        "variables": codec.dump({}),
        "execution_date": task["execution_date"],
        "created_at": began,
        "started_at": began,
        "ended_at": max(str(row["ended_at"]) for row in block_runs),
        "error": codec.error_text(error),
        "blocks_total": len(block_runs),
        "blocks_done": len(block_runs),
        "pipeline_variables": codec.dump(task["variables"]),
    }
    return _Record(run, block_runs, code=code)


def _block_row(
    run_id: int, position: int, number: int, task: Row, outcome: Outcome | None, code: dict[str, str]
) -> dict[str, object]:
    source = str(task.get("source") or "")
    code_hash = content_hash(source.encode("utf-8", "surrogatepass"))
    code[code_hash] = source
    error = outcome.error if outcome else _lost("The run store was lost before this block ended.")
    inputs = cast("list[Mapping[str, object]]", task["inputs"])
    parents = [BlockUuid(str(entry["block"])) for entry in inputs]
    hangs_on = str((cast("Mapping[str, object] | None", task.get("hangs_on")) or {}).get("block", ""))
    return {
        "id": number,
        "run_id": run_id,
        "block": task["block"],
        "child": task.get("child") or "",
        "hangs_on": hangs_on,
        "block_type": task["block_type"],
        "status": (Status.COMPLETED if error is None else Status.FAILED).value,
        "position": position,
        "attempt": task["attempt"],
        "reason": "read back from its files",
        "code_hash": code_hash,
        "spec": codec.spec_text(
            BlockSpec(
                language=str(task["language"]),
                relative_path=os.path.relpath(str(task["source_path"]), str(task["project_root"])),
                parents=tuple(parents),
                configuration=cast("Mapping[str, YamlValue]", task["configuration"]),
                timeout_s=cast("float | None", task["timeout_s"]),
                child=str(task.get("child") or ""),
                hangs_on=hangs_on,
            )
        ),
        "started_at": outcome.started_at if outcome else task["_written_at"],
        "ended_at": outcome.ended_at if outcome else task["_written_at"],
        "duration_s": outcome.duration_s if outcome else None,
        "cpu_s": outcome.cpu_s if outcome else None,
        "peak_memory_bytes": outcome.peak_memory_bytes if outcome else None,
        "outputs": codec.outputs_text(outcome.outputs if outcome else ()),
        "tests": codec.tests_text(outcome.tests if outcome else ()),
        "warnings": codec.dump(outcome.warnings if outcome else ()),
        "error": codec.error_text(error),
    }


def _lost(message: str) -> ErrorReport:
    error = HistoryLostError(message, hint='choose "Retry from failed" to run what is missing.')
    return ErrorReport.from_json(error.to_dict())


def _attempts(folder: Path) -> dict[int, tuple[dict[str, object], Outcome | None]]:
    """Return block run -> task and outcome of its newest attempt that has a task."""
    newest: dict[int, tuple[int, Path]] = {}
    with suppress(OSError):
        for entry in folder.iterdir():
            number, _, attempt = entry.name.partition(".")
            if number.isdecimal() and attempt.isdecimal() and _is_asked(entry):
                newest[int(number)] = max(newest.get(int(number), (0, entry)), (int(attempt), entry))
    found: dict[int, tuple[dict[str, object], Outcome | None]] = {}
    for block_run, (_, entry) in newest.items():
        if task := _json(entry / TASK_FILE):
            written = datetime.fromtimestamp((entry / TASK_FILE).stat().st_mtime, UTC)
            found[block_run] = ({**task, "_written_at": to_text(written)}, _outcome(entry / OUTCOME_FILE))
    return found


def _is_asked(attempt_dir: Path) -> bool:
    """Return whether an attempt was made: folders of those that come next are laid out ahead, with an empty task."""
    try:
        return (attempt_dir / TASK_FILE).stat().st_size > 0
    except OSError:
        return False


def _outcome(path: Path) -> Outcome | None:
    try:
        return Outcome.from_json(_json(path))
    except (KeyError, TypeError, ValueError):
        return None


def _json(path: Path) -> dict[str, object]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
