"""DuckDB for SQL blocks: parents as Arrow views, no way out of the project, results as Arrow. No pandas in between."""

from __future__ import annotations

import os
import re
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spellbook_core.project.layout import Workspace
from spellbook_core.worker.mage_shim.config import ExportWritePolicy
from spellbook_core.worker.mage_shim.failures import TableExistsError
from spellbook_core.worker.memory import read_size
from spellbook_core.worker.sql_log import PLACE, told, without_excerpt
from spellbook_core.worker.sql_parts import Statement, quoted
from spellbook_core.worker.sql_problems import DatabaseBusyError, InputTableError, NoTargetError, StatementError
from spellbook_core.worker.sql_reach import Reach, holds_state, reach_of
from spellbook_core.worker.sql_target import Target, database_file

if TYPE_CHECKING:
    from spellbook_core.model.task import BlockTask
    from spellbook_core.worker.sql_tables import Parents

BUSY_WAIT_S = 60.0
"""How long a block waits for another one that has the same DuckDB file open: DuckDB lets in one writer at a time."""

_CONFIG = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",  # a name in SQL is never a variable of ours
}
_QUERIES = frozenset({"SELECT", "EXPLAIN", "PRAGMA", "CALL", "MULTI"})
"""Kinds of statements that give rows; MULTI is a PIVOT, which DuckDB runs in two steps."""

_SHARE = 0.7
"""Of a block's `memory_limit` that DuckDB may use: the rest is Python, and the result on its way out."""

_ODD_TYPES = frozenset({"BIT", "BIGNUM", "UNION", "VARIANT", "GEOMETRY"})
"""Types of DuckDB that Arrow has no like of."""

_RESULT = "spellbook_result"

_NO_TABLE = re.compile(r"Table with name (\S+) does not exist")


def run_on_duckdb(task: BlockTask, target: Target, script: list[Statement], parents: Parents) -> Any:
    """Return the result of the last query as a `pyarrow.Table`, None without one, and write it where configured.

    Changes the working directory to the project, so that `read_csv('data/x.csv')` means a file of it.

    Raises:
        StatementError: DuckDB refused a statement. [SB-WRK-080]
        InputTableError: A parent that the text names is no table. [SB-WRK-082]
        NoTargetError: A data exporter of a query has no database. [SB-WRK-083]
        TableExistsError: The table is there, and the policy is `fail`. [SB-WRK-038]
        DatabaseBusyError: The DuckDB file stayed in use. [SB-WRK-085]
    """
    path = database_file(task, target)
    is_exporter = task.block_type == "data_exporter"
    writes = not target.is_raw and (is_exporter or target.is_named) and path is not None
    is_reader = path is not None and not writes and not target.is_raw and not is_exporter and path.is_file()
    os.chdir(task.project_root)
    with (
        tempfile.TemporaryDirectory(prefix="spellbook-sql-") as spill,
        closing(_connect(path, task, is_reader=is_reader)) as connection,
    ):
        for name, source in parents.mentioned("\n".join(statement.written(_mark)[0] for statement in script)):
            _register(connection, name, source.read())
        if target.schema is not None:
            _use_schema(connection, target.schema, may_make=not is_reader)
        texts = "\n".join(statement.written(_mark)[0] for statement in script)
        _lock_down(connection, task, spill, reach_of(Path(task.project_root), _state(task), texts, path))
        table, kinds = None, set()
        for statement in script:
            result, kind = _execute(connection, task, statement, parents, target.limit)
            kinds.add(kind)
            table = result if result is not None else table
        if writes and table is not None:
            _write(connection, target, table)
        elif is_exporter and not target.is_raw and kinds <= {"SELECT", "MULTI"}:
            raise NoTargetError(
                f"Block '{task.block}' has no database to write its rows into.",
                hint="name a DuckDB file in its configuration as 'data_provider_database', e.g. data/warehouse.duckdb, "
                "or write COPY (SELECT …) TO 'result.csv'.",
            )
        return table


def _mark(number: int) -> str:
    return f"$p{number}"


def _connect(path: Path | None, task: BlockTask, *, is_reader: bool) -> Any:
    import duckdb

    if path is None:
        return duckdb.connect(":memory:", config=_CONFIG)
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline, pause_s = time.monotonic() + BUSY_WAIT_S, 0.02
    while True:
        try:
            return duckdb.connect(str(path), read_only=is_reader, config=_CONFIG)
        except duckdb.Error as cause:
            if "lock" not in str(cause).lower():
                raise StatementError(
                    f"The DuckDB file {path.name} cannot be opened: {without_excerpt(cause)}",
                    hint="name another file, or restore it.",
                    block=task.block,
                ) from None
            if time.monotonic() > deadline:
                raise DatabaseBusyError(
                    f"The DuckDB file {path.name} stayed in use by another process for {BUSY_WAIT_S:.0f} seconds.",
                    hint="close the other program, or let the blocks that use the file run one after another.",
                    block=task.block,
                ) from None
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.5)


def _register(connection: Any, name: str, table: Any) -> None:
    try:
        connection.register(name, table)
    except Exception as cause:  # noqa: BLE001  # DuckDB and pyarrow each have errors of their own for a foreign type
        raise InputTableError(
            f"The output of '{name}' cannot be read by DuckDB: {without_excerpt(cause)}",
            hint="return columns of plain types from the parent.",
        ) from None


def _use_schema(connection: Any, schema: str, *, may_make: bool) -> None:
    if may_make:
        connection.execute("CREATE SCHEMA IF NOT EXISTS " + quoted(schema))
    connection.execute("USE " + quoted(schema))


