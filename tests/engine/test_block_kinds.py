"""Conditions, callbacks, dynamic and replicated blocks, generators and coroutines, run for real in processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from spellbook_core.model.run import NewRun, Selection, Status, Upstream
from spellbook_core.project.layout import TYPE_FOLDERS
from spellbook_core.services import exchange, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import LOADER, PASS_ON, BlockFile, make_project

DYNAMIC = {"configuration": {"dynamic": True}}
REDUCED = {"configuration": {"reduce_output": True}}
ITEMS = """
@data_loader
def items(*args, **kwargs):
    numbers = list(range(kwargs.get('count', 3)))
    return [numbers, [{'block_uuid': f'n{n}', 'color': f'c{n}'} for n in numbers]]
"""
SQUARE = """
import pathlib

@transformer
def square(number, *args, **kwargs):
    with (pathlib.Path(__file__).parents[1] / 'called.txt').open('a') as file:
        file.write(f"square {number}\\n")
    return number * number
"""
ALL = """
@custom
def gather(values, *args, **kwargs):
    return {'all': values}
"""


def add_ons(project: Path, *, conditionals=(), callbacks=()) -> None:
    """Write conditions and callbacks into the pipeline's file; each is (name, source, blocks)."""
    path = project / "pipelines" / "main" / "metadata.yaml"
    document = yaml.safe_load(path.read_text())
    for key, kind, given in (("conditionals", "conditional", conditionals), ("callbacks", "callback", callbacks)):
        document[key] = []
        for name, source, blocks in given:
            file = project / TYPE_FOLDERS[kind] / f"{name}.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text(source)
            entry = {"uuid": name, "name": name, "type": kind, "language": "python", "upstream_blocks": list(blocks)}
            document[key].append({**entry, "downstream_blocks": []})
    path.write_text(yaml.safe_dump(document, sort_keys=False))


@pytest.fixture
def workspace(tmp_path):
    class Workspace:
        def make(self, blocks, **given):
            own = {
                name: replace(block, settings=deepcopy(block.settings)) if isinstance(block, BlockFile) else block
                for name, block in blocks.items()
            }
            self.project = make_project(tmp_path, blocks=own, **given)
            return self.project

        def run(self, **changes):
            ctx = open_context(tmp_path)
            try:
                new = NewRun(**{"project": "demo", "pipeline": "main", "trigger": "cli", **changes})
                run = runs.run_here(ctx, new, lambda event: None)
                return run, {found.key: found for found in runs.block_runs(ctx, run.id)}
            finally:
                ctx.close()

        def value(self, block_run, index=0, child=""):
            ctx = open_context(tmp_path)
            try:
                found = [o for o in block_run.outputs if o.index == index and o.child == child]
                return ctx.artifacts.get(found[0].artifact)
            finally:
                ctx.close()

        def called(self):
            file = self.project / "called.txt"
            return file.read_text().split("\n")[:-1] if file.exists() else []

    return Workspace()


def told(name: str, marks: str) -> str:
    return f"""
import json, pathlib

{marks}
def tell(*args, **kwargs):
    error = kwargs.get('__error')
    found = {{
        'by': '{name}', 'args': [str(a) for a in args], 'parent': kwargs['parent_block_uuid'],
        'run': kwargs['pipeline_run'].id, 'error': None if error is None else f'{{type(error).__name__}}: {{error}}',
    }}
    with (pathlib.Path(__file__).parents[1] / 'called.txt').open('a') as file:
        file.write(json.dumps(found) + '\\n')
"""


# -- conditions -----------------------------------------------------------------------------------------------------


def condition(expression: str) -> str:
    return f"@condition\ndef holds(*args, **kwargs):\n    return {expression}\n"


def test_false_condition_skips_the_block_and_all_below_and_completes_the_run(workspace):
    blocks = {"load": LOADER, "guarded": PASS_ON, "below": PASS_ON, "beside": BlockFile(PASS_ON, parents=("load",))}
    project = workspace.make(blocks)
    add_ons(project, conditionals=[("never", condition("args[0] > 5"), ["guarded"])])
    run, found = workspace.run()
    assert run.status is Status.COMPLETED
    assert {key: each.status.value for key, each in found.items()} == {
        "load": "completed",
        "never@guarded": "condition_failed",
        "guarded": "condition_failed",
        "below": "condition_failed",
        "beside": "completed",
    }
    assert found["guarded"].reason == "its condition 'never' does not hold"
    assert run.blocks_total == run.blocks_done == 4


