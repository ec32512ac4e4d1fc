"""SQL blocks in whole runs, each block in a process of its own, on real files and databases."""

from __future__ import annotations

import pytest

from spellbook_core.model.run import NewRun
from spellbook_core.services import outputs, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import BlockFile, make_project

ORDERS = """
import pandas as pd

@data_loader
def load(*args, **kwargs):
    return pd.DataFrame({
        'id': [1, 2, 3, 4], 'shop': ['a', 'b', 'a', 'c'], 'amount': [1.5, 2.5, 3.0, 9.0],
        'day': pd.to_datetime(['2026-01-01', '2026-01-02', '2026-01-03', '2026-01-04']),
    })
"""
SUMS = """-- Sum up by shop.
CREATE TEMP TABLE few AS SELECT * FROM {{ df_1 }} WHERE amount <= {{ most }};

SELECT f.shop, count(*) AS orders, sum(id) AS ids, sum(amount) AS total, max(day)::date AS last, city
FROM few f
JOIN 'data/shops.csv' s ON s.shop = f.shop
WHERE f.shop <> '{{ hidden }}'
GROUP BY ALL ORDER BY 1
"""
IN_PANDAS = """
@transformer
def check(frame, *args, **kwargs):
    assert str(frame.dtypes['total']) == 'float64', frame.dtypes
    assert str(frame.dtypes['ids']) == 'int64', frame.dtypes
    assert frame['last'].dt.year.tolist() == [2026, 2026]
    frame['total'] += 1
    return frame.total.tolist()
"""
SHOPS = {"data/shops.csv": "shop,city\na,Seoul\nb,Busan\nc,Daegu\n"}


def sql(source, parents=(), type="transformer", **configuration):
    return BlockFile(source, type, tuple(parents), {"configuration": configuration}, language="sql")


@pytest.fixture
def ctx(tmp_path):
    (tmp_path / "projects").mkdir()
    made = open_context(tmp_path)
    yield made
    made.close()


def run(ctx, **changes):
    """Run the pipeline to its end, and return its block runs by name."""
    new = NewRun(**{"project": "demo", "pipeline": "main", "trigger": "cli", **changes})
    ended = runs.run_here(ctx, new, lambda event: None)
    return {found.block: found for found in runs.block_runs(ctx, ended.id)}


def rows(ctx, block_run):
    return outputs.page(ctx, block_run.outputs[0]).rows


def status(found):
    return {name: block.status.value for name, block in found.items()}


def test_sql_stands_between_python_blocks(ctx, tmp_path):
    blocks = {
        "orders": BlockFile(ORDERS, "data_loader"),
        "sums": sql(SUMS, ["orders"]),
        "again": sql("select shop, ids, total from sums where total > 2 order by all", ["sums"]),
        "check": BlockFile(IN_PANDAS, "transformer", ("sums",)),
    }
    make_project(tmp_path, blocks=blocks, variables={"most": 5, "hidden": "c'; DROP TABLE few; --"}, files=SHOPS)
    found = run(ctx)
    assert status(found) == dict.fromkeys(blocks, "completed"), {n: b.error for n, b in found.items() if b.error}
    assert rows(ctx, found["sums"])[0][:4] == ["a", 2, 4, 4.5]
    assert rows(ctx, found["again"]) == [["a", 4, 4.5], ["b", 2, 2.5]]
    assert found["sums"].outputs[0].type_name == "pandas.DataFrame"
    log = [line.text for line in runs.log_tail(ctx, found["sums"]).lines]
    assert any("→ 2 rows" in line for line in log), log
    assert not any("DROP" in line for line in log)


def test_error_names_the_line_of_the_file(ctx, tmp_path):
    source = "-- one\n\nselect 1;\n\n{% if true %}\nselect *\n{% endif %}\nfrom range(3) t(x)\nwhere nix = {{ most }}\n"
    make_project(tmp_path, blocks={"bad": sql(source, type="data_loader")}, variables={"most": 5})
    error = run(ctx)["bad"].error
    assert (error.code, error.line) == ("SB-WRK-080", 9)
    assert 'Referenced column "nix" not found' in error.message
    assert "LINE" not in error.message


def test_wrong_expression_names_the_line_of_the_file(ctx, tmp_path):
    make_project(tmp_path, blocks={"bad": sql("select\n {{ nix }}", type="data_loader")})
    error = run(ctx)["bad"].error
    assert (error.code, error.line) == ("SB-WRK-081", 2)
    assert "'nix' is undefined" in error.message


