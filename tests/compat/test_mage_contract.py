"""How mage calls blocks: keyword arguments with their types, parents by position, outputs by return value."""

from __future__ import annotations

from datetime import date, datetime

import pytest
import yaml

from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.model.run import NewRun, Status
from spellbook_core.services import runs
from spellbook_core.services.wiring import open_context
from tests.conftest import BlockFile, make_project


def outputs(tmp_path, variables=None, pipeline="main"):
    ctx = open_context(tmp_path)
    try:
        new = NewRun(ProjectName("demo"), PipelineUuid(pipeline), "cli", variables=variables or {})
        run = runs.run_here(ctx, new, lambda event: None)
        found = runs.block_runs(ctx, run.id)
        assert run.status is Status.COMPLETED, [each.error for each in found]
        store = LocalArtifactStore(ctx.workspace.artifacts_dir)
        return {each.block: [store.get(output.artifact) for output in each.outputs] for each in found}
    finally:
        ctx.close()


KEYWORDS = """
import datetime, logging

@data_loader
def load(*args, **kwargs):
    kwargs["logger"].info("hello")
    kwargs["logger"].warning("careful")
    try:
        raise KeyError("lost")
    except KeyError as error:
        kwargs["logger"].error("with mage's keywords", error=error, tags={"part": "10%"})
    kwargs["logger"].info("%s of %s", 1, 2, share="50%")
    kwargs["logger"].log(logging.INFO, "by level")
    kwargs["logger"].warn("older")
    kwargs["logger"].exception("no exception")
    kwargs["logger"].debug("not shown")
    assert kwargs["logger"].name and kwargs["logger"].handlers
    kwargs["context"]["seen"] = True
    assert isinstance(kwargs["execution_date"], datetime.datetime)
    assert kwargs["ds"] == kwargs["execution_date"].strftime("%Y-%m-%d")
    assert kwargs["hr"] == kwargs["execution_date"].strftime("%H")
    assert kwargs["execution_partition"].endswith(kwargs["execution_date"].strftime("%Y%m%dT%H%M%S"))
    assert kwargs["interval_start_datetime"] == kwargs["execution_date"]
    for name in ("event", "interval_end_datetime", "interval_seconds", "interval_start_datetime_previous"):
        assert name in kwargs, name
    kept = {name: kwargs[name] for name in ("day", "n", "rate", "on", "names", "text", "own", "none")}
    return {**kept, "env": kwargs["env"], "block": kwargs["block_uuid"], "pipeline": kwargs["pipeline_uuid"],
            "repo": kwargs["repo_path"], "configuration": kwargs["configuration"]["limit"],
            "run": type(kwargs["pipeline_run_id"]).__name__}
"""


def test_keyword_arguments_have_mage_s_names_and_types(tmp_path):
    variables = {
        "day": date(2024, 1, 1),
        "n": 3,
        "rate": 0.5,
        "on": True,
        "names": ["a"],
        "text": "010",
        "own": {"k": 1},
    }
    block = BlockFile(KEYWORDS, "data_loader", settings={"configuration": {"limit": 10}})
    project = make_project(tmp_path, blocks={"load": block}, variables={**variables, "none": None})
    assert outputs(tmp_path)["load"] == [
        {
            **variables,
            "none": None,
            "env": "prod",
            "block": "load",
            "pipeline": "main",
            "repo": str(project),
            "configuration": 10,
            "run": "int",
        }
    ]


def test_run_variables_go_over_the_pipeline_s(tmp_path):
    source = "@data_loader\ndef load(*args, **kwargs):\n    return {name: kwargs[name] for name in ('n', 'm', 'at')}\n"
    make_project(tmp_path, blocks={"load": BlockFile(source, "data_loader")}, variables={"n": 1, "m": 2, "at": 0})
    at = datetime(2024, 1, 1, 5)
    assert outputs(tmp_path, {"n": "x", "at": at})["load"] == [{"n": "x", "m": 2, "at": at}]


