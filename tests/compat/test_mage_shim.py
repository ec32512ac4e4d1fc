"""Projects written as mage's users write them run with the real engine, and mage-ai is not installed."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path

import pytest

from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.engine.supervise import identity, is_alive
from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.model.run import NewRun, Status
from spellbook_core.services import engines, runs
from spellbook_core.services.wiring import open_context
from spellbook_core.worker.mage_shim.offers import MODULES
from tests.conftest import BlockFile, make_project, wait_until


def ran(tmp_path: Path, pipeline: str = "main", **variables):
    """Run a pipeline of the project `demo` and return its block runs by uuid, and a reader of their outputs."""
    ctx = open_context(tmp_path)
    try:
        new = NewRun(ProjectName("demo"), PipelineUuid(pipeline), "cli", variables=variables)
        run = runs.run_here(ctx, new, lambda event: None)
        found = {each.block: each for each in runs.block_runs(ctx, run.id)}
        store = LocalArtifactStore(ctx.workspace.artifacts_dir)
        values = {uuid: [store.get(o.artifact) for o in each.outputs] for uuid, each in found.items()}
    finally:
        ctx.close()
    return run, found, values


def value_of(tmp_path: Path, source: str, **more):
    """Run one loader and return its first output."""
    make_project(tmp_path, blocks={"load": BlockFile(source, "data_loader")}, **more)
    run, found, values = ran(tmp_path)
    assert run.status is Status.COMPLETED, found["load"].error
    return values["load"][0]


def error_of(tmp_path: Path, source: str, **more):
    make_project(tmp_path, blocks={"load": BlockFile(source, "data_loader")}, **more)
    run, found, _ = ran(tmp_path)
    assert run.status is Status.FAILED
    return found["load"].error


def loader(imports: str, body: str) -> str:
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    head = "if 'data_loader' not in globals():\n    from mage_ai.data_preparation.decorators import data_loader\n"
    return f"{imports}\n{head}\n@data_loader\ndef load(*args, **kwargs):\n{lines}\n"


def is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def test_every_name_offered_exists():
    for ours, names in MODULES.values():
        module = importlib.import_module(f"spellbook_core.worker.mage_shim.{ours}")
        assert [name for name in names if not hasattr(module, name)] == []


def test_every_module_offered_can_be_imported_in_a_block(tmp_path):
    imports = "\n".join(f"from {module} import {', '.join(names)}" for module, (_, names) in MODULES.items())
    assert value_of(tmp_path, loader(imports, "import mage_ai.io\nreturn 5")) == 5
    assert importlib.util.find_spec("mage_ai") is None


@pytest.mark.parametrize(
    "line",
    [
        "from mage_ai.streaming.sources.base_python import BasePythonSource",
        "from mage_ai.io.postgres import Postgresql",
        "import mage_ai.services.spark",
        "from mage_ai.data_preparation.shared.secrets import create_secret",
    ],
)
def test_name_that_is_missing_is_named_at_the_line_with_what_to_use(tmp_path, line):
    error = error_of(tmp_path, loader(f"import os\n{line}", "return 1"))
    assert error.code == "SB-WRK-031"
    assert "mage_ai." in error.message
    assert error.hint
    assert error.line == 2
    assert error.frames[0].text == line


def test_chart_files_import_and_decorators_register_however_imported(tmp_path):
    source = """
