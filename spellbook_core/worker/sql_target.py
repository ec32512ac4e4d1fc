"""Where a SQL block reads and writes: the database and the table that its configuration names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spellbook_core.project.layout import Workspace
from spellbook_core.worker.mage_shim.config import ConfigFileLoader, ExportWritePolicy
from spellbook_core.worker.sql_problems import UnknownProviderError

if TYPE_CHECKING:
    from spellbook_core.model.task import BlockTask

DUCKDB = "duckdb"


@dataclass(frozen=True, slots=True)
class Target:
    """What the configuration says.

    Attributes:
        provider: `duckdb` or the name of a database server, lower case.
        profile: Of `io_config.yaml`.
        schema: Where tables are written and looked for first; None for the database's own.
        table: The table that is written; made of the names of pipeline and block where none is named.
        is_named: Whether the configuration names the table.
        policy: What happens to a table that is there.
        is_raw: Whether statements run as they are, and nothing is written beside what they write.
        limit: Most rows of the result; None for all.
    """

    provider: str
    profile: str
    schema: str | None
    table: str
    is_named: bool
    policy: ExportWritePolicy
    is_raw: bool
    limit: int | None


def target_of(task: BlockTask) -> Target:
    """Return what the block's configuration says, in mage's keys.

    Raises:
        UnknownProviderError: The write policy or the limit is none. [SB-WRK-084]
    """
    given = task.configuration
    policy = str(given.get("export_write_policy") or "append").lower()
    if policy not in set(ExportWritePolicy):
        raise UnknownProviderError(
            f"'export_write_policy: {policy[:40]}' is not known.", hint="write append, replace or fail."
        )
    table = _text(given.get("data_provider_table"))
    return Target(
        provider=(_text(given.get("data_provider")) or DUCKDB).lower(),
        profile=_text(given.get("data_provider_profile")) or "default",
        schema=_text(given.get("data_provider_schema")),
        table=table or re.sub(r"\W", "_", f"{task.pipeline}_{task.block}"),
        is_named=table is not None,
        policy=ExportWritePolicy(policy),
        is_raw=_is_true(given.get("use_raw_sql")),
        limit=_limit(given.get("limit")) if _is_true(given.get("limit_in_pipeline_run")) else None,
    )


def database_file(task: BlockTask, target: Target) -> Path | None:
    """Return the DuckDB file of a block; None for a database in memory.

    `data_provider_database` names a file inside the project. Without it, DUCKDB_DATABASE of the profile counts where
    `data_provider: duckdb` is written; a relative one starts at the project's parent, as in mage.

    Raises:
        OutsideProjectError: The configuration leads out of the project. [SB-PRJ-002]
        ConfigurationFileError: The profile is not there. [SB-WRK-033]
    """
    named = _text(task.configuration.get("data_provider_database"))
    if named is not None:
        return Workspace.open(Path(task.workspace)).project(task.project).contained(named)
    if _text(task.configuration.get("data_provider")) is None:
        return None
    if target.profile == "default" and not (Path(task.project_root) / "io_config.yaml").is_file():
        return None
    found = _text(ConfigFileLoader(profile=target.profile).get("DUCKDB_DATABASE"))
    if found is None or found == ":memory:":
        return None
    return Path(task.project_root).parent / Path(found).expanduser()


def _text(value: object) -> str | None:
    return str(value).strip() or None if value is not None and not isinstance(value, bool) else None


def _is_true(value: object) -> bool:
    return value is True or str(value).lower() == "true"


def _limit(value: object) -> int | None:
    text = _text(value)
    if text is None:
        return None
    if not text.isdigit():
        raise UnknownProviderError(f"'limit: {text[:40]}' is no number of rows.", hint="write a whole number.")
    return int(text)
