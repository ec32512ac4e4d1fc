"""Only `runs` knows that the run store is SQLite, so that another database can take its place by the same contract."""

from __future__ import annotations

import ast

SQLITE_MODULES = {"spellbook_core.runs.sqlite", "spellbook_core.runs.database", "spellbook_core.runs.schema"}
MAY_CHOOSE = {"services/wiring.py", "worker/mage_shim/place.py"}
"""Where a store is chosen: the wiring, and the child process of a block that starts other pipelines."""


def imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def importers(sources, wanted: set[str]) -> set[str]:
    return {str(path).split("spellbook_core/", 1)[-1] for path, (_, tree) in sources.items() if imported(tree) & wanted}


def test_sqlite_is_imported_by_the_run_store_only(sources):
    outside = {where for where in importers(sources, {"sqlite3"}) if not where.startswith("runs/")}
    assert outside == set()


def test_others_reach_the_store_through_its_protocol(sources):
    outside = {where for where in importers(sources, SQLITE_MODULES) if not where.startswith("runs/")}
    assert outside == MAY_CHOOSE


def test_statements_about_runs_lie_in_the_run_store_only(sources):
    tables = ("pipeline_runs", "block_runs", "block_heads")
    outside = [
        str(path)
        for path, (text, _) in sources.items()
        if path.parent.name != "runs" and any(f"FROM {table}" in text or f"INTO {table}" in text for table in tables)
    ]
    assert outside == []