from mage_ai.data_preparation.decorators import *
import mage_ai.data_preparation.decorators as mage
@mage.data_source
def source(*args, **kwargs): raise RuntimeError
@mage.columns
def columns(*args, **kwargs): raise RuntimeError
@mage.render(render_type="jpeg")
def render(*args, **kwargs): raise RuntimeError
@mage.data_loader
def load(**kwargs): return "loaded"
"""
    assert value_of(tmp_path, source) == "loaded"


@pytest.mark.parametrize(("setting", "which"), [(None, "ours"), ("installed", "installed")])
def test_setting_decides_whose_mage_is_seen(tmp_path, monkeypatch, setting, which):
    if setting:
        monkeypatch.setenv("SPELLBOOK_MAGE_AI", setting)
    (tmp_path / "projects" / "mage_ai" / "settings").mkdir(parents=True)  # on the import path, as an installed one
    (tmp_path / "projects" / "mage_ai" / "__init__.py").touch()
    (tmp_path / "projects" / "mage_ai" / "settings" / "__init__.py").touch()
    (tmp_path / "projects" / "mage_ai" / "settings" / "repo.py").write_text("def get_repo_path(): return 'installed'\n")
    source = loader("from mage_ai.settings.repo import get_repo_path", "return get_repo_path()").replace(
        "from mage_ai.data_preparation", "from spellbook_core.unused"
    )
    found = value_of(tmp_path, source)
    assert ("installed" if found == "installed" else "ours") == which


CONFIG = """
version: 0.1.1
default:
  POSTGRES_HOST: "{{ env_var('SHIM_HOST') }}"
  POSTGRES_PORT: 5432
  POSTGRES_DBNAME: "{{ variables('database') }}"
  POSTGRES_PASSWORD: "{{ mage_secret_var('shim_password') }}"
  POSTGRES_USER: "{{ json_value(env_var('SHIM_JSON'), 'user') }}"
dev:
  POSTGRES_HOST: other
  SNOWFLAKE_PASSWORD: "{{ mage_secret_var('shim_none') }}"  # missed only by who asks for it
"""


def test_profiles_are_rendered(tmp_path, monkeypatch):
    monkeypatch.setenv("SHIM_HOST", "db.example")
    monkeypatch.setenv("SHIM_JSON", '{"user": "ann"}')
    body = """
config = ConfigFileLoader(path.join(get_repo_path(), "io_config.yaml"), "default")
keys = ("HOST", "PORT", "DBNAME", "PASSWORD", "USER", "SCHEMA")
dev = ConfigFileLoader(profile="dev")
try:
    dev["SNOWFLAKE_PASSWORD"]
except LookupError as error:
    assert "shim_none" in str(error)
return {"default": [config[ConfigKey["POSTGRES_" + key]] for key in keys], "dev": dev.get("POSTGRES_HOST"),
        "secret": get_secret_value("shim_password"), "words": len(get_secret_value("word") + get_secret_value("other"))}
"""
    imports = """
from os import path
from mage_ai.settings.repo import get_repo_path
from mage_ai.io.config import ConfigFileLoader, ConfigKey
from mage_ai.data_preparation.shared.secrets import get_secret_value
"""
    files = {"io_config.yaml": CONFIG, ".env": "# secrets\nexport shim_password='s3cret'\nword=test\nother=name\n"}
    value = value_of(tmp_path, loader(imports, body), files=files, variables={"database": "titanic"})
    assert value["default"] == ["db.example", 5432, "titanic", "s3cret", "ann", None]
    assert (value["dev"], value["secret"]) == ("other", "s3cret")
    assert value["words"] == 8  # secrets like keys of our own files make none of them unreadable


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("default:\n  A: \"{{ ''.__class__.__mro__ }}\"\n", "cannot be filled in"),
        ("default:\n  A: \"{{ env_var.__globals__['os'].system('true') }}\"\n", "cannot be filled in"),
        ("default:\n  A: \"{{ mage_secret_var('shim_none') }}\"\n", "no secret 'shim_none'"),
        ("other: {}\n", "no profile 'default'"),
        ("default: [", "no YAML"),
    ],
)
def test_bad_profile_says_what_is_wrong(tmp_path, text, said):
    source = loader("from mage_ai.io.config import ConfigFileLoader", "return ConfigFileLoader()['A']")
    error = error_of(tmp_path, source, files={"io_config.yaml": text})
    assert said in error.message
    assert error.hint


def test_files_are_written_and_read_in_every_format_that_has_a_driver(tmp_path):
    body = """