def test_a_missing_table_names_the_parents(ctx, tmp_path):
    blocks = {"one": sql("select 1 as a", type="data_loader"), "two": sql("select * from oen", ["one"])}
    make_project(tmp_path, blocks=blocks)
    error = run(ctx)["two"].error
    assert "oen" in error.message
    assert "df_1, one" in error.hint


def test_a_parent_without_a_table_is_named(ctx, tmp_path):
    nothing = BlockFile("@data_loader\ndef load(*args, **kwargs):\n    print('only prints')\n", "data_loader")
    blocks = {
        "load": nothing,
        "as_hole": sql("select *\nfrom {{ df_1 }}", ["load"]),
        "its_columns": sql("select 1;\n\nselect {{ df_1.columns }}", ["load"]),
        "by_name": sql("select *\nfrom load", ["load"]),
        "only_after": sql("select 1 as a {% if df_1 is defined %} from {{ df_1 }} {% endif %}", ["load"]),
        "as_value": sql("select {{ block_output('load') }} as a", ["load"]),
    }
    make_project(tmp_path, blocks=blocks)
    found = run(ctx)
    told = {name: (block.error.message, block.error.line) for name, block in found.items() if block.error}
    assert told == {
        "as_hole": ("There is no table 'df_1': its block 'load' returned None.", 2),
        "its_columns": ("There is no table 'df_1': its block 'load' returned None.", 3),
        "by_name": ("Line 2: There is no table 'load': its block 'load' returned None.", 2),
    }
    assert all("return a table in 'load'" in found[name].error.hint for name in told)
    assert (rows(ctx, found["only_after"]), rows(ctx, found["as_value"])) == ([[1]], [[None]])


def test_unchanged_sql_is_reused_until_its_text_or_values_change(ctx, tmp_path):
    blocks = {
        "one": sql("select {{ most }} as a", type="data_loader", cache="always"),
        "two": sql("select a + 1 as b from one", ["one"]),
        "day": sql("select '{{ ds }}' as day from one", ["one"]),
    }
    project = make_project(tmp_path, blocks=blocks, variables={"most": 5, "other": 1})
    assert not any(found.reused for found in run(ctx).values())
    assert {n: found.reused for n, found in run(ctx, variables={"other": 2}).items()} == dict.fromkeys(blocks, True)
    changed = run(ctx, variables={"most": 6})
    assert not any(found.reused for found in changed.values())
    (project / "transformers" / "two.sql").write_text("select a + 2 as b from one")
    assert {n: f.reused for n, f in run(ctx, variables={"most": 6}).items()} == {"one": True, "two": False, "day": True}


def test_sql_runs_again_for_another_secret_and_whenever_its_tables_stay(ctx, tmp_path):
    """Nobody tells what became of a table in a database, and to write it is the block's work."""
    place = {"data_provider_database": "data/kept.duckdb", "data_provider_table": "t"}
    blocks = {
        "one": sql("select {{ secret('word') }} as a"),
        "kept": sql("select 1 as a", **place, export_write_policy="replace"),
        "asked": sql("select 1 as a", cache="always", data_provider_database="data/other.duckdb"),
    }
    project = make_project(tmp_path, blocks=blocks, files={"data/.keep": "", ".env": "word=first\n"})
    run(ctx)
    assert {n: found.reused for n, found in run(ctx).items()} == {"one": True, "kept": False, "asked": True}
    (project / ".env").write_text("word=second\n")
    assert rows(ctx, run(ctx)["one"]) == [["second"]]


