"""Blocks in a Python of their own: made from requirements, named by a path, or Spellbook's own with packages added.

Nothing here needs a network: the one package is a wheel that the test writes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
import yaml

from spellbook_core.engine.ports import Started
from spellbook_core.errors import BadNameError
from spellbook_core.executors import building
from spellbook_core.executors.process import ProcessExecutor
from spellbook_core.model.naming import BlockUuid, PipelineUuid, ProjectName
from spellbook_core.model.run import NewRun, Status
from spellbook_core.model.staleness import Freshness
from spellbook_core.model.task import BlockInput, Environment
from spellbook_core.project.environment import InterpreterMissingError, interpreter_of
from spellbook_core.services import environment_list, environments, runs
from spellbook_core.services.wiring import Context, open_context
from spellbook_core.settings import Settings
from tests.conftest import BlockFile, make_project, wait_until
from tests.contract.executor_contract import Attempts

TINY = "import tinypack\n@data_loader\ndef load(*args, **kwargs):\n    return {'value': tinypack.VALUE}\n"
ADD = "@transformer\ndef add(data, *args, **kwargs):\n    return data['value'] + 1\n"
PLAIN = "@data_loader\ndef load(*args, **kwargs):\n    return 1\n"
SECTION = "project_type: standalone\nspellbook:\n  environment:\n"


def wheel(folder: Path, version: str = "1.0", value: int = 41, *, body: str = "") -> str:
    """Write the package `tinypack` and return the requirement line that names it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"tinypack-{version}-py3-none-any.whl"
    info = f"tinypack-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tinypack/__init__.py", body or f"VALUE = {value}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tinypack\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return f"./wheels/{path.name}\n"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> str:
    """The interpreter of an environment without any package."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(folder)], check=True)
    return str(folder / "bin" / "python")


@pytest.fixture
def attempts(workspace):
    executor = ProcessExecutor(workspace, Settings())
    yield Attempts(workspace, executor)
    executor.close()


def made_of_requirements(tmp_path: Path, requirements: str, blocks=None) -> Path:
    project = make_project(tmp_path, blocks=blocks or {"a": TINY, "b": ADD}, files={"requirements.txt": requirements})
    (project / "metadata.yaml").write_text(SECTION + "    requirements: requirements.txt\n")
    return project


def run(ctx: Context, pipeline: str = "main"):
    """Run a pipeline of the project `demo` here; return the run, and block -> its run."""
    events: list[dict] = []
    done = runs.run_here(ctx, NewRun(ProjectName("demo"), PipelineUuid(pipeline), "cli"), events.append)
    return done, {found.block: found for found in runs.block_runs(ctx, done.id)}


# -- a worker where Spellbook is not installed


def test_bare_environment_passes_plain_values(attempts, bare):
    source = """
import sys, os
@custom
def f(*args, **kwargs):
    from importlib.util import find_spec
    own = [name for name in ('pandas', 'streamlit', 'xxhash', 'click') if find_spec(name)]
    print('python', sys.executable, own, os.environ.get('VIRTUAL_ENV'), os.environ.get('PYTHONPATH'))
    return {'a': [1, 2.5, 'x', None], 'b': {'c': True}}
"""
    ended = attempts.run(source, environment=Environment(python=bare))
    assert ended.outcome.error is None
    assert f"python {bare} [] {Path(bare).parent.parent} None" in ended.text
    assert ended.outcome.outputs[0].summary == "dict of 2"


@pytest.mark.parametrize("makes_in_bare", [True, False])
@pytest.mark.parametrize("reads_in_bare", [True, False])
def test_plain_values_pass_between_environments(attempts, bare, makes_in_bare, reads_in_bare):
    def place(is_bare: bool) -> Environment:
        return Environment(python=bare if is_bare else None)

    source = "@custom\ndef f(*args, **kwargs):\n    return {'a': [1, 2.5, 'x', None]}\n"
    made = attempts.run(source, environment=place(makes_in_bare)).outcome.outputs
    reads = "@transformer\ndef t(data, *args, **kwargs):\n    assert data == {'a': [1, 2.5, 'x', None]}\n    return 7\n"
    given = (BlockInput(BlockUuid("p"), made),)
    ended = attempts.run(reads, block_type="transformer", inputs=given, environment=place(reads_in_bare))
    assert ended.outcome.error is None


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("class A:\n    pass\n@custom\ndef f(*args, **kwargs):\n    return A()\n", "cloudpickle"),
        ("@custom\ndef f(*args, **kwargs):\n    return lambda: 1\n", "cloudpickle"),
    ],
)
def test_value_that_needs_a_package_says_which(attempts, bare, source, package):
    error = attempts.run(source, environment=Environment(python=bare)).outcome.error
    assert error.code == "SB-ART-011"
    assert f"no package '{package}'" in error.message
    assert package in error.hint


def test_stored_table_says_what_reading_it_needs(attempts, bare):
    table = attempts.run(
        "import pandas\n@custom\ndef f(*args, **kwargs):\n    return pandas.DataFrame({'a': [1]})\n"
    ).outcome.outputs
    ended = attempts.run(
        "@custom\ndef f(data, *args, **kwargs):\n    return 1\n",
        inputs=(BlockInput(BlockUuid("p"), table),),
        environment=Environment(python=bare),
    )
    assert ended.outcome.error.code == "SB-ART-007"
    assert "no package 'pyarrow'" in ended.outcome.error.message


def test_where_forking_is_unsafe_it_works_too(workspace, bare):
    executor = ProcessExecutor(workspace, Settings(), mode="spare")
    ended = Attempts(workspace, executor).run(
        "@custom\ndef f(*args, **kwargs):\n    return [1]\n", environment=Environment(python=bare)
    )
    executor.close()
    assert ended.outcome.error is None


def test_block_of_another_python_may_start_processes(attempts, bare):
    source = """
