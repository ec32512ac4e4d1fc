"""What mage's SQL clients have in common: connect, execute, load a table, export a table. Over any DB-API driver."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, ClassVar

from spellbook_core.worker.mage_shim.failures import TableExistsError, UnsupportedActionError

ROW_LIMIT = 10_000_000
"""Most rows that `load` returns when the block names no limit; mage's own figure."""

BATCH_ROWS = 1_000
"""Rows per round trip of an export: larger batches gain little over a local socket and cost memory."""


@dataclass(frozen=True, slots=True)
class Unique:
    """Columns that together are unique, and mage's word for what a conflict does: `UPDATE` or `IGNORE`."""

    columns: tuple[str, ...] = ()
    method: str | None = None

    @property
    def is_update(self) -> bool:
        """Whether the new row's values go over the old one's."""
        return str(self.method).upper() == "UPDATE"


class SqlClient:
    """A connection that opens when it is first used; `with` closes it.

    Subclasses say how to connect, how names are quoted and folded, and which type a column gets.
    """

    quote = '"'
    own_schema = "current_schema()"
    types: ClassVar[Mapping[str, str]] = {
        **{"b": "BOOLEAN", "i": "BIGINT", "u": "BIGINT", "f": "DOUBLE PRECISION", "M": "TIMESTAMP"},
        **{"tz": "TIMESTAMPTZ", "text": "TEXT", "bytes": "BYTEA", "date": "DATE"},
    }

    def __init__(self, verbose: bool = False, **settings: Any) -> None:
        self.verbose = verbose
        self.settings = {name: value for name, value in settings.items() if value is not None}
        self._connection: Any = None

    def _connect(self) -> Any:
        raise NotImplementedError

    def fold(self, name: str) -> str:
        """Return an unquoted name as this database reads it."""
        return name

    def open(self) -> None:
        """Connect, unless connected."""
        if self._connection is None:
            self._connection = self._connect()

    def close(self) -> None:
        """Disconnect; what was not committed is lost."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def conn(self) -> Any:
        """The driver's own connection."""
        self.open()
        return self._connection

    def __enter__(self) -> Any:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def commit(self) -> None:
        """Make what was done lasting."""
        self.conn.commit()

    def rollback(self) -> None:
        """Undo what was not committed."""
        self.conn.rollback()

    def execute(self, query_string: str, *arguments: Any, **options: Any) -> None:
        """Execute one statement; call `commit()` to keep its effect."""
        with closing(self.conn.cursor()) as cursor:
            cursor.execute(query_string, *arguments)

    def execute_queries(
        self,
        queries: Sequence[str],
        query_variables: Sequence[Any] | None = None,
        commit: bool = False,
        fetch_query_at_indexes: Sequence[bool] | None = None,
        **options: Any,
    ) -> list[Any]:
        """Execute statements in order and return a table for each that is marked to be fetched, else None."""
        results: list[Any] = []
        for index, query in enumerate(queries):
            values = [query_variables[index]] if query_variables and query_variables[index] else []
            is_wanted = bool(fetch_query_at_indexes and fetch_query_at_indexes[index])
            with closing(self.conn.cursor()) as cursor:
                cursor.execute(query, *values)
                results.append(_frame(cursor, ROW_LIMIT) if is_wanted else None)
        if commit:
            self.commit()
        return results

    def load(self, query_string: str, limit: int | None = None, *arguments: Any, **options: Any) -> Any:
        """Return the rows of a query as a table, at most `limit`."""
        with closing(self.conn.cursor()) as cursor:
            cursor.execute(query_string, *([options["params"]] if options.get("params") else []))
            return _frame(cursor, limit or ROW_LIMIT)

    def sample(self, schema: str, table: str, size: int = 10_000, **options: Any) -> Any:
        """Return the first rows of a table."""
        return self.load("SELECT * FROM " + self._place(schema, table), limit=size)  # noqa: S608  # names are quoted

    def export(
        self,
        df: Any,
        schema_name: str | None = None,
        table_name: str | None = None,
        if_exists: str = "replace",
        index: bool = False,
        unique_constraints: Sequence[str] | None = None,
        unique_conflict_method: str | None = None,
        **options: Any,
    ) -> None:
        """Write a table, in one transaction.

        `unique_constraints` are columns that together are unique: a table that is made gets that constraint. A row
        that would break it updates the old one (`unique_conflict_method` `UPDATE`), is left out (`IGNORE`), or fails.
        `replace` empties a table whose columns fit and makes any other anew; `append` adds rows; `fail` refuses.

        Raises:
            TableExistsError: It is there already, and the policy is `fail`. [SB-WRK-038]
            UnsupportedActionError: An option of mage that would change the result is not offered. [SB-WRK-036]
        """
        if options.get("query_string"):
            raise not_offered("The export option 'query_string'")
        if table_name is None:
            schema_name, table_name = None, schema_name
        frame = _prepared(df, index)
        named = str if options.get("case_sensitive") else self._column
        frame = frame.rename(columns={column: named(column) for column in frame.columns})
        unique = Unique(tuple(named(name) for name in unique_constraints or ()), unique_conflict_method)
        schema = self.fold(schema_name) if schema_name else None
        table = self.fold(str(table_name))
        try:
            self._write(frame, schema, table, str(if_exists), unique)
        except BaseException:  # also an interrupt: a transaction is never left open
            self.rollback()
            raise
        self.commit()

    def _write(self, frame: Any, schema: str | None, table: str, policy: str, unique: Unique) -> None:
        place = self._place(schema, table)
        with closing(self.conn.cursor()) as cursor:
            if schema is not None:
                self._ensure_schema(cursor, schema)
            there = self._columns(cursor, schema, table)
            if there and policy == "fail":
                raise TableExistsError(f"The table {place} exists.", hint="use if_exists='append' or 'replace'.")
            if there and policy == "replace":
                if set(there) == set(frame.columns):
                    cursor.execute("DELETE FROM " + place)  # noqa: S608  # names are quoted
                else:
                    cursor.execute("DROP TABLE " + place)
                    there = []
            if not there:
                columns = [f"{self._name(name)} {self._column_type(frame, name, unique)}" for name in frame.columns]
                columns += [f"UNIQUE ({self._names(unique.columns)})"] if unique.columns else []
                cursor.execute(f"CREATE TABLE {place} ({', '.join(columns)})")
            names = ", ".join(self._name(name) for name in frame.columns)
            marks = ", ".join(["%s"] * len(frame.columns))
            statement = f"INSERT INTO {place} ({names}) VALUES ({marks})"  # noqa: S608  # names quoted, values bound
            statement += self._on_conflict(frame.columns, unique)
            rows = _rows(frame)
            for start in range(0, len(rows), BATCH_ROWS):
                cursor.executemany(statement, rows[start : start + BATCH_ROWS])

    def _on_conflict(self, columns: Iterable[str], unique: Unique) -> str:
        """Return the clause that says what becomes of a row that breaks the constraint; empty when it fails."""
        if not unique.columns or not unique.method:
            return ""
        others = [self._name(name) for name in columns if name not in unique.columns]
        if not unique.is_update or not others:
            return f" ON CONFLICT ({self._names(unique.columns)}) DO NOTHING"
        changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in others)
        return f" ON CONFLICT ({self._names(unique.columns)}) DO UPDATE SET {changes}"

    def _column_type(self, frame: Any, name: str, unique: Unique) -> str:
        return self._type(frame[name])

    def _names(self, names: Iterable[str]) -> str:
        return ", ".join(self._name(name) for name in names)

    def _ensure_schema(self, cursor: Any, schema: str) -> None:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS " + self._name(schema))

    def _columns(self, cursor: Any, schema: str | None, table: str) -> list[str]:
        """Return a table's columns, empty when there is no such table."""
        where = "table_schema = " + ("%s" if schema else self.own_schema) + " AND table_name = %s"
        query = "SELECT column_name FROM information_schema.columns WHERE " + where  # noqa: S608  # fixed texts
        cursor.execute(query, (schema, table) if schema else (table,))
        return [str(row[0]) for row in cursor.fetchall()]

    def place(self, schema: str | None, table: str) -> str:
        """Return how a table is written, each part quoted."""
        return self._place(schema, table)

    def _place(self, schema: str | None, table: str) -> str:
        return ".".join(self._name(part) for part in (schema, table) if part)

    def _name(self, name: str) -> str:
        end = {"[": "]"}.get(self.quote, self.quote)
        return f"{self.quote}{str(name).replace(end, end * 2)}{end}"

    def _column(self, name: Any) -> str:
        return self.fold(re.sub(r"\W", "_", str(name)))

    def _type(self, values: Any) -> str:
        kind = str(getattr(values.dtype, "kind", "O"))
        if kind == "M":
            return self.types["tz" if getattr(values.dtype, "tz", None) is not None else "M"]
        if kind in self.types:
            return self.types[kind]
        first = next((value for value in values if value is not None), None)
        if isinstance(first, bool):
            return self.types["b"]
        if isinstance(first, (bytes, bytearray)):
            return self.types["bytes"]
        return self.types["date"] if type(first).__name__ == "date" else self.types["text"]