def test_exporter_writes_its_table_by_the_policy(ctx, tmp_path):
    import duckdb

    place = {"data_provider_database": "data/warehouse.duckdb", "data_provider_schema": "mart"}
    blocks = {
        "one": sql("select unnest([1, 2]) as a", type="data_loader"),
        "added": sql("select * from one", ["one"], "data_exporter", **place),
        "made_anew": sql("select * from one", ["one"], "data_exporter", **place, export_write_policy="replace"),
        "named": sql("select a from one", ["one"], data_provider_table="kept", **place, export_write_policy="replace"),
    }
    project = make_project(tmp_path, blocks=blocks, files={"data/.keep": ""})
    for _ in range(2):
        found = run(ctx)
        assert set(status(found).values()) == {"completed"}, {n: b.error for n, b in found.items() if b.error}
    with duckdb.connect(str(project / "data" / "warehouse.duckdb")) as connection:
        counts = {
            name: connection.sql(f"select count(*) from mart.{name}").fetchall()[0][0]
            for name in ("main_added", "main_made_anew", "kept")
        }
    assert counts == {"main_added": 4, "main_made_anew": 2, "kept": 2}
    reader = sql("select count(*) as n from mart.main_added", type="data_loader", **place)
    failing = sql("select 1", type="data_exporter", **place, data_provider_table="kept", export_write_policy="fail")
    make_project(tmp_path, blocks={"reader": reader, "failing": failing})
    found = run(ctx)
    assert rows(ctx, found["reader"]) == [[4]]
    assert found["failing"].error.code == "SB-WRK-038"


def test_exporter_without_a_database_says_what_to_name(ctx, tmp_path):
    blocks = {
        "nowhere": sql("select 1", type="data_exporter"),
        "copied": sql("copy (select 1 as a) to 'data/out.csv'", type="data_exporter"),
    }
    project = make_project(tmp_path, blocks=blocks, files={"data/.keep": ""})
    found = run(ctx)
    assert found["nowhere"].error.code == "SB-WRK-083"
    assert "data_provider_database" in found["nowhere"].error.hint
    assert found["copied"].status.value == "completed"
    assert (project / "data" / "out.csv").read_text() == "a\n1\n"


def test_database_of_io_config_is_mages(ctx, tmp_path):
    import duckdb

    outside = tmp_path / "elsewhere.duckdb"
    with duckdb.connect(str(outside)) as connection:
        connection.execute("create table stock as select 7 as n")
    block = sql(
        "update stock set n = n + 1;\nselect n from stock", type="data_loader", data_provider="duckdb", use_raw_sql=True
    )
    config = {"io_config.yaml": f"version: 0.1.1\ndefault:\n  DUCKDB_DATABASE: {outside}\n"}
    make_project(tmp_path, blocks={"raw": block}, files=config)
    assert rows(ctx, run(ctx)["raw"]) == [[8]]
    with duckdb.connect(str(outside)) as connection:
        assert connection.sql("select n from stock").fetchall() == [(8,)]


def test_provider_that_is_not_offered_is_named(ctx, tmp_path):
    blocks = {
        "trino": sql("select 1", type="data_loader", data_provider="trino"),
        "postgres": sql("select 1", type="data_loader", data_provider="postgres"),
    }
    make_project(tmp_path, blocks=blocks)
    found = run(ctx)
    assert found["trino"].error.code == "SB-WRK-084"
    assert "duckdb, postgres, mysql, mssql, snowflake" in found["trino"].error.hint
    assert found["postgres"].error.code in {"SB-WRK-033", "SB-WRK-034"}  # no io_config.yaml, no driver


def test_values_and_records_of_python_are_tables_too(ctx, tmp_path):
    records = "@data_loader\ndef load(*args, **kwargs):\n    return {'limit': 3, 'shops': ['a', 'b']}"
    several = "@data_loader\ndef load(*args, **kwargs):\n    return [1, 2], {'x': 1.5}"
    listed = "@data_loader\ndef load(*args, **kwargs):\n    return [{'n': 1}, {'n': 2, 'late': 'x'}, {'n': None}]"
    plain = "@data_loader\ndef load(*args, **kwargs):\n    return [1, 2.5, None]"
    half = "import pandas as pd\n@data_loader\ndef f(*args):\n    return pd.DataFrame({'h': [1.5]}, dtype='f2')"
    apart = "@data_loader\ndef load(*args, **kwargs):\n    return {'n': 1}, {'other': 2}"
    blocks = {
        "settings": BlockFile(records, "data_loader"),
        "several": BlockFile(several, "data_loader"),
        "listed": BlockFile(listed, "data_loader"),
        "plain": BlockFile(plain, "data_loader"),
        "apart": BlockFile(apart, "data_loader"),
        "half": BlockFile(half, "data_loader"),
        "lists": sql(
            "select sum(n), max(late), (select count(*) from {{ df_1 }}), (select sum(value) from plain), "
            "(select n from apart), (select n from {{ df_1[1] }}), (select h from half) "
            "from listed",
            ["listed", "plain", "apart", "half"],
        ),
        "used": sql(
            "select {{ block_output('settings')['limit'] }} as most, s.limit,\n"
            "'a' in {{ block_output('settings').shops }} as there,\n"
            "'b' in ({{ block_output('settings').shops }}) as too,\n"
            "(select sum(value) from {{ df_2 }}) as n, (select x from {{ df_2[1] }}) as x from settings s",
            ["settings", "several"],
        ),
    }
    make_project(tmp_path, blocks=blocks)
    found = run(ctx)
    assert found["used"].error is None
    assert rows(ctx, found["used"]) == [[3, 3, True, True, 3, 1.5]]
    assert found["lists"].error is None
    assert rows(ctx, found["lists"]) == [[3, "x", 3, 3.5, 1, 2, 1.5]]


