"""Database servers for SQL blocks, over the clients that mage's blocks use; the driver binds the values.

A parent that the text names as `{{ df_1 }}` is first uploaded as a table `<pipeline>_<block>`, as mage does.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spellbook_core.artifacts.formats.query_results import as_frame
from spellbook_core.errors import SpellbookError
from spellbook_core.project.layout import Workspace
from spellbook_core.worker.mage_shim import databases
from spellbook_core.worker.mage_shim.config import ConfigFileLoader
from spellbook_core.worker.sql_log import PLACE, told, without_excerpt
from spellbook_core.worker.sql_parts import Identifier, Statement
from spellbook_core.worker.sql_problems import StatementError, UnknownProviderError
from spellbook_core.worker.sql_target import DUCKDB, Target

if TYPE_CHECKING:
    from spellbook_core.model.task import BlockTask
    from spellbook_core.worker.mage_shim.sql import SqlClient
    from spellbook_core.worker.sql_tables import Parents

CLIENTS: dict[str, Callable[[ConfigFileLoader], SqlClient]] = {
    "postgres": databases.Postgres.with_config,
    "mysql": databases.MySQL.with_config,
    "mssql": databases.MSSQL.with_config,
    "snowflake": databases.Snowflake.with_config,
}
"""Name of a provider -> its client, made from a profile of `io_config.yaml`."""

MAX_ROWS = 10_000_000
"""Most rows that are fetched where the block names no limit; mage's own figure."""


def run_on_server(task: BlockTask, target: Target, script: list[Statement], parents: Parents) -> Any:
    """Return the rows of the last query as a `pyarrow.Table`, None without one, and write them where configured.

    Raises:
        UnknownProviderError: There is no client for the provider. [SB-WRK-084]
        StatementError: The server refused a statement; everything is undone. [SB-WRK-080]
        SpellbookError: What the client raises: no profile, no driver.
    """
    make = CLIENTS.get(target.provider)
    if make is None:
        known = ", ".join([DUCKDB, *CLIENTS])
        raise UnknownProviderError(
            f"Block '{task.block}' wants the database '{target.provider[:40]}', which SQL blocks do not offer.",
            hint=f"set 'data_provider' to one of {known}, or use the database's own package in a Python block.",
            block=task.block,
        )
    with make(ConfigFileLoader(profile=target.profile)) as client:
        with _alone(task):
            places = _upload(client, task, target, script, parents)
        table = None
        for statement in script:
            found = _execute(client, task, target, statement, places)
            table = table if found is None else found
        if table is not None and not target.is_raw and (task.block_type == "data_exporter" or target.is_named):
            client.export(as_frame(table), target.schema, target.table, if_exists=str(target.policy))
        client.commit()
        return table


@contextmanager
def _alone(task: BlockTask) -> Iterator[None]:
    """Hold the workspace's lock of uploads: two children of one parent would make its table at the same moment."""
    path = Workspace.open(Path(task.workspace)).state_dir / "sql-uploads.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _upload(
    client: SqlClient, task: BlockTask, target: Target, script: list[Statement], parents: Parents
) -> dict[str, str]:
    """Upload the parents that the statements name, and return parent's table -> its place on the server."""
    named = {piece.name for statement in script for piece in statement.pieces if isinstance(piece, Identifier)}
    places: dict[str, str] = {}
    for name, source in parents.mentioned("\n".join(named)):
        if name not in named:
            continue
        table = client.fold(f"{task.pipeline}_{name}".replace("/", "_"))
        client.export(as_frame(source.read()), target.schema, table, if_exists="replace")
        places[name] = client.place(client.fold(target.schema) if target.schema else None, table)
    return places


def _execute(client: SqlClient, task: BlockTask, target: Target, statement: Statement, places: dict[str, str]) -> Any:
    has_values = any(not isinstance(piece, (str, Identifier)) for piece in statement.pieces)
    text, values = statement.written(
        lambda number: "%s",
        name=lambda name: places.get(name) or client.place(None, name),
        escape=(lambda text: text.replace("%", "%%")) if has_values else str,
    )
    started = time.monotonic()
    try:
        with closing(client.conn.cursor()) as cursor:
            if values:
                cursor.execute(text, values)
            else:
                cursor.execute(text)
            table = None
            if cursor.description is not None:
                rows = cursor.fetchmany(target.limit or MAX_ROWS)
                table = _table([column[0] for column in cursor.description], rows)
    except SpellbookError:
        raise
    except Exception as cause:  # noqa: BLE001  # every driver has errors of its own
        client.rollback()
        place = PLACE.search(str(cause))
        line = statement.line(int(place[1]) if place else 1)
        raise StatementError(
            f"Line {line}: {without_excerpt(cause)}",
            hint="correct the statement at the marked line and run the block again.",
            block=task.block,
            line=line,
        ) from None
    told(text, started, None if table is None else table.num_rows)
    return table


def _table(names: list[str], rows: list[Any]) -> Any:
    import pyarrow as pa

    columns = []
    for number in range(len(names)):
        values = [row[number] for row in rows]
        try:
            columns.append(pa.array(values))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            columns.append(pa.array([None if value is None else str(value) for value in values]))
    return pa.Table.from_arrays(columns, names=[str(name) for name in names])