def refuse_conflicts(database: str, unique: Unique) -> str:
    """Return the clause for a database whose conflicts are not handled here: none. Raises when one is wanted."""
    if unique.columns and unique.method:
        raise not_offered(f"'unique_conflict_method' for {database}, an export option")
    return ""


def not_offered(what: str) -> UnsupportedActionError:
    """Return the error for an option of mage that would change what is written."""
    return UnsupportedActionError(
        f"{what} of mage is not offered.",
        hint="export to a table of its own, then combine with an SQL statement by execute().",
    )


def _frame(cursor: Any, limit: int) -> Any:
    import pandas as pd

    if cursor.description is None:
        return pd.DataFrame()
    names = [column[0] for column in cursor.description]
    return pd.DataFrame([tuple(row) for row in cursor.fetchmany(limit)], columns=names)


def _prepared(df: Any, index: bool) -> Any:
    import pandas as pd

    frame = df if isinstance(df, pd.DataFrame) else pd.DataFrame(df)
    return frame.reset_index() if index else frame


def _rows(frame: Any) -> list[tuple[Any, ...]]:
    """Return rows of plain Python values; gaps are None, lists and mappings JSON text."""
    values = frame.astype(object).where(frame.notna(), None)
    return [tuple(_plain(value) for value in row) for row in values.itertuples(index=False, name=None)]


def _plain(value: Any) -> Any:
    if hasattr(value, "to_pydatetime"):  # a pandas.Timestamp, which some drivers do not know
        return value.to_pydatetime(warn=False)
    if isinstance(value, (dict, list)):
        return json.dumps(value, default=str)
    return value.item() if hasattr(value, "item") and not isinstance(value, (str, bytes)) else value