import multiprocessing
@custom
def f(*args, **kwargs):
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        return {'all': pool.map(abs, [-1, -2])}
"""
    assert attempts.run(source, environment=Environment(python=bare)).outcome.error is None


def test_python_that_is_too_old_is_told(tmp_path, attempts):
    old = tmp_path / "python"
    old.write_text(
        f"#!{sys.executable} -I\nimport runpy, sys\nsys.version_info = (3, 9, 2)\ndel sys.argv[0]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    old.chmod(0o755)
    ended = attempts.run(PLAIN, environment=Environment(python=str(old)))
    assert "Python 3.9.2, which is too old for blocks: use Python 3.11 or newer" in ended.exited.reason


# -- an environment made from requirements


def test_project_runs_in_an_environment_made_from_its_requirements(tmp_path, context):
    first = {
        "a": BlockFile(TINY, "data_loader", (), {"configuration": {"cache": "always"}}),
        "b": ADD,
        "asked": BlockFile("select 1 as n", "data_loader", (), {"configuration": {"cache": "always"}}, "sql"),
    }
    project = made_of_requirements(tmp_path, wheel(tmp_path / "projects/demo/wheels"), first)
    done, blocks = run(context)
    assert done.status is Status.COMPLETED
    assert blocks["b"].outputs[0].summary == "42"
    [folder] = [path for path in context.workspace.environments_dir.iterdir() if path.is_dir()]
    assert (folder / building.MARKER).is_file()
    log = building.log_path(folder).read_text()
    assert "Successfully installed tinypack-1.0" in log

    again, blocks = run(context)
    assert all(block.reused_from for block in blocks.values())  # also those that began before it was made
    states = runs.staleness(context, ProjectName("demo"), PipelineUuid("main"))
    assert states["b"].state is Freshness.FRESH
    assert building.log_path(folder).read_text() == log  # not made a second time

    (project / "requirements.txt").write_text(wheel(project / "wheels", "1.1", 51))
    assert "environment" in "".join(runs.staleness(context, ProjectName("demo"), PipelineUuid("main"))["b"].reasons)
    _, blocks = run(context)
    assert blocks["b"].outputs[0].summary == "52"
    assert again.status is Status.COMPLETED


def test_pipeline_may_name_an_environment_of_its_own(tmp_path, context, bare):
    project = make_project(
        tmp_path, blocks={"a": "import sys\n@data_loader\ndef load(*args, **kwargs):\n    return sys.executable\n"}
    )
    file = project / "pipelines/main/metadata.yaml"
    file.write_text(file.read_text() + f"spellbook:\n  environment:\n    python: {bare}\n")
    _, blocks = run(context)
    assert bare in blocks["a"].outputs[0].summary


def test_added_packages_lie_over_spellbooks_own(tmp_path, context, monkeypatch):
    source = """
import pandas, sys, tinypack
@data_loader
def load(*args, **kwargs):
    return pandas.DataFrame({'a': [tinypack.VALUE]})
