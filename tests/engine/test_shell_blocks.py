"""Shell blocks in whole runs: what reaches the script, what its prints, exit code and files become."""

from __future__ import annotations

import os

import psutil
import pytest

from spellbook_core.model.run import NewRun
from spellbook_core.project import library
from spellbook_core.services import engines, outputs, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import BlockFile, make_project, wait_until

FRAME = """
import pandas as pd

@data_loader
def load(*args, **kwargs):
    return pd.DataFrame({'a': [1, 2]}), {'k': 'v'}, object
"""


def shell(source, parents=(), type="custom", **configuration):
    return BlockFile(source, type, tuple(parents), {"configuration": configuration}, language="shell")


@pytest.fixture
def ctx(tmp_path):
    (tmp_path / "projects").mkdir()
    made = open_context(tmp_path)
    yield made
    engines.stop(made)
    made.close()


def run(ctx, **changes):
    new = NewRun(**{"project": "demo", "pipeline": "main", "trigger": "cli", **changes})
    ended = runs.run_here(ctx, new, lambda event: None)
    return {found.block: found for found in runs.block_runs(ctx, ended.id)}


def log(ctx, block_run):
    return [(line.stream, line.text) for line in runs.log_tail(ctx, block_run).lines]


def value(ctx, block_run):
    return ctx.artifacts.get(block_run.outputs[0].artifact)


def test_values_and_parents_reach_a_script_and_its_output_the_child(ctx, tmp_path):
    script = """
set -euo pipefail
echo "rate is $SPELLBOOK_VAR_RATE"
echo "to stderr" >&2
python3 - <<'PY'
import json, os
inputs = {name: os.path.basename(path) for name, path in os.environ.items() if name.startswith('SPELLBOOK_INPUT')}
everything = json.load(open(os.environ['SPELLBOOK_VARIABLES']))
found = {'inputs': inputs, 'rate': everything['rate'], 'cwd': os.path.basename(os.getcwd()),
         'json': json.load(open(os.environ['SPELLBOOK_INPUT_1_1'])),
         'csv': open(os.environ['SPELLBOOK_INPUT_1']).read()}
json.dump(found, open(os.environ['SPELLBOOK_OUTPUT'], 'w'))
PY
"""
    child = "@transformer\ndef check(found, *args, **kwargs):\n    return found['rate'] * 2"
    table = 'printf "n,s\\n1,x\\n2,y\\n" > "$SPELLBOOK_OUTPUT_CSV"'
    blocks = {
        "load": BlockFile(FRAME, "data_loader"),
        "script": shell(script, ["load"], input_format="csv"),
        "child": BlockFile(child, "transformer", ("script",)),
        "table": shell(table, type="data_loader"),
    }
    make_project(tmp_path, blocks=blocks, variables={"rate": 0.5})
    found = run(ctx)
    assert {name: block.error for name, block in found.items() if block.error} == {}
    made = value(ctx, found["script"])
    assert set(made.pop("inputs")) == {
        *("SPELLBOOK_INPUTS", "SPELLBOOK_INPUT_1", "SPELLBOOK_INPUT_LOAD"),
        *("SPELLBOOK_INPUT_1_1", "SPELLBOOK_INPUT_LOAD_1"),
    }
    assert made == {"rate": 0.5, "cwd": "demo", "json": {"k": "v"}, "csv": '"a"\n1\n2\n'}
    assert value(ctx, found["child"]) == 1.0
    assert outputs.page(ctx, found["table"].outputs[0]).rows == [[1, "x"], [2, "y"]]
    lines = log(ctx, found["script"])
    assert ("stdout", "rate is 0.5") in lines
    assert ("stderr", "to stderr") in lines


def test_exit_code_fails_the_block_with_its_last_lines(ctx, tmp_path):
    blocks = {
        "bad": shell("echo one\necho two >&2\nnot_a_program\nexit 3\n"),
        "silent": shell("kill -9 $$"),
        "no_list": shell("", command="echo hi"),
        "no_program": shell("", command=["not_a_program_at_all", "x"]),
        "no_json": shell('echo "{" > "$SPELLBOOK_OUTPUT"'),
    }
    make_project(tmp_path, blocks=blocks)
    errors = {name: found.error for name, found in run(ctx).items()}
    assert (errors["bad"].code, errors["bad"].facts["exit_code"]) == ("SB-WRK-090", 3)
    assert "ended with exit code 3" in errors["bad"].message
    assert "two" in errors["bad"].message
    assert errors["bad"].line == 3
    assert "SIGKILL" in errors["silent"].message
    assert errors["no_list"].code == errors["no_program"].code == "SB-WRK-091"
    assert errors["no_json"].code == "SB-WRK-092"