def test_conditions_are_anded_and_get_the_inputs_of_the_guarded_block(workspace):
    project = workspace.make({"load": LOADER, "guarded": PASS_ON})
    both = condition("args == (1,)") + condition("kwargs['parent_block_uuid'] == 'guarded'")
    add_ons(project, conditionals=[("one", both, ["guarded"]), ("two", condition("True"), ["guarded"])])
    assert workspace.run()[1]["guarded"].status is Status.COMPLETED
    add_ons(project, conditionals=[("one", both, ["guarded"]), ("two", condition("[]"), ["guarded"])])
    assert workspace.run()[1]["guarded"].status is Status.CONDITION_FAILED


def test_condition_that_raises_fails_the_guarded_block(workspace):
    project = workspace.make({"load": LOADER, "guarded": PASS_ON, "below": PASS_ON})
    add_ons(project, conditionals=[("broken", condition("1 / 0"), ["guarded"])])
    run, found = workspace.run()
    assert run.status is Status.FAILED
    assert found["guarded"].status is Status.FAILED
    assert "its condition 'broken' failed: ZeroDivisionError" in found["guarded"].error.message
    assert found["below"].status is Status.UPSTREAM_FAILED


# -- callbacks ------------------------------------------------------------------------------------------------------

FAILS = "@transformer\ndef fail(data, **kwargs):\n    raise ValueError('bad row')\n"


def test_callbacks_hear_how_their_block_ended(workspace):
    project = workspace.make({"load": LOADER, "fails": FAILS, "below": PASS_ON})
    marks = [("good", "@callback('success')"), ("bad", "@callback('failure')"), ("old", "@on_failure")]
    add_ons(project, callbacks=[(name, told(name, mark), ["load", "fails", "below"]) for name, mark in marks])
    run, found = workspace.run()
    heard = sorted((json.loads(line) for line in workspace.called()), key=lambda each: each["by"])
    assert [(each["by"], each["parent"], each["args"], each["error"]) for each in heard] == [
        ("bad", "fails", ["None"], "ValueError: bad row"),
        ("good", "load", ["1"], None),
        ("old", "fails", ["None"], "ValueError: bad row"),
    ]
    assert {each["run"] for each in heard} == {run.id}
    assert run.status is Status.FAILED
    assert found["good@below"].status is Status.UPSTREAM_FAILED, "a block that never ran is not told of"


def test_failing_callback_does_not_fail_the_run(workspace):
    project = workspace.make({"load": LOADER})
    add_ons(project, callbacks=[("tell", "@callback('success')\ndef f(*args, **kwargs):\n    1 / 0\n", ["load"])])
    run, found = workspace.run()
    assert run.status is Status.COMPLETED
    assert found["tell@load"].status is Status.FAILED
    assert found["tell@load"].error.exception == "ZeroDivisionError: division by zero"


# -- dynamic --------------------------------------------------------------------------------------------------------


def test_each_item_gets_a_child_with_its_metadata(workspace):
    child = """
@transformer
def each(number, *args, **kwargs):
    return [number, kwargs['color'], kwargs['dynamic_block_index'], kwargs['block_uuid']]
"""
    workspace.make({"items": BlockFile(ITEMS, "data_loader", settings=DYNAMIC), "each": child})
    run, found = workspace.run()
    assert run.status is Status.COMPLETED
    assert found["each"].children == ("0", "1", "2")
    assert [workspace.value(found["each:2"], n) for n in range(4)] == [2, "c2", 2, "n2"]
    assert found["each:2"].reason == "n2: item 2 of 'items'"
    assert workspace.value(found["each"], 1, child="1") == "c1"
    assert run.blocks_total == run.blocks_done == 2


def test_children_of_children_follow_one_by_one_and_reduce_gathers(workspace):
    blocks = {
        "items": BlockFile(ITEMS, "data_loader", settings=DYNAMIC),
        "square": SQUARE,
        "again": BlockFile(PASS_ON, parents=("square",), settings=REDUCED),
        "all": BlockFile(ALL, "custom", ("again",)),
    }
    workspace.make(blocks, variables={"count": 4})
    run, found = workspace.run()
    assert run.status is Status.COMPLETED
    assert workspace.value(found["all"]) == {"all": [0, 1, 4, 9]}
    assert found["again"].children == ("0", "1", "2", "3")