@pytest.mark.parametrize(
    ("returned", "seen"),
    [
        ("5", 5),
        ("(1, 2)", [1, 2]),
        ("[1, 2]", [1, 2]),
        ("{'a': 1}", {"a": 1}),
        ("None", None),
        ("'text'", "text"),
        ("(i for i in range(2))", [0, 1]),
    ],
)
def test_child_gets_a_value_or_one_list(tmp_path, returned, seen):
    make_project(
        tmp_path,
        blocks={
            "a": BlockFile(f"@data_loader\ndef f(*args, **kwargs):\n    return {returned}\n", "data_loader"),
            "b": BlockFile("@transformer\ndef f(x, *args, **kwargs):\n    return {'seen': x}\n", parents=("a",)),
        },
    )
    assert outputs(tmp_path)["b"] == [{"seen": seen}]


def test_parents_come_in_the_order_of_the_file_s_upstream_blocks(tmp_path):
    make_project(
        tmp_path,
        blocks={
            "join": BlockFile(
                "@custom\ndef f(*args, **kwargs):\n    return {'seen': list(args)}\n", "custom", ("b", "a")
            ),
            "a": BlockFile("@data_loader\ndef f():\n    return 'a'\n", "data_loader"),
            "b": BlockFile("@data_loader\nasync def f():\n    return 'b1', 'b2'\n", "data_loader"),
        },
    )
    assert outputs(tmp_path)["join"] == [{"seen": [["b1", "b2"], "a"]}]


def test_outputs_come_one_by_one_when_only_that_fits(tmp_path):
    make_project(
        tmp_path,
        blocks={
            "a": BlockFile("@data_loader\ndef f():\n    return 1, 2\n", "data_loader"),
            "b": BlockFile("@transformer\ndef f(x, y):\n    return x + y\n", parents=("a",)),
        },
    )
    assert outputs(tmp_path)["b"] == [3]


def test_project_modules_are_imported_by_every_name_that_mage_allows(tmp_path):
    source = """
from demo.utils.x import VALUE as a
from utils.x import VALUE as b
from default_repo.utils.x import VALUE as c
import os

@data_loader
def load():
    return {"all": [a, b, c], "cwd": os.getcwd()}
"""
    make_project(
        tmp_path,
        blocks={"load": BlockFile(source, "data_loader")},
        files={"utils/__init__.py": "", "utils/x.py": "VALUE = 1\n"},
    )
    assert outputs(tmp_path)["load"] == [{"all": [1, 1, 1], "cwd": str(tmp_path / "projects")}]


def test_inner_function_is_registered_below_an_own_decorator(tmp_path):
    source = """
from mage_ai.data_preparation.decorators import data_loader, test

def own(function):
    def wrapped(*args, **kwargs):
        raise RuntimeError("the outer one")
    return wrapped

@own
@data_loader
def load():
    return 1

@test
def test_one(output, *args) -> None:
    assert output == 1

@test
def test_two(*args, **kwargs) -> None:
    assert args == (1,)
"""
    make_project(tmp_path, blocks={"load": BlockFile(source, "data_loader")})
    assert outputs(tmp_path)["load"] == [1]


def test_replica_runs_the_code_of_its_original(tmp_path):
    project = make_project(
        tmp_path,
        blocks={
            "a": BlockFile("@data_loader\ndef f():\n    return 1\n", "data_loader"),
            "double": BlockFile("@transformer\ndef f(x, **kwargs):\n    return x * 2\n", parents=("a",)),
            "again": BlockFile("", parents=("double",), settings={"replicated_block": "double"}),
        },
    )
    (project / "transformers" / "again.py").unlink()
    assert outputs(tmp_path)["again"] == [4]


SHOWS = "@data_loader\ndef load(*args, **kwargs):\n    return {name: kwargs[name] for name in %r}\n"


def test_mage_s_own_names_go_over_variables_in_a_run(tmp_path):
    """As `PipelineRun.get_variables` of 0.9.80 has it; what is the block's own cannot be replaced at all."""
    own = {"env": "mine", "ds": "2020-01-01", "execution_date": "x", "trigger_name": "x", "hr": 1, "block_uuid": "x"}
    wanted = ("env", "trigger_name", "block_uuid", "context", "interval_end_datetime", "event")
    block = BlockFile(SHOWS % (wanted,), "data_loader")
    theirs = {"context": {"k": 1}, "interval_end_datetime": "2024-01-01T02:00:00", "event": {"id": 7}}
    make_project(tmp_path, blocks={"load": block}, variables={**own, **theirs})
    assert outputs(tmp_path)["load"] == [
        {
            "env": "prod",
            "trigger_name": "cli",
            "block_uuid": "load",
            "context": {"k": 1},
            "interval_end_datetime": datetime(2024, 1, 1, 2),
            "event": {"id": 7},
        }
    ]