def test_items_of_dynamic_parents_and_rows_of_children_are_tables(ctx, tmp_path):
    shops = sql("select unnest(['a', 'b', 'c']) as shop, unnest([1, 2, 3]) as rate", type="data_loader", dynamic=True)
    each = sql("select shop, rate * 10 as tenfold, {{ dynamic_block_index }} as n from shops", ["shops"])
    together = sql("select count(*) as n, sum(tenfold) as s from each", ["each"])
    reduced = BlockFile(each.source, each.type, each.parents, {"configuration": {"reduce_output": True}}, "sql")
    script = BlockFile('ls "$SPELLBOOK_INPUT_1" | wc -l > "$SPELLBOOK_OUTPUT"', "custom", ("each",), language="shell")
    make_project(tmp_path, blocks={"shops": shops, "each": reduced, "together": together, "files": script})
    found = run(ctx)
    assert {name: block.error for name, block in found.items() if block.error} == {}
    assert rows(ctx, found["together"]) == [[3, 60]]
    assert ctx.artifacts.get(found["files"].outputs[0].artifact) == 3


def test_blocks_with_one_file_wait_for_each_other(ctx, tmp_path):
    import duckdb

    place = {"data_provider_database": "data/w.duckdb"}
    blocks = {f"e{n}": sql(f"select {n} as n", type="data_exporter", **place) for n in range(4)}
    project = make_project(tmp_path, blocks=blocks, files={"data/.keep": ""})
    found = run(ctx)
    assert {name: block.error for name, block in found.items() if block.error} == {}
    with duckdb.connect(str(project / "data" / "w.duckdb")) as connection:
        assert len(connection.sql("from duckdb_tables()").fetchall()) == 4


def test_large_sorts_go_to_the_disk_and_leave_nothing(ctx, tmp_path):
    text = "select count(*) as n from (select md5(x::varchar) as m from range(1500000) t(x) order by m)"
    project = make_project(tmp_path, blocks={"sorted": sql(text, type="data_loader", memory_limit="400MB")})
    found = run(ctx)["sorted"]
    assert found.error is None
    assert rows(ctx, found) == [[1_500_000]]
    assert sorted(path.name for path in project.iterdir()) == [
        *("__init__.py", "data_loaders", "metadata.yaml", "pipelines")
    ]


def test_odd_types_of_duckdb_become_texts(ctx, tmp_path):
    text = "select '101'::bit as b, 12345678901234567890123::bignum as n, union_value(a := 1) as u"
    make_project(tmp_path, blocks={"odd": sql(text, type="data_loader")})
    found = run(ctx)["odd"]
    assert found.error is None
    assert rows(ctx, found) == [["101", "12345678901234567890123", "1"]]


@pytest.mark.guarantee("N21")
def test_hostile_runtime_variables_leave_the_tables(ctx, tmp_path):
    import duckdb

    place = {"data_provider_database": "data/w.duckdb", "use_raw_sql": True}
    text = "create table if not exists kept as select 1 as n;\n"
    text += "select n from kept where n::varchar = {{ v }} or 'a{{ v }}' = ''"
    project = make_project(tmp_path, blocks={"ask": sql(text, type="data_loader", **place)}, files={"data/.keep": ""})
    for hostile in ("1; DROP TABLE kept", "'; DROP TABLE kept; --", "{{ v }}", "1 OR 1=1"):
        found = run(ctx, variables={"v": hostile})["ask"]
        assert found.error is None
        assert rows(ctx, found) == []
    with duckdb.connect(str(project / "data" / "w.duckdb")) as connection:
        assert connection.sql("select n from kept").fetchall() == [(1,)]