import pandas as pd
frame = pd.DataFrame({"a": [1, 2], "이름": ["x", "y"]})
found = {}
for ending in ("csv", "tsv", "json", "parquet", "csv.gz"):
    path = f"out/data.{ending}"
    FileIO().export(frame, path)
    with FileIO.with_config(None) as io:
        found[ending] = io.load(path).to_dict("list")
missing = {}
for ending, module in (("xlsx", "openpyxl"), ("xml", "lxml"), ("hdf5", "tables")):
    try:
        FileIO().export(frame, f"out/data.{ending}")
        back = FileIO().load(f"out/data.{ending}")
        assert back["a"].tolist() == [1, 2]
    except ImportError as error:
        missing[ending] = str(error) + error.hint
return {"found": found, "missing": missing}
"""
    value = value_of(tmp_path, loader("from mage_ai.io.file import FileIO", body))
    assert all(each == {"a": [1, 2], "이름": ["x", "y"]} for each in value["found"].values())
    for ending, module in (("xlsx", "openpyxl"), ("xml", "lxml"), ("hdf5", "tables")):
        if importlib.util.find_spec(module) is None:
            assert f"pip install '{module}'" in value["missing"][ending]
        else:
            assert ending not in value["missing"]
    assert (tmp_path / "projects" / "out" / "data.csv").is_file()


def test_format_that_nobody_knows_is_an_error(tmp_path):
    error = error_of(tmp_path, loader("from mage_ai.io.file import FileIO", "return FileIO().load('x.qqq')"))
    assert error.code == "SB-WRK-037"


TARGET = """
@data_loader
def load(*args, **kwargs):
    if kwargs["rows"] < 0:
        raise ValueError("negative")
    return list(range(kwargs["rows"]))
"""
CALLER = loader(
    "from mage_ai.orchestration.triggers.api import trigger_pipeline",
    """
run = trigger_pipeline("other", variables={"rows": kwargs["rows"]}, check_status=True, error_on_failure=True,
                       poll_interval=0.05, poll_timeout=60)
return {"id": run.id, "status": run.status, "variables": run.variables,
        "blocks": [block.status for block in run.block_runs]}
""",
)


def two_pipelines(tmp_path, source):
    make_project(tmp_path, blocks={"target": BlockFile(TARGET, "data_loader")}, pipeline="other", variables={"rows": 0})
    make_project(tmp_path, blocks={"load": BlockFile(source, "data_loader")}, variables={"rows": 3})


def test_triggered_pipeline_runs_without_an_engine(tmp_path):
    two_pipelines(tmp_path, CALLER)
    run, found, values = ran(tmp_path)
    assert run.status is Status.COMPLETED, found["load"].error
    assert values["load"][0]["status"] == "completed"
    assert values["load"][0]["variables"] == {"rows": 3}
    assert values["load"][0]["blocks"] == ["completed"]


def test_triggered_pipeline_runs_in_the_engine_that_leads(tmp_path):
    two_pipelines(tmp_path, CALLER)
    ctx = open_context(tmp_path)
    try:
        started = runs.start(ctx, NewRun(ProjectName("demo"), PipelineUuid("main"), "manual"))
        wait_until(lambda: runs.get(ctx, started.id).status.is_terminal, 90, what="the outer run ends")
        assert runs.get(ctx, started.id).status is Status.COMPLETED, runs.block_runs(ctx, started.id)[0].error
        page = runs.list_runs(ctx, pipeline=PipelineUuid("other"))
        assert [(run.status, run.trigger) for run in page.runs] == [(Status.COMPLETED, "api")]
    finally:
        engines.stop(ctx)
        ctx.close()


TRIGGERS_NEXT = loader(
    "import os, time\nfrom mage_ai.orchestration.triggers.api import trigger_pipeline",
    """
while not os.path.exists(kwargs["gate"]):
    time.sleep(0.02)
trigger_pipeline(kwargs["next"], variables=dict(kwargs["given"]), check_status=True, error_on_failure=True,
                 poll_interval=0.05)