def test_shell_blocks_run_again_unless_told_otherwise(ctx, tmp_path):
    blocks = {"always": shell("true", type="transformer"), "kept": shell("true", type="transformer", cache="always")}
    make_project(tmp_path, blocks=blocks)
    run(ctx)
    assert {name: found.reused for name, found in run(ctx).items()} == {"always": False, "kept": True}


def test_a_cancelled_script_leaves_no_process(ctx, tmp_path):
    project = make_project(tmp_path, blocks={"waits": shell("echo $$ > pid\nsleep 600 &\necho $! > child\nwait")})
    started = runs.start(ctx, NewRun(project="demo", pipeline="main", trigger="manual"))
    wait_until(lambda: (project / "child").exists() and (project / "child").read_text().strip(), what="it runs")
    pids = [int((project / name).read_text()) for name in ("pid", "child")]
    runs.cancel(ctx, started.id)
    wait_until(lambda: runs.get(ctx, started.id).status.is_terminal, what="it ends")
    assert runs.get(ctx, started.id).status.value == "cancelled"
    wait_until(lambda: not any(_lives(pid) for pid in pids), what="its processes end")


def test_prints_arrive_while_it_runs(ctx, tmp_path):
    project = make_project(tmp_path, blocks={"waits": shell("echo begun\nwhile [ ! -e go ]; do sleep 0.05; done")})
    started = runs.start(ctx, NewRun(project="demo", pipeline="main", trigger="manual"))
    wait_until(lambda: [r for r in runs.block_runs(ctx, started.id) if ("stdout", "begun") in log(ctx, r)])
    (project / "go").touch()
    wait_until(lambda: runs.get(ctx, started.id).status.is_terminal, what="it ends")
    assert runs.get(ctx, started.id).status.value == "completed"


@pytest.mark.guarantee("F37")
def test_script_that_reads_its_input_gets_none(ctx, tmp_path):
    make_project(tmp_path, blocks={"reads": shell('read -r line || echo "nothing: [$line]"')})
    found = run(ctx)["reads"]
    assert found.error is None
    assert ("stdout", "nothing: []") in log(ctx, found)


@pytest.mark.guarantee("N22")
def test_values_never_become_commands(ctx, tmp_path):
    hostile = ["$(touch pwned)", "; touch pwned", "`touch pwned`", "' || touch pwned #", "a\nb", "-rf"]
    echo = 'for v in "$SPELLBOOK_VAR_A" "$SPELLBOOK_VAR_B"; do printf "%s" "$v" > /dev/null; done'
    lists = shell("", command=["printf", "%s", "$(touch pwned)", "; touch pwned"])
    blocks = {"script": shell(echo + '\nprintf "%s" "$SPELLBOOK_VAR_A" > seen'), "list": lists}
    project = make_project(tmp_path, blocks=blocks)
    for text in hostile:
        found = run(ctx, variables={"a": text, "b": [text], "$(touch pwned)": text})
        assert {name: block.error for name, block in found.items() if block.error} == {}
        assert (project / "seen").read_text() == text
    assert [path for path in tmp_path.rglob("pwned") if ".spellbook" not in path.parts] == []
    assert not os.path.exists("pwned")


def _lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_templates_of_other_languages_run(ctx, tmp_path):
    parents = {"transformer": ["sql_query"], "data_exporter": ["sql_query"]}
    items = [item for item in library.templates() if item.language in {"sql", "shell"}]
    blocks = {}
    for item in items:
        uuid = item.id.rpartition("/")[2]
        uuid = uuid if uuid not in blocks else f"{item.block_type}_{uuid}"
        given = tuple(parents.get(item.block_type, ()))
        blocks[uuid] = BlockFile(item.source, item.block_type, given, language=item.language)
    project = make_project(tmp_path, blocks=blocks)
    found = run(ctx)
    assert {name: block.error for name, block in found.items() if block.error} == {}
    assert all(item.description and item.title for item in items)
    assert [path.name for path in (project / "exports").iterdir()] == ["1_sql_query.parquet"]
    assert (project / "export.parquet").exists()