"""
    project = make_project(tmp_path, blocks={"a": source})
    wheel(project / "wheels")
    monkeypatch.setenv("PIP_FIND_LINKS", str(project / "wheels"))
    (project / "metadata.yaml").write_text(SECTION + "    packages: [tinypack==1.0]\n")
    done, blocks = run(context)
    assert done.status is Status.COMPLETED, blocks["a"].error
    assert blocks["a"].outputs[0].summary == "1 row x 1 column"


def test_environment_that_cannot_be_made_says_what_the_installer_said(tmp_path, context):
    made_of_requirements(tmp_path, "no-such-package-at-all\n")
    done, blocks = run(context)
    assert done.status is Status.FAILED
    assert "No matching distribution found for no-such-package-at-all" in blocks["a"].error.message
    assert [path.suffix for path in sorted(context.workspace.environments_dir.iterdir())] == [".json", ".lock", ".log"]
    [report] = context.workspace.environments_dir.glob("*.json")
    assert json.loads(report.read_text())["state"] == "failed"


def test_two_makers_make_it_once(tmp_path, context):
    project = made_of_requirements(tmp_path, wheel(tmp_path / "projects/demo/wheels"))
    recipe = interpreter_of(context.workspace.project(project.name)).recipe
    said: list[list[str]] = [[], []]
    makers = [threading.Thread(target=building.build, args=(recipe, lines.append)) for lines in said]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert sum(any("Successfully installed" in line for line in lines) for lines in said) == 1
    assert building.is_made(recipe)


def test_half_made_environment_is_made_anew(tmp_path, context):
    project = made_of_requirements(tmp_path, wheel(tmp_path / "projects/demo/wheels"))
    recipe = interpreter_of(context.workspace.project(project.name)).recipe
    (Path(recipe.folder) / "bin").mkdir(parents=True)
    (Path(recipe.folder) / "bin" / "python").write_text("killed while it was made")
    done, _ = run(context)
    assert done.status is Status.COMPLETED


def test_run_is_cancelled_while_its_environment_is_made(tmp_path, workspace, attempts):
    project = attempts.root
    slow = project / "slow"
    slow.mkdir()
    (slow / "setup.py").write_text("import time\ntime.sleep(600)\n")
    (project / "requirements.txt").write_text("./slow\n")
    (project / "metadata.yaml").write_text(SECTION + "    requirements: requirements.txt\n")
    found = interpreter_of(workspace.project("demo"))
    task = attempts.task(PLAIN, environment=Environment(python=found.path, recipe=found.recipe))
    handle = attempts.submit(task)
    log = building.log_path(found.recipe.folder)
    attempts.until(task, lambda _: log.exists() and "Processing ./slow" in log.read_text())
    attempts.executor.cancel(handle, 0.1)
    assert attempts.executor.describe()[0]["mode"] == "starting"
    ended = attempts.wait(task)
    assert ended.exited.reason == "cancelled"
    assert "Waiting for the Python environment of this block" in ended.text
    assert not any(isinstance(event, Started) for event in ended.events)


def test_python_that_is_not_there_is_refused_before_the_run(tmp_path, context):
    project = make_project(tmp_path, blocks={"a": PLAIN})
    (project / "metadata.yaml").write_text(SECTION + "    python: ../nowhere/bin/python\n")
    with pytest.raises(InterpreterMissingError, match=r"not there: \.\./nowhere/bin/python"):
        run(context)
    assert runs.list_runs(context).total == 0


@pytest.mark.guarantee("N29")
def test_opening_starts_no_python_of_the_project(tmp_path, context):
    from spellbook_core.engine.environment import Environments

    project = make_project(tmp_path, blocks={"a": PLAIN})
    evil = project / "python"
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    evil.chmod(0o755)
    (project / "metadata.yaml").write_text(SECTION + "    python: ./python\n")
    layout = context.workspace.project("demo")
    assert Environments().to_warm(layout) is None
    runs.staleness(context, ProjectName("demo"), PipelineUuid("main"))
    from spellbook_core.services import pipelines

    pipelines.validate(context, "demo", "main")
    assert not (tmp_path / "started").exists()


# -- installing what is missing


@pytest.fixture
def shelf(tmp_path, monkeypatch) -> Path:
    """A folder of wheels that pip finds packages in."""
    folder = tmp_path / "shelf"
    wheel(folder)
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def settled(ctx: Context, recipe) -> environment_list.Progress:
    return wait_until(
        lambda: (
            (found := environment_list.progress(recipe)).state not in {environment_list.MAKING, environment_list.ABSENT}
            and found
        ),
        60.0,
    )


def test_missing_package_is_installed_beside_spellbooks_own(tmp_path, context, shelf):
    comments = "project_type: standalone\n# why it is so\nhelp_improve_mage: false  # no\n"
    project = make_project(tmp_path, blocks={"a": TINY, "b": ADD})
    (project / "metadata.yaml").write_text(comments)
    assert [each.package for each in environments.missing(context, "demo", "main")] == ["tinypack"]
    said: list[str] = []
    environments.install(context, "demo", "main", ["tinypack"], said.append)
    assert any("Successfully installed tinypack-1.0" in line for line in said)
    text = (project / "metadata.yaml").read_text()
    assert text == comments + "spellbook:\n  environment:\n    packages:\n    - tinypack\n"
    assert environments.missing(context, "demo", "main") == []
    done, blocks = run(context)
    assert blocks["b"].outputs[0].summary == "42"

    wheel(shelf, "1.1", 51)
    environments.install(context, "demo", "main", ["tinypack>=1.1"], said.append)
    assert "- tinypack>=1.1\n" in (project / "metadata.yaml").read_text()
    _, blocks = run(context)
    assert blocks["b"].outputs[0].summary == "52"
    assert done.status is Status.COMPLETED


def test_install_goes_on_in_a_process_of_its_own(tmp_path, context, shelf):
    make_project(tmp_path, blocks={"a": TINY})
    recipe = environments.planned(context, "demo", "main", ["tinypack"])
    assert environment_list.progress(recipe).state == environment_list.ABSENT
    environments.start_install(context, "demo", "main", ["tinypack"])
    assert environment_list.progress(recipe).state != environment_list.ABSENT
    assert settled(context, recipe).state == environment_list.READY
    wait_until(lambda: environments.missing(context, "demo", "main") == [], 10.0)


def test_failed_install_changes_nothing_and_says_why(tmp_path, context, shelf):
    project = make_project(tmp_path, blocks={"a": TINY})
    before = (project / "metadata.yaml").read_text()
    environments.start_install(context, "demo", "main", ["no-such-package"])
    recipe = environments.planned(context, "demo", "main", ["no-such-package"])
    found = settled(context, recipe)
    assert found.state == environment_list.FAILED
    assert "No matching distribution found for no-such-package" in found.problem
    assert any("no-such-package" in line for line in found.lines)
    assert (project / "metadata.yaml").read_text() == before
    assert run(context)[0].status is Status.FAILED  # as before, in Spellbook's own Python


def test_persons_own_python_gets_the_package_itself(tmp_path, context, shelf):
    project = make_project(tmp_path, blocks={"a": TINY})
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(tmp_path / "mine")], check=True)
    (project / "metadata.yaml").write_text(SECTION + f"    python: {tmp_path}/mine/bin/python\n")
    environments.install(context, "demo", "main", ["tinypack"], lambda line: None)
    assert list((tmp_path / "mine").glob("lib/*/site-packages/tinypack"))
    assert environments.missing(context, "demo", "main") == []
    assert run(context)[0].status is Status.COMPLETED


@pytest.mark.guarantee("N22")
@pytest.mark.parametrize(
    "name", ["--index-url=http://evil", "-r/etc/passwd", "https://evil/x.whl", "x @ file:///y", "./x"]
)
def test_names_never_become_options(tmp_path, context, name):
    make_project(tmp_path, blocks={"a": PLAIN})
    with pytest.raises(BadNameError, match="options, addresses and paths are not installed"):
        environments.start_install(context, "demo", "main", [name])
    assert not context.workspace.environments_dir.exists()


def test_environments_are_listed_and_removed(tmp_path, context, shelf):
    project = make_project(tmp_path, blocks={"a": TINY})
    environments.install(context, "demo", None, ["tinypack"], lambda line: None)
    run(context)
    [view] = environment_list.list_environments(context)
    assert (view.made_from, view.used_by, view.progress.state) == ("tinypack", ("demo",), environment_list.READY)
    assert view.size_bytes > 1000
    assert view.version.startswith("3.")
    (project / "metadata.yaml").write_text("project_type: standalone\n")
    [view] = environment_list.list_environments(context)
    assert view.used_by == ()
    lock = building.take(context.workspace.environment_dir(view.digest), alone=False, wait=False)
    with pytest.raises(environment_list.EnvironmentInUseError, match="in use"):
        environment_list.remove(context, view.digest)
    os.close(lock)
    environment_list.remove(context, view.digest)
    assert environment_list.list_environments(context) == []
    assert list(context.workspace.environments_dir.iterdir()) == []


def test_what_unpinned_packages_became_counts(tmp_path, context, shelf):
    source = "import tinypack\n@transformer\ndef f(x, *args, **kwargs):\n    return x + tinypack.VALUE\n"
    project = make_project(tmp_path, blocks={"a": PLAIN, "b": source})
    (project / "metadata.yaml").write_text(SECTION + "    packages: [tinypack]\n")
    _, blocks = run(context)
    assert blocks["b"].outputs[0].summary == "42"
    wheel(shelf, "1.1", 51)
    _, blocks = run(context)
    assert blocks["b"].reused, "a new release changes nothing where the old one is installed"
    [view] = environment_list.list_environments(context)
    environment_list.remove(context, view.digest)
    _, blocks = run(context)
    assert blocks["b"].outputs[0].summary == "52"


def test_environment_is_held_while_a_warm_process_lives_in_it(tmp_path, workspace, attempts, shelf):
    (attempts.root / "metadata.yaml").write_text(SECTION + "    packages: [tinypack]\n")
    found = interpreter_of(workspace.project("demo"))
    task = attempts.task(PLAIN, block_type="data_loader", environment=Environment(found.path, (), found.recipe))
    attempts.submit(task)
    assert attempts.wait(task).outcome.error is None
    ctx = open_context(workspace.root)
    with pytest.raises(environment_list.EnvironmentInUseError, match="in use"):
        environment_list.remove(ctx, found.recipe.digest)
    attempts.executor.close()
    environment_list.remove(ctx, found.recipe.digest)
    ctx.close()


def test_command_line_installs_and_validates(tmp_path, shelf):
    project = make_project(tmp_path, blocks={"a": TINY})
    spellbook = [sys.executable, "-c", "from spellbook_core.cli.main import main; main()"]
    checked = subprocess.run([*spellbook, "validate", str(project)], capture_output=True, text=True, check=True)
    assert "spellbook install demo 'tinypack'" in checked.stdout
    made = subprocess.run(
        [*spellbook, "install", str(project), "--missing"], capture_output=True, text=True, check=True
    )
    assert "✓ demo: tinypack ready" in made.stdout
    checked = subprocess.run([*spellbook, "validate", str(project)], capture_output=True, text=True, check=True)
    assert "tinypack" not in checked.stdout


def test_sql_blocks_run_in_spellbooks_own_python(tmp_path, context, bare):
    project = make_project(tmp_path, blocks={"a": PLAIN})
    (project / "transformers").mkdir()
    (project / "transformers/count.sql").write_text("SELECT 7 AS n\n")
    file = project / "pipelines/main/metadata.yaml"
    document = yaml.safe_load(file.read_text())
    entry = {"uuid": "count", "name": "count", "type": "transformer", "language": "sql", "upstream_blocks": ["a"]}
    document["blocks"].append(entry)
    file.write_text(yaml.safe_dump({**document, "spellbook": {"environment": {"python": bare}}}, sort_keys=False))
    _, blocks = run(context)
    assert blocks["count"].error is None
    assert blocks["count"].outputs[0].rows == 1


def test_triggered_pipeline_runs_from_a_bare_environment(tmp_path, context, bare):
    source = """