def test_nested_dynamic_blocks_multiply_and_do_not_wait_for_each_other(workspace):
    inner = """
import pathlib, time

@transformer
def inner(number, *args, **kwargs):
    until = time.monotonic() + 60
    while number == 2 and not (pathlib.Path(__file__).parent / '1a').exists():
        assert time.monotonic() < until, 'the child of 1 waits for 2'
        time.sleep(0.01)
    return [[f'{number}{c}' for c in 'ab'[:number]]]
"""
    leaf = """
import pathlib

@transformer
def leaf(name, *args, **kwargs):
    (pathlib.Path(__file__).parent / name).touch()
    return f"{name}{kwargs['dynamic_block_index']}"
"""
    blocks = {
        "items": BlockFile(ITEMS, "data_loader", settings=DYNAMIC),
        "inner": BlockFile(inner, parents=("items",), settings=DYNAMIC),
        "leaf": BlockFile(leaf, parents=("inner",), settings=REDUCED),
        "all": BlockFile(ALL, "custom", ("leaf",)),
    }
    workspace.make(blocks)
    run, found = workspace.run()
    assert run.status is Status.COMPLETED
    assert found["leaf"].children == ("1:0", "2:0", "2:1")
    assert workspace.value(found["all"]) == {"all": ["1a0", "2a1", "2b2"]}


def test_two_dynamic_parents_are_combined_each_with_each(workspace):
    pair = "@transformer\ndef pair(left, right, *args, **kwargs):\n    return f'{left}{right}'\n"
    letters = "@data_loader\ndef letters(*args, **kwargs):\n    return [list('xy')]\n"
    blocks = {
        "items": BlockFile(ITEMS, "data_loader", settings=DYNAMIC),
        "letters": BlockFile(letters, "data_loader", settings=DYNAMIC),
        "pair": BlockFile(pair, parents=("items", "letters"), settings=REDUCED),
        "all": BlockFile(ALL, "custom", ("pair",)),
    }
    workspace.make(blocks, variables={"count": 2})
    _, found = workspace.run()
    assert workspace.value(found["all"]) == {"all": ["0x", "0y", "1x", "1y"]}


def test_parents_of_one_dynamic_block_meet_item_by_item(workspace):
    pair = "@transformer\ndef pair(left, right, *args, **kwargs):\n    return (left, right, 'end')\n"
    blocks = {
        "items": BlockFile(ITEMS, "data_loader", settings=DYNAMIC),
        "left": BlockFile(SQUARE, parents=("items",)),
        "right": BlockFile(PASS_ON, parents=("items",)),
        "pair": BlockFile(pair, parents=("left", "right"), settings=REDUCED),
        "all": BlockFile(ALL, "custom", ("pair",)),
    }
    workspace.make(blocks)
    _, found = workspace.run()
    assert workspace.value(found["all"]) == {"all": [[0, 0, "end"], [1, 1, "end"], [4, 2, "end"]]}


def test_no_items_means_no_children_and_an_empty_list(workspace):
    blocks = {
        "items": BlockFile(ITEMS, "data_loader", settings=DYNAMIC),
        "square": BlockFile(SQUARE, parents=("items",), settings=REDUCED),
        "all": BlockFile(ALL, "custom", ("square",)),
    }
    workspace.make(blocks, variables={"count": 0})
    run, found = workspace.run()
    assert run.status is Status.COMPLETED
    assert (found["square"].status, found["square"].children) == (Status.COMPLETED, ())
    assert workspace.value(found["all"]) == {"all": []}


def test_tables_and_table_rows_are_items(workspace):
    frames = """
import pandas as pd

@data_loader
def frames(*args, **kwargs):
    return [[pd.DataFrame({'a': [1, 2]}), pd.DataFrame({'a': [3]})]]
"""
    rows = """
import pandas as pd

@data_loader
def rows(*args, **kwargs):
    return pd.DataFrame({'name': ['x', 'y'], 'size': [1, 2]})
"""
    total = "@transformer\ndef total(frame, *args, **kwargs):\n    return int(frame['a'].sum())\n"
    name = "@transformer\ndef name(row, *args, **kwargs):\n    return row['name'] * row['size']\n"
    blocks = {
        "frames": BlockFile(frames, "data_loader", settings=DYNAMIC),
        "total": BlockFile(total, parents=("frames",), settings=REDUCED),
        "rows": BlockFile(rows, "data_loader", settings=DYNAMIC),
        "name": BlockFile(name, parents=("rows",), settings=REDUCED),
        "all": BlockFile("@custom\ndef f(a, b, **kwargs):\n    return {'a': a, 'b': b}\n", "custom", ("total", "name")),
    }
    workspace.make(blocks)
    _, found = workspace.run()
    assert workspace.value(found["all"]) == {"a": [3, 3], "b": ["x", "yy"]}