""",
)


def test_block_does_not_wait_for_a_run_that_waits_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SPELLBOOK_MAX_PARALLEL_BLOCKS", "2")
    gate = tmp_path / "gate"
    blocks = {"load": BlockFile(TRIGGERS_NEXT, "data_loader")}
    for pipeline in ("main", "other"):
        defaults = {"next": "main", "gate": "/", "given": {}}
        project = make_project(tmp_path, blocks=blocks, pipeline=pipeline, variables=defaults)
    ctx = open_context(tmp_path)

    def ended(pipeline: str):
        [run] = runs.list_runs(ctx, pipeline=PipelineUuid(pipeline)).runs
        wait_until(lambda: runs.get(ctx, run.id).status.is_terminal, 90, what=f"the run of {pipeline} ends")
        return runs.block_runs(ctx, run.id)[0].error

    try:
        variables = {"next": "other", "given": {"gate": str(gate)}}
        first = runs.start(ctx, NewRun(ProjectName("demo"), PipelineUuid("main"), "manual", variables=variables))
        wait_until(lambda: runs.list_runs(ctx, pipeline=PipelineUuid("other"), statuses=(Status.RUNNING,)).total, 90)
        engine = identity(engines.status(ctx).pid)
        os.kill(engine.pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(engine), what="the engine is dead")
        engines.ensure(ctx)
        gate.touch()
        error = ended("other")
        assert error.code == "SB-WRK-035"
        assert error.facts["circle"] == "'main' → 'other' → 'main'"
        circle = (
            f"begins after run {first.id} of 'main', run {first.id} of 'main' waits for run {first.id + 1} of 'other'."
        )
        assert error.message.endswith(circle)
        assert "ended as failed" in ended("main").message  # and no third run was queued

        direct = runs.start(ctx, NewRun(ProjectName("demo"), PipelineUuid("main"), "manual"))
        wait_until(lambda: runs.get(ctx, direct.id).status.is_terminal, 90, what="the run ends")
        assert "begins when this one ends" in runs.block_runs(ctx, direct.id)[0].error.message
        assert runs.list_runs(ctx).total == 3

        with (project / "pipelines/main/metadata.yaml").open("a") as file:
            file.write("concurrency_config:\n  if_running: allow\n")
        endless = runs.start(ctx, NewRun(ProjectName("demo"), PipelineUuid("main"), "manual"))
        wait_until(lambda: runs.get(ctx, endless.id).status.is_terminal, 90, what="the runs end")
        assert runs.list_runs(ctx).total == 5
        assert "all 2 places for blocks of the engine" in runs.block_runs(ctx, endless.id + 1)[0].error.message
    finally:
        engines.stop(ctx)
        ctx.close()


def test_commands_that_start_each_other_come_to_an_end(tmp_path):
    blocks = {"load": BlockFile(TRIGGERS_NEXT, "data_loader")}
    for pipeline, target in (("main", "other"), ("other", "main")):
        given = {"next": target, "gate": "/", "given": {}}
        make_project(tmp_path, blocks=blocks, pipeline=pipeline, variables=given)
    _, found, _ = ran(tmp_path)
    assert "ended as failed" in found["load"].error.message
    ctx = open_context(tmp_path)
    below, above = runs.list_runs(ctx).runs
    error = runs.block_runs(ctx, below.id)[0].error
    ctx.close()
    assert (above.pipeline, below.pipeline) == ("main", "other")
    assert error.facts["circle"] == "'main' → 'other' → 'main'"


def test_failed_triggered_pipeline_fails_the_block_that_asked(tmp_path):
    two_pipelines(tmp_path, CALLER)
    run, found, _ = ran(tmp_path, rows=-1)
    assert run.status is Status.FAILED
    assert found["load"].error.code == "SB-WRK-035", found["load"].error


def test_past_runs_outputs_and_variables_can_be_read(tmp_path):
    two_pipelines(
        tmp_path,
        loader(
            """