from mage_ai.orchestration.triggers.api import trigger_pipeline
@data_loader
def load(*args, **kwargs):
    return trigger_pipeline('other', check_status=True).status.value
"""
    make_project(tmp_path, blocks={"x": PLAIN}, pipeline="other")
    project = make_project(tmp_path, blocks={"a": source})
    (project / "metadata.yaml").write_text(SECTION + f"    python: {bare}\n")
    done, blocks = run(context)
    assert done.status is Status.COMPLETED, blocks["a"].error
    assert blocks["a"].outputs[0].summary == "'completed'"


def test_value_of_a_class_of_the_environment_is_given_out(tmp_path, context, shelf):
    from spellbook_core.services import exchange

    wheel(shelf, "2.0", body="class Kept(tuple):\n    pass\n")
    source = "import tinypack\n@data_loader\ndef load(*args, **kwargs):\n    return {'k': tinypack.Kept((1, 2))}\n"
    make_project(tmp_path, blocks={"a": source})
    environments.install(context, "demo", None, ["tinypack==2.0"], lambda line: None)
    _, blocks = run(context)
    exchange.give(context, ProjectName("demo"), blocks["a"].outputs[0], tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == {"k": [1, 2]}


def test_environment_whose_python_has_gone_is_made_anew(tmp_path, context):
    project = made_of_requirements(tmp_path, wheel(tmp_path / "projects/demo/wheels"))
    recipe = interpreter_of(context.workspace.project(project.name)).recipe
    building.build(recipe, lambda line: None)
    for name in ("python", "python3"):
        (Path(recipe.folder) / "bin" / name).unlink()
        (Path(recipe.folder) / "bin" / name).symlink_to("/gone/python")
    assert not building.is_made(recipe)
    assert run(context)[0].status is Status.COMPLETED
