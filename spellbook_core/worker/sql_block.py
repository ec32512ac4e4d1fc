"""Run a SQL block: fill in its values, run its statements on DuckDB or a database server, return the last result."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spellbook_core.artifacts.formats.query_results import QueryResult
from spellbook_core.worker.arguments import system_keywords
from spellbook_core.worker.items import child_keywords
from spellbook_core.worker.load import source_of
from spellbook_core.worker.mage_shim.place import remember
from spellbook_core.worker.mage_shim.secrets import get_secret_value
from spellbook_core.worker.sql_parts import Statement
from spellbook_core.worker.sql_problems import TemplateError
from spellbook_core.worker.sql_tables import Parents
from spellbook_core.worker.sql_target import DUCKDB, Target, target_of
from spellbook_core.worker.sql_template import statements

if TYPE_CHECKING:
    from spellbook_core.artifacts.store import ArtifactStore
    from spellbook_core.model.task import BlockTask

_OBJECTS = frozenset({"logger", "context", "event"})
"""Keywords of Python blocks that no SQL statement can use."""


def run_sql(task: BlockTask, store: ArtifactStore) -> QueryResult | None:
    """Return the result of the last query of a SQL block, None when it has none.

    Args:
        task: Its `language` is `sql`.
        store: Where the parents' outputs lie.

    Raises:
        TemplateError: An expression in `{{ }}` is wrong. [SB-WRK-081]
        InputTableError: The block uses a parent that returned no table. [SB-WRK-082]
        StatementError: The database refused a statement; the fact `line` says where. [SB-WRK-080]
        SpellbookError: What the modules of the database raise.
    """
    remember(task)
    target = target_of(task)
    parents = Parents(task, store)
    names, identifiers = names_of(task, parents, store), _identifiers(task, parents)
    script = statements(source_of(task), names, identifiers=identifiers, missing=parents.missing())
    table = _run(task, target, script, parents)
    return None if table is None else QueryResult(table)


def _run(task: BlockTask, target: Target, script: list[Statement], parents: Parents) -> Any:
    if target.provider == DUCKDB:
        from spellbook_core.worker.sql_duckdb import run_on_duckdb

        return run_on_duckdb(task, target, script, parents)
    from spellbook_core.worker.sql_servers import run_on_server

    return run_on_server(task, target, script, parents)


def names_of(task: BlockTask, parents: Parents, store: ArtifactStore) -> dict[str, object]:
    """Return what `{{ }}` of a block can use: parents, the run's values over them, and a few functions."""
    keywords = {**system_keywords(task), **child_keywords(task, store)}
    values = {name: value for name, value in keywords.items() if name not in _OBJECTS}

    def variables(name: str, **options: object) -> object:
        return task.variables.get(name, "")

    def env_var(name: str) -> str:
        declared = task.configuration.get("env")
        if not isinstance(declared, Mapping) or name not in declared:
            raise TemplateError(
                f"{str(name)[:60]!r} is no environment variable that this block declares.",
                hint="name it under 'env' in the block's configuration, or use a pipeline variable.",
            )
        return os.environ.get(name, "")

    functions: Mapping[str, object] = {
        **{"variables": variables, "block_output": parents.value, "env_var": env_var},
        **{"secret": get_secret_value, "mage_secret_var": get_secret_value},
    }
    return {**parents.names(), **values, **functions}


def _identifiers(task: BlockTask, parents: Parents) -> set[str]:
    listed = task.configuration.get("identifiers")
    return parents.identifiers() | {str(name) for name in listed} if isinstance(listed, list) else parents.identifiers()