from datetime import datetime, timedelta, timezone
from mage_ai.orchestration.run_status_checker import check_status
from mage_ai.orchestration.db.models.schedules import PipelineRun
from mage_ai.data_preparation.variable_manager import get_variable, get_global_variable, set_global_variable
from mage_ai.data_preparation.models.block.remote.models import RemoteBlock
from mage_ai.data_preparation.models.global_data_product import GlobalDataProduct
from mage_ai.orchestration.triggers.api import trigger_pipeline

def refusal(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except Exception as error:
        return error.code
""",
            """
set_global_variable("other", "day", "2024-01-01")
long_ago = datetime(2020, 1, 1)
return {
    "recent": check_status("other", kwargs["execution_date"], hours=24),
    "block": check_status("other", kwargs["execution_date"], block_uuid="target"),
    "long_ago": check_status("other", long_ago),
    "refused": [refusal(trigger_pipeline, "other", "/home/src/elsewhere"), refusal(trigger_pipeline, "other",
                return_remote_blocks=True), refusal(check_status, "broken", kwargs["execution_date"])],
    "output": get_variable("other", "target", "output_1"),
    "remote": RemoteBlock.load(block_uuid="target", pipeline_uuid="other").get_outputs(),
    "product": GlobalDataProduct.get("numbers").get_outputs(),
    "variable": get_global_variable("other", "day"),
    "last": PipelineRun.recent("other")[0].status == PipelineRun.PipelineRunStatus.COMPLETED,
}
""",
        ),
    )
    products = "numbers:\n  object_type: pipeline\n  object_uuid: other\n  outdated_after:\n    seconds: 600\n"
    (tmp_path / "projects" / "demo" / "global_data_products.yaml").write_text(products)
    make_project(
        tmp_path, blocks={"target": BlockFile(TARGET, "data_loader")}, pipeline="broken", variables={"rows": 0}
    )
    assert ran(tmp_path, "other", rows=2)[0].status is Status.COMPLETED
    assert ran(tmp_path, "broken", rows=-1)[0].status is Status.FAILED
    run, found, values = ran(tmp_path)
    assert run.status is Status.COMPLETED, found["load"].error
    assert values["load"][0] == {
        "recent": True,
        "block": True,
        "long_ago": False,
        "refused": ["SB-WRK-036", "SB-WRK-036", "SB-WRK-035"],
        "output": 1,
        "remote": [0, 1],
        "product": {"target": [0, 1]},
        "variable": "2024-01-01",
        "last": True,
    }
    text = (tmp_path / "projects" / "demo" / "pipelines" / "other" / "metadata.yaml").read_text()
    assert "day: '2024-01-01'" in text


def test_pipeline_that_is_not_there_is_named(tmp_path):
    source = loader(
        "from mage_ai.orchestration.triggers.api import trigger_pipeline", "return trigger_pipeline('nowhere')"
    )
    error = error_of(tmp_path, source)
    assert "no pipeline 'nowhere'" in error.message
    assert "main" in error.hint


def test_secret_that_is_not_there_says_where_to_put_it(tmp_path):
    source = loader("from mage_ai.data_preparation.shared.secrets import get_secret_value", "get_secret_value('nope')")
    error = error_of(tmp_path, source)
    assert error.code == "SB-WRK-032"
    assert ".env" in error.hint


def test_duckdb_client_exports_and_loads(tmp_path):
    body = """
import pandas as pd
config = ConfigFileLoader(path.join(get_repo_path(), "io_config.yaml"), "default")
frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
with DuckDB.with_config(config) as client:
    client.export(frame, "main", "t", if_exists="replace")
    client.export(frame, "main", "t", if_exists="append")
    client.export(frame, "other", "t")
    client.execute("UPDATE main.t SET a = a + 1")
with DuckDB.with_config(config) as client:
    return {"sum": int(client.load("SELECT sum(a) AS s FROM main.t")["s"][0]),
            "rows": client.load("SELECT * FROM other.t").to_dict("list")["a"],
            "few": len(client.load("SELECT * FROM main.t", limit=3))}
"""
    imports = """
from os import path
from mage_ai.settings.repo import get_repo_path
from mage_ai.io.config import ConfigFileLoader
from mage_ai.io.duckdb import DuckDB
"""
    files = {"io_config.yaml": f"default:\n  DUCKDB_DATABASE: {tmp_path}/x.duckdb\n"}
    assert value_of(tmp_path, loader(imports, body), files=files) == {"sum": 10, "rows": [1, 2], "few": 3}


@pytest.mark.parametrize(
    ("module", "client", "drivers", "package"),
    [
        ("postgres", "Postgres", ("psycopg", "psycopg2"), "psycopg[binary]"),
        ("mysql", "MySQL", ("pymysql", "mysql"), "pymysql"),
        ("mssql", "MSSQL", ("pymssql",), "pymssql"),
        ("snowflake", "Snowflake", ("snowflake",), "snowflake-connector-python"),
        ("bigquery", "BigQuery", ("google.cloud.bigquery",), "google-cloud-bigquery[pandas,pyarrow]"),
        ("s3", "S3", ("boto3",), "boto3"),
        ("google_cloud_storage", "GoogleCloudStorage", ("google.cloud.storage",), "google-cloud-storage"),
        ("mongodb", "MongoDB", ("pymongo",), "pymongo"),
    ],
)
def test_client_without_its_driver_says_what_to_install(tmp_path, module, client, drivers, package):
    if any(is_installed(name) for name in drivers):
        pytest.skip("its driver is installed here")
    imports = f"from mage_ai.io.{module} import {client}\nfrom mage_ai.io.config import ConfigFileLoader"
    body = f"with {client}.with_config(ConfigFileLoader()) as client:\n    return client.load('x', 'y')"
    error = error_of(tmp_path, loader(imports, body), files={"io_config.yaml": "default: {A: 1}\n"})
    assert error.code == "SB-WRK-034"
    assert error.hint == f"pip install '{package}'"


@pytest.mark.skipif("SPELLBOOK_TEST_POSTGRES" not in os.environ, reason="names a server: host,port,user,database")
def test_postgres_client_exports_and_loads(tmp_path):
    """Run by hand with `SPELLBOOK_TEST_POSTGRES=127.0.0.1,5432,me,postgres`, or a socket's folder as the host."""
    host, port, user, database = os.environ["SPELLBOOK_TEST_POSTGRES"].split(",")
    body = """
import pandas as pd
frame = pd.DataFrame({"Id": [1, 2], "name": ["x", None], "at": pd.to_datetime(["2024-01-01", None]), "v": [0.5, None],
                      "ok": [True, False],
                      "tags": [["a"], ["b"]], "이름": ["가", "나"]})
config = ConfigFileLoader()
with Postgres.with_config(config) as client:
    client.export(frame, "shim_test", "People", if_exists="replace")
    client.export(frame, "shim_test", "people", if_exists="append")
    client.export(frame, "shim_test", "people", if_exists="replace")
    client.export(frame.head(1), "shim_test", "people", if_exists="append")
    try:
        client.export(frame, "shim_test", "people", if_exists="fail")
    except ValueError as error:
        refused = type(error).__name__
    client.execute("DELETE FROM shim_test.people WHERE id = %s", (2,))
    client.commit()
with Postgres.with_config(config) as client:
    found = client.load("SELECT * FROM shim_test.people")
    client.execute_queries(["DROP SCHEMA shim_test CASCADE"], commit=True)
return {"columns": list(found.columns), "ids": found["id"].tolist(), "refused": refused, "tags": found["tags"][0]}
"""
    imports = "from mage_ai.io.postgres import Postgres\nfrom mage_ai.io.config import ConfigFileLoader"
    profile = f"default:\n  POSTGRES_HOST: {host}\n  POSTGRES_PORT: {port}\n  POSTGRES_USER: {user}\n"
    profile += f"  POSTGRES_DBNAME: {database}\n"
    value = value_of(tmp_path, loader(imports, body), files={"io_config.yaml": profile})
    assert value["columns"] == ["id", "name", "at", "v", "ok", "tags", "이름"]
    assert value["ids"] == [1, 1]
    assert value["refused"] == "TableExistsError"
    assert value["tags"] == '["a"]'


@pytest.mark.skipif("SPELLBOOK_TEST_S3" not in os.environ, reason="names an S3-compatible server's address")
def test_s3_client_exports_and_loads(tmp_path):
    """Run by hand with `SPELLBOOK_TEST_S3=http://127.0.0.1:5000`, e.g. a `moto_server`."""
    body = """
import pandas as pd
config = ConfigFileLoader()
frame = pd.DataFrame({"a": [1, 2]})
client = S3.with_config(config)
client.client.create_bucket(Bucket="spellbook")
found = {}
for key in ("x/data.csv", "x/data.parquet", "x/data.json"):
    client.export(frame, "spellbook", key)
    found[key] = client.load("spellbook", key)["a"].tolist()
return {"found": found, "exists": client.exists("spellbook", "x/"), "none": client.exists("spellbook", "y/")}
"""
    imports = "from mage_ai.io.s3 import S3\nfrom mage_ai.io.config import ConfigFileLoader"
    profile = "default:\n  AWS_ACCESS_KEY_ID: test\n  AWS_SECRET_ACCESS_KEY: test\n  AWS_REGION: us-east-1\n"
    profile += f"  AWS_ENDPOINT: {os.environ['SPELLBOOK_TEST_S3']}\n"
    value = value_of(tmp_path, loader(imports, body), files={"io_config.yaml": profile})
    assert all(rows == [1, 2] for rows in value["found"].values())
    assert (value["exists"], value["none"]) == (True, False)


@pytest.mark.skipif("SPELLBOOK_TEST_MYSQL" not in os.environ, reason="names a server: host,port,user,database")
def test_mysql_client_exports_and_loads(tmp_path):
    """Run by hand with `SPELLBOOK_TEST_MYSQL=127.0.0.1,3306,me,test`, against MySQL or MariaDB."""
    host, port, user, database = os.environ["SPELLBOOK_TEST_MYSQL"].split(",")
    body = """
import pandas as pd
frame = pd.DataFrame({"Id": [1, 2], "name": ["x", None], "at": pd.to_datetime(["2024-01-01", None]), "v": [0.5, None],
                      "ok": [True, False], "tags": [["a"], ["b"]]})
with MySQL.with_config(ConfigFileLoader()) as client:
    client.export(frame, None, "people", if_exists="replace")
    client.export(frame, schema_name=None, table_name="people", if_exists="append")
    client.export(frame, None, "people", if_exists="replace")
    try:
        client.export(frame, None, "people", if_exists="fail")
    except ValueError as error:
        refused = type(error).__name__
    found = client.load("SELECT * FROM people ORDER BY Id")
    client.execute("DROP TABLE people")
return {"columns": list(found.columns), "ids": found["Id"].tolist(), "refused": refused, "v": found["v"][0],
        "at": str(found["at"][0])}
"""
    imports = "from mage_ai.io.mysql import MySQL\nfrom mage_ai.io.config import ConfigFileLoader"
    profile = (
        f"default:\n  MYSQL_HOST: {host}\n  MYSQL_PORT: {port}\n  MYSQL_USER: {user}\n  MYSQL_DATABASE: {database}\n"
    )
    value = value_of(tmp_path, loader(imports, body), files={"io_config.yaml": profile})
    assert value["columns"] == ["Id", "name", "at", "v", "ok", "tags"]
    assert (value["ids"], value["refused"], value["v"]) == ([1, 2], "TableExistsError", 0.5)
    assert value["at"].startswith("2024-01-01")
