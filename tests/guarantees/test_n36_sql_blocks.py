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
    } | {
        "allowed": BlockFile("select * from 'data/own.csv'", "data_loader", language="sql"),
        "by_name": BlockFile("select * from 'demo/data/own.csv'", "data_loader", language="sql"),
        "pattern": BlockFile("select * from read_csv('data/o*.csv')", "data_loader", language="sql"),
        "own_files": BlockFile("select * from glob('*') where file not like '%/demo/%'", "data_loader", language="sql"),
    }
    project = make_project(tmp_path, blocks=blocks, files={"data/own.csv": "a\n1\n"})
    (project / "data" / "link.csv").symlink_to(tmp_path / "projects" / "secret.csv")
    ctx = open_context(tmp_path)
    try:
        run = runs.run_here(ctx, NewRun(project="demo", pipeline="main", trigger="cli"), lambda event: None)
        found = {block.block: block for block in runs.block_runs(ctx, run.id)}
    finally:
        ctx.close()
    assert found.pop("own_files").outputs[0].rows == 0, "a pattern lists no file outside of the project"
    assert {found.pop(name).outputs[0].rows for name in ("allowed", "by_name", "pattern")} == {1}
    assert {name: block.status.value for name, block in found.items()} == dict.fromkeys(REFUSED, "failed")
    assert {(block.error.code, block.error.line) for block in found.values()} == {("SB-WRK-080", 2)}
    assert [path.name for path in tmp_path.rglob("*n36*") if ".spellbook" not in path.parts] == []


OF_ONE_PROJECT = {
    "state": "select * from read_blob('.spellbook/token')",
    "absolute": "select * from read_blob('{root}/.spellbook/token')",
    "around": "select * from read_blob('data/../.spellbook/token')",
    "pattern": "select * from read_blob('.spell*/token')",
    "listed": "select * from glob('*')",
    "listed_state": "select * from glob('.spellbook/*')",
    "deep": "select * from read_blob('**/token')",
    "attached": "attach '.spellbook/state.db'",
    "written": "copy (select 1) to '.spellbook/n36.csv'",
    "own_secrets": "select * from read_text('.env')",
    "linked": "select * from read_blob('way/token')",
}
ALLOWED = {
    "folder": "select * from 'data/own.csv'",
    "patterned": "select * from read_csv('data/*.csv')",
    "beside": "select * from read_csv('top.csv')",
    "new": "copy (select 1 a) to 'made.csv'",
}


@pytest.mark.guarantee("N36")
def test_workspace_that_is_one_project_keeps_its_state_from_sql(tmp_path):
    root = tmp_path / "projects" / "demo"
    blocks = {
        name: BlockFile(f"select 1;\n{text.format(root=root)}", "data_loader", language="sql")
        for name, text in {**OF_ONE_PROJECT, **ALLOWED}.items()
    }
    files = {"data/own.csv": "a\n1\n", "top.csv": "a\n1\n", ".env": "API_KEY=value of it\n"}
    assert make_project(tmp_path, blocks=blocks, files=files) == root
    ctx = open_context(root)
    try:
        assert ctx.workspace.is_single_project
        ctx.workspace.ensure_state_dir()
        ctx.workspace.token_path.write_text("token")
        (root / "way").symlink_to(root / ".spellbook")
        run = runs.run_here(ctx, NewRun(project="demo", pipeline="main", trigger="cli"), lambda event: None)
        found = {block.block: block for block in runs.block_runs(ctx, run.id)}
    finally:
        ctx.close()
    ended = {name: (block.status.value, block.error) for name, block in found.items()}
    assert {name for name, (status, _) in ended.items() if status == "completed"} == set(ALLOWED), ended
    assert {block.error.code for name, block in found.items() if name not in ALLOWED} == {"SB-WRK-080"}
    assert (root / "made.csv").is_file()
    assert not (root / ".spellbook" / "n36.csv").exists()