def test_variable_goes_over_mage_s_names_in_the_notebook():
    from spellbook_core.worker.arguments import system_keywords
    from tests.unit.worker.test_call import task

    keywords = system_keywords(task(trigger="notebook", variables={"ds": "2020-01-01", "configuration": 1}))
    assert keywords["ds"] == "2020-01-01"
    assert keywords["env"] == "dev"
    assert keywords["configuration"] == {}


def test_trigger_s_variables_go_over_the_pipeline_s(tmp_path):
    """A run's variables, whoever gave them, are over the pipeline's; what neither has is for `.get` with a default."""
    source = (
        "@data_loader\ndef load(*args, **kwargs):\n    return [kwargs['rows'], kwargs['day'], kwargs.get('no', 'd')]\n"
    )
    make_project(tmp_path, blocks={"load": BlockFile(source, "data_loader")}, variables={"rows": 1, "day": "mon"})
    assert outputs(tmp_path, {"rows": 5})["load"] == [5, "mon", "d"]


def product_project(tmp_path, **more):
    """`main` reads the data product `numbers`, which is the block `target` of the pipeline `other`."""
    made = "import time\n@data_loader\ndef made(*args, **kwargs):\n    return {'n': 7}\n"
    make_project(tmp_path, blocks={"target": BlockFile(made, "data_loader")}, pipeline="other")
    keep = "@transformer\ndef keep(data, *args, **kwargs):\n    return {'got': data}\n"
    product = {"uuid": "numbers", "project": None, **more}
    project = make_project(
        tmp_path,
        blocks={"keep": BlockFile(keep, parents=("product",))},
        files={
            "global_data_products.yaml": "numbers:\n  object_type: pipeline\n  object_uuid: other\n"
            "  outdated_after:\n    seconds: 600\n  settings:\n    target: {}\n"
        },
    )
    path = project / "pipelines" / "main" / "metadata.yaml"
    document = yaml.safe_load(path.read_text())
    entry = {"uuid": "product", "name": "product", "type": "global_data_product", "language": None}
    settings = {"configuration": {"global_data_product": product}, "upstream_blocks": [], "downstream_blocks": ["keep"]}
    document["blocks"].insert(0, {**entry, **settings})
    path.write_text(yaml.safe_dump(document))
    return project


def runs_of(tmp_path, pipeline):
    ctx = open_context(tmp_path)
    try:
        return runs.list_runs(ctx, pipeline=PipelineUuid(pipeline)).total
    finally:
        ctx.close()


def test_data_product_runs_its_pipeline_when_it_is_outdated(tmp_path):
    product_project(tmp_path)
    assert outputs(tmp_path)["keep"] == [{"got": {"target": [{"n": 7}]}}]
    assert runs_of(tmp_path, "other") == 1
    outputs(tmp_path)
    assert runs_of(tmp_path, "other") == 1, "ten minutes have not gone by"


def test_data_product_hands_on_as_many_runs_as_it_has_partitions(tmp_path):
    """mage's `partitions`: the outputs of the newest runs, newest first, in one list; 0 is for all of them."""
    project = product_project(tmp_path, settings={"target": {"partitions": 2}})
    target = project / "data_loaders" / "target.py"
    target.write_text("@data_loader\ndef made(*args, **kwargs):\n    return {'day': kwargs['day']}\n")
    for day in (1, 2, 3):
        outputs(tmp_path, {"day": day}, pipeline="other")
    assert outputs(tmp_path)["keep"] == [{"got": {"target": [{"day": 3}, {"day": 2}]}}]


def test_block_s_own_settings_go_over_the_product_s(tmp_path):
    product_project(tmp_path, outdated_after={"seconds": 0, "minutes": -1})
    outputs(tmp_path)
    outputs(tmp_path)
    assert runs_of(tmp_path, "other") == 2
