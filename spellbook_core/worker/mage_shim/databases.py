"""mage's clients of database servers, each over its well-kept driver."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from spellbook_core.project.packages import CLIENT_DRIVERS
from spellbook_core.worker.mage_shim.drivers import driver
from spellbook_core.worker.mage_shim.sql import SqlClient, Unique, refuse_conflicts


class Postgres(SqlClient):
    """PostgreSQL, by psycopg 3, else psycopg2."""

    def _connect(self) -> Any:
        module = driver("Postgres", *CLIENT_DRIVERS["mage_ai.io.postgres"])
        return module.connect(**{name: value for name, value in self.settings.items() if value != ""})

    def fold(self, name: str) -> str:
        """Return the name in lower case, as PostgreSQL reads an unquoted one."""
        return name.lower()

    @classmethod
    def with_config(cls, config: Any, **options: Any) -> Postgres:
        """Return a client with the POSTGRES_* keys of a profile."""
        settings = _picked(config, "POSTGRES", {"DBNAME": "dbname", "USER": "user", "PASSWORD": "password"})
        settings |= _picked(config, "POSTGRES", {"HOST": "host", "PORT": "port", "CONNECT_TIMEOUT": "connect_timeout"})
        schema = config.get("POSTGRES_SCHEMA")
        if schema:
            settings["options"] = f"-c search_path={schema}"
        return cls(**settings, **options)


class MySQL(SqlClient):
    """MySQL and MariaDB, by PyMySQL, else mysql-connector."""

    quote = "`"
    own_schema = "DATABASE()"
    types: ClassVar[Mapping[str, str]] = {
        **SqlClient.types,
        **{"f": "DOUBLE", "M": "DATETIME(6)", "tz": "DATETIME(6)", "text": "LONGTEXT", "bytes": "LONGBLOB"},
    }

    def _connect(self) -> Any:
        return driver("MySQL", *CLIENT_DRIVERS["mage_ai.io.mysql"]).connect(**self.settings)

    def _on_conflict(self, columns: Iterable[str], unique: Unique) -> str:
        if not unique.columns or not unique.method:
            return ""
        first = self._name(unique.columns[0])
        others = [self._name(name) for name in columns if name not in unique.columns]
        changes = [f"{name} = VALUES({name})" for name in others] if unique.is_update else []
        return f" ON DUPLICATE KEY UPDATE {', '.join(changes) or f'{first} = {first}'}"

    def _column_type(self, frame: Any, name: str, unique: Unique) -> str:
        found = self._type(frame[name])
        return "VARCHAR(255)" if name in unique.columns and found == self.types["text"] else found

    @classmethod
    def with_config(cls, config: Any, **options: Any) -> MySQL:
        """Return a client with the MYSQL_* keys of a profile."""
        settings = _picked(config, "MYSQL", {"DATABASE": "database", "USER": "user", "PASSWORD": "password"})
        settings |= _picked(config, "MYSQL", {"HOST": "host", "PORT": "port"})
        return cls(**({**settings, "port": int(settings["port"])} if settings.get("port") else settings), **options)


class MSSQL(SqlClient):
    """SQL Server, by pymssql."""

    quote = "["
    own_schema = "SCHEMA_NAME()"
    types: ClassVar[Mapping[str, str]] = {
        **SqlClient.types,
        **{"b": "BIT", "f": "FLOAT", "M": "DATETIME2", "tz": "DATETIMEOFFSET"},
        **{"text": "NVARCHAR(MAX)", "bytes": "VARBINARY(MAX)"},
    }

    def _connect(self) -> Any:
        return driver("MSSQL", *CLIENT_DRIVERS["mage_ai.io.mssql"]).connect(**self.settings)

    def _on_conflict(self, columns: Iterable[str], unique: Unique) -> str:
        return refuse_conflicts("SQL Server", unique)

    def _ensure_schema(self, cursor: Any, schema: str) -> None:
        cursor.execute("SELECT 1 FROM sys.schemas WHERE name = %s", (schema,))
        if cursor.fetchone() is None:
            cursor.execute("CREATE SCHEMA " + self._name(schema))

    @classmethod
    def with_config(cls, config: Any, **options: Any) -> MSSQL:
        """Return a client with the MSSQL_* keys of a profile."""
        settings = _picked(config, "MSSQL", {"DATABASE": "database", "USER": "user", "PASSWORD": "password"})
        settings |= _picked(config, "MSSQL", {"HOST": "server", "PORT": "port"})
        return cls(**settings, **options)


class Snowflake(SqlClient):
    """Snowflake, by its own connector."""

    types: ClassVar[Mapping[str, str]] = {**SqlClient.types, **{"tz": "TIMESTAMP_TZ", "f": "FLOAT", "bytes": "BINARY"}}

    def _connect(self) -> Any:
        module = driver("Snowflake", *CLIENT_DRIVERS["mage_ai.io.snowflake"])
        return module.connect(**self.settings)

    def _on_conflict(self, columns: Iterable[str], unique: Unique) -> str:
        return refuse_conflicts("Snowflake", unique)

    def fold(self, name: str) -> str:
        """Return the name in upper case, as Snowflake reads an unquoted one."""
        return name.upper()

    def export(  # type: ignore[override]  # mage has another order of arguments for this client
        self,
        df: Any,
        table_name: str | None = None,
        database: str | None = None,
        schema: str | None = None,
        if_exists: str = "append",
        **options: Any,
    ) -> None:
        """Write a table, in mage's order of arguments for this client."""
        if database:
            self.execute("USE DATABASE " + self._name(self.fold(database)))
        super().export(df, schema, table_name, if_exists=if_exists, **options)

    @classmethod
    def with_config(cls, config: Any, **options: Any) -> Snowflake:
        """Return a client with the SNOWFLAKE_* keys of a profile."""
        keys = {"ACCOUNT": "account", "USER": "user", "PASSWORD": "password", "ROLE": "role"}
        keys |= {"DEFAULT_WH": "warehouse", "DEFAULT_DB": "database", "DEFAULT_SCHEMA": "schema"}
        return cls(**_picked(config, "SNOWFLAKE", keys), **options)


def _picked(config: Any, group: str, keys: Mapping[str, str]) -> dict[str, Any]:
    """Return the driver's arguments that a profile has values for."""
    found = {argument: config.get(f"{group}_{key}") for key, argument in keys.items()}
    return {name: value for name, value in found.items() if value not in (None, "")}
