"""What a SQL block's configuration says of its database, in mage's keys."""

from __future__ import annotations

from collections.abc import Mapping

from spellbook_core.errors import SpellbookError
from spellbook_core.model.block import Block
from spellbook_core.model.values import YamlValue
from spellbook_core.project.containment import check_relative

PROVIDERS = ("duckdb", "postgres", "mysql", "mssql", "snowflake")
"""Databases that SQL blocks run on, the one without a server first."""

POLICIES = ("append", "replace", "fail")
"""What happens to a table that is there, mage's default first."""

KEYS = (
    *("data_provider", "data_provider_profile", "data_provider_database", "data_provider_schema"),
    *("data_provider_table", "export_write_policy", "use_raw_sql"),
)
"""Keys of the configuration that say where a SQL block reads and writes."""


class BadSqlSettingError(SpellbookError, ValueError):
    """A SQL block's setting is none of the values it can have."""

    code = "SB-PRJ-041"


def sql_settings_of(block: Block) -> dict[str, YamlValue] | None:
    """Return the keys of `KEYS` that a SQL block sets; None for a block of another language."""
    if block.language != "sql":
        return None
    return {key: block.configuration[key] for key in KEYS if block.configuration.get(key) not in (None, "")}


def with_sql_settings(configuration: Mapping[str, YamlValue], wanted: Mapping[str, YamlValue]) -> dict[str, YamlValue]:
    """Return the configuration with exactly these of `KEYS`; those that are empty or False are left out.

    Raises:
        BadSqlSettingError: The provider or policy is not known. [SB-PRJ-041]
        OutsideProjectError: The DuckDB file is no path inside the project. [SB-PRJ-002]
    """
    found = {key: value for key, value in configuration.items() if key not in KEYS}
    chosen = {key: wanted[key] for key in KEYS if wanted.get(key) not in (None, "", False)}
    for key, known in (("data_provider", PROVIDERS), ("export_write_policy", POLICIES)):
        if key in chosen and chosen[key] not in known:
            raise BadSqlSettingError(
                f"'{key}: {str(chosen[key])[:40]}' is not known.", hint=f"choose one of {', '.join(known)}."
            )
    if "data_provider_database" in chosen:
        check_relative(str(chosen["data_provider_database"]))
    return {**found, **chosen}
