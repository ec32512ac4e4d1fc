"""SQL blocks on a real database server."""

from __future__ import annotations

import os

import pytest

from spellbook_core.model.run import NewRun
from spellbook_core.services import outputs, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import BlockFile, make_project

FRAME = """
import pandas as pd

@data_loader
def load(*args, **kwargs):
    return pd.DataFrame({'id': [1, 2, 3], 'name': ['a', 'b%', 'c']})
"""
ASKED = """select id, name, '{{ who }}' as who, 5 % 3 as rest
from {{ df_1 }}
where id >= {{ least }} and name like '%b%' or id in ({{ ids }})
order by id
"""
COUNTED = """drop table if exists counted;
create table counted (n int);
insert into counted values ({{ least }});
select count(*) as n, sum(n) as s from counted
"""
HOSTILE = "x'; drop table mage_names; --"


def check(tmp_path, provider, profile):
    def sql(source, parents=(), type="transformer", **configuration):
        settings = {"configuration": {"data_provider": provider, **configuration}}
        return BlockFile(source, type, tuple(parents), settings, language="sql")

    written = {"data_provider_table": "mage_names", "export_write_policy": "replace"}
    blocks = {
        "load": BlockFile(FRAME, "data_loader"),
        "asked": sql(ASKED, ["load"]),
        "written": sql("select * from {{ df_1 }}", ["asked"], "data_exporter", **written),
        "counted": sql(COUNTED, type="data_loader", use_raw_sql=True),
        "read": sql("select count(*) as n from mage_names", ["written"]),
        "wrong": sql("select 1;\n\nselect nix\nfrom {{ df_1 }}", ["asked"]),
    }
    values = {"least": 2, "who": HOSTILE, "ids": [1, 3]}
    make_project(tmp_path, blocks=blocks, variables=values, files={"io_config.yaml": profile})
    ctx = open_context(tmp_path)
    try:
        run = runs.run_here(ctx, NewRun(project="demo", pipeline="main", trigger="cli"), lambda event: None)
        found = {block.block: block for block in runs.block_runs(ctx, run.id)}
        wrong = found.pop("wrong").error
        assert {name: block.error for name, block in found.items() if block.error} == {}
        made = {name: outputs.page(ctx, block.outputs[0]).rows for name, block in found.items()}
    finally:
        ctx.close()
    assert made["asked"] == [[1, "a", HOSTILE, 2], [2, "b%", HOSTILE, 2], [3, "c", HOSTILE, 2]]
    assert made["written"] == made["asked"]
    assert made["read"] == [[3]]
    assert [[int(cell) for cell in row] for row in made["counted"]] == [[1, 2]]
    assert (wrong.code, wrong.line) == ("SB-WRK-080", 3)


@pytest.mark.skipif("SPELLBOOK_TEST_POSTGRES" not in os.environ, reason="names a server: host,port,user,database")
def test_sql_blocks_run_on_postgres(tmp_path):
    """Run by hand with `SPELLBOOK_TEST_POSTGRES=127.0.0.1,5432,me,postgres`."""
    host, port, user, database = os.environ["SPELLBOOK_TEST_POSTGRES"].split(",")
    keys = f"POSTGRES_HOST: '{host}'\n  POSTGRES_PORT: {port}\n  POSTGRES_USER: {user}\n  POSTGRES_DBNAME: {database}\n"
    check(tmp_path, "postgres", f"default:\n  {keys}")


@pytest.mark.skipif("SPELLBOOK_TEST_MYSQL" not in os.environ, reason="names a server: host,port,user,database")
def test_sql_blocks_run_on_mysql(tmp_path):
    """Run by hand with `SPELLBOOK_TEST_MYSQL=127.0.0.1,3306,me,test`, against MySQL or MariaDB."""
    host, port, user, database = os.environ["SPELLBOOK_TEST_MYSQL"].split(",")
    keys = f"MYSQL_HOST: '{host}'\n  MYSQL_PORT: {port}\n  MYSQL_USER: {user}\n  MYSQL_DATABASE: {database}\n"
    check(tmp_path, "mysql", f"default:\n  {keys}")
