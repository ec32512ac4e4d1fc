"""mage's client of DuckDB: a file, or a database in memory, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from spellbook_core.project.packages import CLIENT_DRIVERS
from spellbook_core.worker.mage_shim.drivers import driver
from spellbook_core.worker.mage_shim.sql import ROW_LIMIT, SqlClient, Unique


class DuckDB(SqlClient):
    """DuckDB; a relative file starts at the project's parent, as in mage."""

    types: ClassVar[Mapping[str, str]] = {**SqlClient.types, **{"f": "DOUBLE", "text": "VARCHAR", "bytes": "BLOB"}}

    def _connect(self) -> Any:
        module = driver("DuckDB", *CLIENT_DRIVERS["mage_ai.io.duckdb"])
        return module.connect(self.settings.get("database") or ":memory:")

    def load(self, query_string: str, limit: int | None = None, *arguments: Any, **options: Any) -> Any:
        """Return the rows of a query as a table, with DuckDB's own types."""
        return self.conn.execute(query_string).df().head(limit or ROW_LIMIT)

    def commit(self) -> None:
        """Nothing: DuckDB makes each statement lasting unless a transaction was begun."""

    def rollback(self) -> None:
        """Nothing; see `commit`."""

    def _write(self, frame: Any, schema: str | None, table: str, policy: str, unique: Unique) -> None:
        """Hand the frame over as a whole: DuckDB reads it where it lies."""
        cursor, place = self.conn, self._place(schema, table)
        if schema is not None:
            self._ensure_schema(cursor, schema)
        where, names = (
            ("table_schema = ? AND table_name = ?", [schema, table]) if schema else ("table_name = ?", [table])
        )
        query = "SELECT 1 FROM information_schema.tables WHERE " + where  # noqa: S608  # two fixed texts
        is_there = bool(cursor.execute(query, names).fetchall())
        if is_there and policy == "fail":
            from spellbook_core.worker.mage_shim.failures import TableExistsError

            raise TableExistsError(f"The table {place} exists.", hint="use if_exists='append' or 'replace'.")
        if unique.columns and unique.method:  # one statement may not touch a row twice
            frame = frame.drop_duplicates(list(unique.columns), keep="last" if unique.is_update else "first")
        cursor.register("spellbook_frame", frame)
        try:
            if not (is_there and policy == "append"):
                cursor.execute(f"CREATE OR REPLACE TABLE {place} AS SELECT * FROM spellbook_frame LIMIT 0")  # noqa: S608
                if unique.columns:
                    index = self._name(f"unique_{table}_{'_'.join(unique.columns)}")
                    cursor.execute(f"CREATE UNIQUE INDEX {index} ON {place} ({self._names(unique.columns)})")
            conflict = self._on_conflict(frame.columns, unique)
            cursor.execute(f"INSERT INTO {place} BY NAME SELECT * FROM spellbook_frame{conflict}")  # noqa: S608  # quoted
        finally:
            cursor.unregister("spellbook_frame")

    def _column(self, name: Any) -> str:
        return str(name)

    @classmethod
    def with_config(cls, config: Any, **options: Any) -> DuckDB:
        """Return a client with DUCKDB_DATABASE of a profile; without it the database is in memory."""
        return cls(database=config.get("DUCKDB_DATABASE"), **options)