def test_one_failing_child_lets_the_others_go_on_and_fails_the_run(workspace):
    fails = SQUARE.replace("    return", "    assert number != 1, 'not one'\n    return")
    blocks = {
        "items": BlockFile(ITEMS, "data_loader", settings=DYNAMIC),
        "square": fails,
        "follow": PASS_ON,
        "all": BlockFile(ALL, "custom", ("square",)),
    }
    workspace.make(blocks)
    run, found = workspace.run()
    assert run.status is Status.FAILED
    states = {key: each.status.value for key, each in found.items() if key.startswith(("square", "follow"))}
    assert states == {
        "square": "failed",
        "square:0": "completed",
        "square:1": "failed",
        "square:2": "completed",
        "follow": "upstream_failed",
        "follow:0": "completed",
        "follow:1": "upstream_failed",
        "follow:2": "completed",
    }
    assert found["square"].error.message == "1 of 3 children of block 'square' failed; child 1: AssertionError: not one"


def test_unchanged_children_are_reused_and_changed_ones_run(workspace):
    workspace.make({"items": BlockFile(ITEMS, "data_loader", settings=DYNAMIC), "square": SQUARE})
    workspace.run()
    assert Counter(workspace.called()) == {"square 0": 1, "square 1": 1, "square 2": 1}
    _, found = workspace.run(variables={"count": 5})
    assert Counter(workspace.called()) == {f"square {n}": 1 for n in range(5)}
    assert [found[f"square:{n}"].reused for n in range(5)] == [True, True, True, False, False]


@pytest.mark.parametrize(("what", "count"), [("fail", 0), ("limit", 2)])
def test_most_children_is_honoured(workspace, what, count):
    dynamic = {"dynamic": {"max_child_block_runs": 2, "on_max_child_block_runs_exceeded": what}}
    blocks = {"items": BlockFile(ITEMS, "data_loader", settings={"configuration": dynamic}), "square": SQUARE}
    workspace.make(blocks)
    run, found = workspace.run()
    assert len(found["square"].children or ()) == count
    if what == "fail":
        assert run.status is Status.FAILED
        assert "returned 3 items, and at most 2 children may run" in found["items"].error.message
    else:
        assert "the first 2 get a child" in found["items"].warnings[0]


def test_block_run_alone_spreads_over_stored_items(workspace):
    workspace.make({"items": BlockFile(ITEMS, "data_loader", settings=DYNAMIC), "square": SQUARE, "follow": PASS_ON})
    workspace.run(selection=Selection(("items",)))
    run, found = workspace.run(selection=Selection(("square",)), trigger="notebook")
    assert run.status is Status.COMPLETED
    assert set(found) == {"square", "square:0", "square:1", "square:2"}
    run, found = workspace.run(selection=Selection(("follow",)), trigger="notebook")
    assert workspace.value(found["follow:2"]) == 4
    run, found = workspace.run(selection=Selection(("square",), tests_only=True), trigger="notebook")
    assert run.status is Status.COMPLETED
    assert found["square"].children == ("0", "1", "2"), "what was stored stays as it was"


def test_condition_of_a_child_leaves_that_child_out(workspace):
    blocks = {
        "items": BlockFile(ITEMS, "data_loader", settings=DYNAMIC),
        "square": BlockFile(SQUARE, parents=("items",), settings=REDUCED),
        "all": BlockFile(ALL, "custom", ("square",)),
    }
    project = workspace.make(blocks)
    tell = told("tell", "@callback('success')")
    add_ons(
        project,
        conditionals=[("odd", condition("args[0] != 1"), ["square"])],
        callbacks=[("tell", tell, ["square"])],
    )
    run, found = workspace.run()
    assert run.status is Status.COMPLETED
    assert found["square:1"].status is found["odd@square:1"].status is Status.CONDITION_FAILED
    assert found["square"].children == ("0", "2")
    assert workspace.value(found["all"]) == {"all": [0, 4]}
    heard = [json.loads(line)["args"] for line in workspace.called() if line.startswith("{")]
    assert sorted(heard) == [["0"], ["4"]]
    assert found["tell@square:1"].status is Status.CONDITION_FAILED