def _lock_down(connection: Any, task: BlockTask, spill: str, reach: Reach) -> None:
    """Let statements reach files of the project and nothing else, and no statement change that."""
    settings: dict[str, str | list[str]] = {
        "allowed_directories": reach.folders,
        "allowed_paths": reach.files,
        "file_search_path": _search_path(Path(task.project_root), Path(spill)),
        "temp_directory": spill,
    }
    limit = task.configuration.get("memory_limit")
    if limit is not None:  # the block's own limit ends it; DuckDB is to write to the disk before
        settings["memory_limit"] = f"{int(read_size(limit) * _SHARE)}B"
    for name, value in settings.items():
        connection.execute(f"SET {name} = {_literal(value)}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _state(task: BlockTask) -> Path:
    return Workspace.open(Path(task.workspace)).state_dir


def _search_path(root: Path, spill: Path) -> str:
    """Return where names and patterns are looked for: the project, and a folder in which it alone stands by its name.

    mage starts paths at the folder of all projects; if that were searched, a pattern would list its other files.
    """
    by_name = spill / "by_name"
    by_name.mkdir()
    (by_name / root.name).symlink_to(root)
    return "" if "," in f"{root}{spill}" else f"{root},{by_name}"  # empty: the working directory


def _literal(value: str | list[str]) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_literal(item) for item in value)}]"
    return "'" + value.replace("'", "''") + "'"


def _execute(
    connection: Any, task: BlockTask, statement: Statement, parents: Parents, limit: int | None
) -> tuple[Any, str]:
    """Return the statement's rows as an Arrow table (None when it is no query), and its kind."""
    import duckdb

    text, values = statement.written(_mark)
    bound = {f"p{number}": value for number, value in enumerate(values, start=1)}
    started = time.monotonic()
    try:
        kind = _kind(connection, text)
        table = _rows(connection, text, bound) if kind in _QUERIES else None
        if kind not in _QUERIES:
            connection.execute(text, bound or None)
    except duckdb.Error as cause:
        raise _failure(task, statement, cause, parents) from None
    table = table if limit is None or table is None else table.slice(0, limit)
    told(text, started, None if table is None else table.num_rows)
    return table, kind


def _rows(connection: Any, text: str, bound: dict[str, object]) -> Any:
    """Return a query's rows as Arrow, without the copy that `execute` makes of them."""
    import duckdb

    try:
        found = connection.sql(text, params=bound) if bound else connection.sql(text)
        return None if found is None else _plain(found).to_arrow_table()
    except (duckdb.BinderException, duckdb.CatalogException):
        connection.execute(text, bound or None)  # fails before it runs, in the same way, and says in which line
        raise


def _plain(found: Any) -> Any:
    """Return a relation whose columns have types that other programs read: BIT, BIGNUM, UNION, VARIANT are texts."""
    odd = [str(kind).partition("(")[0].upper() in _ODD_TYPES for kind in found.types]
    if not any(odd) or len(set(found.columns)) < len(found.columns):
        return found
    names = [quoted(name) for name in found.columns]
    columns = [
        f"CAST({name} AS VARCHAR) AS {name}" if is_odd else name for name, is_odd in zip(names, odd, strict=True)
    ]
    return found.project(", ".join(columns))


def _kind(connection: Any, text: str) -> str:
    found = connection.extract_statements(text)
    kind = str(getattr(found[0].type, "name", found[0].type)) if found else ""
    return kind.removeprefix("StatementType.")


def _failure(task: BlockTask, statement: Statement, cause: Exception, parents: Parents) -> StatementError:
    text = str(cause)
    place = PLACE.search(text)
    line = statement.line(int(place[1]) if place else 1)
    message = without_excerpt(cause)
    hint = "correct the marked line and run the block again."
    if "file system operations are disabled" in text or "external" in text:
        hint = "a SQL block reads and writes files inside its project only: move the file there, or use a Python block."
        if holds_state(Path(task.project_root), _state(task)):
            hint += " Of a workspace that is itself a project, patterns such as *.csv reach into its folders only."
    elif "Table with name" in text:
        known = ", ".join(parents.names()) or "none"
        hint = f"link the block that makes the table. The tables of its parents are: {known}."
        named = _NO_TABLE.search(text)
        if named is not None and (missing := parents.missing().get(named[1])) is not None:
            message, hint = missing.message, missing.hint
    return StatementError(f"Line {line}: {message}", hint=hint, block=task.block, line=line)


def _write(connection: Any, target: Target, table: Any) -> None:
    """Write the result into the configured table, all of it or nothing."""
    home = connection.execute("SELECT current_database(), current_schema()").fetchone()
    place = ".".join(quoted(part) for part in (*home, target.table))
    known = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE table_name = $name AND schema_name = current_schema() "
        "AND database_name = current_database() AND NOT temporary",
        {"name": target.table},
    ).fetchall()
    if known and target.policy is ExportWritePolicy.FAIL:
        raise TableExistsError(
            f"The table {place} exists, and the policy is 'fail'.", hint="use 'append' or 'replace'."
        )
    connection.register(_RESULT, table)
    started = time.monotonic()
    if known and target.policy is ExportWritePolicy.APPEND:
        text = f"INSERT INTO {place} BY NAME SELECT * FROM {_RESULT}"  # noqa: S608  # quoted
    else:
        text = f"CREATE OR REPLACE TABLE {place} AS SELECT * FROM {_RESULT}"  # noqa: S608  # quoted
    connection.execute(text)
    told(text, started, table.num_rows)
