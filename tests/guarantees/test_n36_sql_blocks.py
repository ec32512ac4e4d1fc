"""A SQL block reaches files of its own project, and nothing else; no statement changes that."""

from __future__ import annotations

import pytest

from spellbook_core.model.run import NewRun
from spellbook_core.services import runs
from spellbook_core.services.wiring import open_context
from tests.conftest import BlockFile, make_project

REFUSED = {
    "absolute": "select * from read_csv('/etc/passwd')",
    "text": "select * from read_text('/etc/hostname')",
    "above": "select * from '../secret.csv'",
    "through": "select * from 'data/../../secret.csv'",
    "link": "select * from 'data/link.csv'",
    "listed": "select * from glob('/*')",
    "state": "select * from read_blob('../../.spellbook/token')",
    "copied": "copy (select 1) to '/tmp/spellbook_n36.csv'",
    "copied_above": "copy (select 1) to '../spellbook_n36.csv'",
    "exported": "export database '/tmp/spellbook_n36'",
    "attached": "attach '/tmp/spellbook_n36.db'",
    "installed": "install httpfs",
    "loaded": "load httpfs",
    "network": "select * from 'http://127.0.0.1:9/x.csv'",
    "unlocked": "set enable_external_access = true",
    "wider": "set allowed_directories = ['/']",
    "reset": "reset lock_configuration",
    "python": "select * from connection",
    "environment": "select getenv('HOME')",
    "secret": "create persistent secret (type s3, key_id 'a', secret 'b')",
}


@pytest.mark.guarantee("N36")
def test_sql_blocks_stay_inside_their_project(tmp_path):
    (tmp_path / "projects").mkdir()
    (tmp_path / "projects" / "secret.csv").write_text("a\n1\n")
    blocks = {
        name: BlockFile(f"select 1;\n{text}", "data_loader", language="sql") for name, text in REFUSED.items()
    } | {"allowed": BlockFile("select * from 'data/own.csv'", "data_loader", language="sql")}
    project = make_project(tmp_path, blocks=blocks, files={"data/own.csv": "a\n1\n"})
    (project / "data" / "link.csv").symlink_to(tmp_path / "projects" / "secret.csv")
    ctx = open_context(tmp_path)
    try:
        run = runs.run_here(ctx, NewRun(project="demo", pipeline="main", trigger="cli"), lambda event: None)
        found = {block.block: block for block in runs.block_runs(ctx, run.id)}
    finally:
        ctx.close()
    assert found.pop("allowed").status.value == "completed"
    assert {name: block.status.value for name, block in found.items()} == dict.fromkeys(REFUSED, "failed")
    assert {(block.error.code, block.error.line) for block in found.values()} == {("SB-WRK-080", 2)}
    assert [path.name for path in tmp_path.rglob("*n36*") if ".spellbook" not in path.parts] == []