# -- the rest -------------------------------------------------------------------------------------------------------


def test_replica_runs_the_code_of_its_original_with_its_own_parents(workspace):
    project = workspace.make({"load": LOADER, "double": "@transformer\ndef f(x, **k):\n    return x * 2\n"})
    path = project / "pipelines" / "main" / "metadata.yaml"
    document = yaml.safe_load(path.read_text())
    replica = {"uuid": "twice", "name": "twice", "type": "transformer", "language": "python"}
    document["blocks"].append({**replica, "upstream_blocks": ["double"], "replicated_block": "double"})
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    run, found = workspace.run()
    assert run.status is Status.COMPLETED
    assert workspace.value(found["twice"]) == 4
    assert workspace.run()[1]["twice"].reused
    (project / "transformers" / "double.py").write_text("@transformer\ndef f(x, **k):\n    return x * 3\n")
    assert workspace.value(workspace.run()[1]["twice"]) == 9


def test_generators_and_coroutines_are_consumed_and_preprocessers_run_first(workspace):
    source = """
import asyncio
seen = []

@preprocesser
async def before(*args, **kwargs):
    seen.append('before')

@transformer
async def after(data, *args, **kwargs):
    await asyncio.sleep(0)
    return {'data': data, 'seen': seen}

@test
def test_one(output, *args):
    assert output['seen'] == ['before']

@test
async def test_two(output, *args):
    assert False, 'second'
"""
    numbers = "@data_loader\ndef numbers(*args, **kwargs):\n    yield 1\n    yield 2\n"
    workspace.make({"numbers": numbers, "after": source})
    run, found = workspace.run()
    assert run.status is Status.FAILED
    assert [(test.name, test.passed, test.message) for test in found["after"].tests] == [
        ("test_one", True, ""),
        ("test_two", False, "second"),
    ]
    assert workspace.value(found["after"])["data"] == [1, 2]


def test_stale_is_told_of_a_block_that_runs_once_per_item(workspace, tmp_path):
    workspace.make({"items": BlockFile(ITEMS, "data_loader", settings=DYNAMIC), "square": SQUARE})
    workspace.run()
    ctx = open_context(tmp_path)
    try:
        states = runs.staleness(ctx, "demo", "main")
        assert {name: found.state.value for name, found in states.items()} == {"items": "fresh", "square": "fresh"}
        (workspace.project / "transformers" / "square.py").write_text(SQUARE.replace("number * number", "number"))
        assert runs.staleness(ctx, "demo", "main")["square"].reasons == ("its code changed",)
    finally:
        ctx.close()
    run, _ = workspace.run(selection=Selection(None, Upstream.STALE), trigger="notebook")
    assert run.status is Status.COMPLETED


def test_command_line_gives_the_children_and_each_of_their_outputs(workspace, tmp_path):
    workspace.make({"items": BlockFile(ITEMS, "data_loader", settings=DYNAMIC), "square": SQUARE})
    add_ons(
        workspace.project,
        conditionals=[("odd", condition("args[0] != 1"), ["square"])],
        callbacks=[("tell", told("tell", "@callback('success')"), ["items"])],
    )
    cli = [str(Path(sys.executable).parent / "spellbook")]
    ended = subprocess.run([*cli, "run", "demo", "main", "--json"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert [block["uuid"] for block in report["blocks"]] == ["items", "square"]
    children = report["blocks"][1]["children"]
    assert [(child["child"], child["state"], len(child["outputs"])) for child in children] == [
        ("0", "completed", 1),
        ("1", "condition_failed", 0),
        ("2", "completed", 1),
    ]
    assert [(each["uuid"], each["hangs_on"]) for each in report["callbacks"]] == [("tell", "items")]
    assert [each["hangs_on"] for each in report["conditionals"]] == ["square"]
    to = tmp_path / "two.json"
    given = subprocess.run(
        [*cli, "output", "demo", "main", "square", "--child", "2", "--to", str(to)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (given.returncode, to.read_text()) == (0, "4"), given.stderr
    ctx = open_context(tmp_path)
    try:  # a number that names no child counts them
        assert exchange.find_output(ctx, "demo", "main", "square", child="1").child == "2"
    finally:
        ctx.close()
    given = subprocess.run(
        [*cli, "output", "demo", "main", "square", "--child", "9", "--to", str(to)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert given.returncode == 2
    assert "it has children: 0, 2" in given.stderr
