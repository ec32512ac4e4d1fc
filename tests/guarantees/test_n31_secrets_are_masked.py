"""N31, P8: a declared secret is in no log, record, preview or error, whichever way a block lets it out."""

from __future__ import annotations

import base64
import json
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from spellbook_core.executors.process import ProcessExecutor
from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.model.run import NewRun, Status
from spellbook_core.project.layout import Workspace
from spellbook_core.services import outputs, runs, secrets
from spellbook_core.services.wiring import open_context
from spellbook_core.settings import Settings
from tests.conftest import make_project
from tests.contract.executor_contract import Attempts, Ended

pytestmark = pytest.mark.guarantee("N31")

SECRET = "correct-horse/battery+staple"
FORMS = (SECRET, base64.b64encode(SECRET.encode()).decode(), "correct-horse%2Fbattery%2Bstaple", "orse/batte")


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attempts]:
    workspace = Workspace.open(tmp_path_factory.mktemp("secrets"), create=True)
    workspace.ensure_state_dir()
    executor = ProcessExecutor(workspace, Settings())
    found = Attempts(workspace, executor)
    (found.root / "metadata.yaml").write_text("project_type: standalone\n")
    (found.root / ".env").write_text(f"API_KEY={SECRET}\n")
    yield found
    executor.close()


def body(text: str) -> str:
    start = "from spellbook_core import log_metric, notice, progress, secret\n@custom\ndef f(*args, **kwargs):\n"
    return start + "    key = secret('API_KEY')\n" + textwrap.indent(textwrap.dedent(text).strip("\n"), "    ") + "\n"


def assert_nowhere(folder: Path, but: tuple[str, ...] = ()) -> None:
    """Look for every form of the secret in all files below `folder`, but in files whose name begins so."""
    seen = 0
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith(but):
            seen += 1
            data = path.read_bytes()
            assert [form for form in FORMS if form.encode() in data] == [], path
    assert seen


def test_printed_in_every_form(attempts):
    ended = attempts.run(
        body("""
        import base64, os, subprocess, sys, urllib.parse
        print('raw', key)
        sys.stdout.write('split ' + key[:9]); sys.stdout.flush()
        sys.stdout.write(key[9:] + ' end\\n')
        os.write(2, b'bytes ' + key[:5].encode()); os.write(2, key[5:].encode() + b'\\n')
        print('base64', base64.b64encode(key.encode()).decode())
        print('inside base64', base64.b64encode(b'user:' + key.encode() + b' and more').decode())
        print('address', 'https://x.example/?key=' + urllib.parse.quote(key, safe=''))
        print('repr', [key], {'key': key})
        subprocess.run(['echo', 'child', key])
        kwargs['logger'].warning('logged %s', key)
        """)
    )
    assert ended.outcome.error is None, ended.outcome.error
    assert "raw ***" in ended.text
    assert "split *** end" in ended.text
    assert "bytes ***" in ended.text
    assert "base64 ***" in ended.text
    assert "address https://x.example/?key=***" in ended.text
    assert "child ***" in ended.text
    assert "WARNING logged ***" in ended.text
    assert_nowhere(ended.folder)


def test_cut_lines_leave_no_half_of_it(attempts):
    """A line longer than is kept ends in the middle of the secret; a log too long is cut there too."""
    ended = attempts.run(body("print('x' * (16 * 1024 - 12) + key + 'y' * 100)"))
    assert ended.log[0]["m"].split(" … ")[0].endswith("x***")
    ended = attempts.run(
        body("""
        import os
        for _ in range(30):
            os.write(1, (key * 40_000).encode())
        """)
    )
    assert_nowhere(ended.folder)


def test_raised(attempts):
    ended = attempts.run(body("raise ValueError(f'cannot open https://me:{key}@db.example')"))
    assert ended.outcome.error.exception == "ValueError: cannot open https://me:***@db.example"
    assert "***" in ended.text
    assert_nowhere(ended.folder)


def test_failing_test_warning_notice_metric_and_progress(attempts):
    source = body("""
        import warnings
        warnings.warn('old key ' + key)
        notice('used ' + key)
        log_metric('loss ' + key, 1.0)
        progress(1, 2, 'sending ' + key)
        return key
        """)
    ended = attempts.run(source + "@test\ndef test_it(output):\n    assert not output, 'was ' + output\n")
    assert ended.outcome.tests[0].message.splitlines()[0] == "was ***"
    assert set(ended.outcome.warnings) == {"UserWarning: old key ***", "used ***"}
    assert [output.summary for output in ended.outcome.outputs] == ["'***'"]
    assert '"loss ***"' in (ended.folder / "metrics.jsonl").read_text()
    assert_nowhere(ended.folder)


def test_leftover_process_named_in_the_log(attempts):
    ended = attempts.run(body("import subprocess\nsubprocess.Popen(['sh', '-c', 'sleep 600; true', key])"))
    assert "Ended " in ended.text
    assert "***" in ended.text
    assert_nowhere(ended.folder)


@pytest.mark.parametrize(
    "value",
    [
        "pandas.DataFrame({'a': [key, 'x'], 'b': [1, 2]})",
        "pandas.DataFrame({'a': [[key], {'k': key}]})",
        "pandas.DataFrame({key: [1], 'url ' + key: [2]})",
        "pandas.Series(['see ' + key])",
        "{'answer': {'token': key, key: 1}}",
        "'Bearer ' + key",
        "{1: (key,)}",
        "Box(key)",
    ],
)
def test_in_what_is_shown_of_a_value(attempts, value):
    source = "import pandas\nclass Box:\n    def __init__(self, v): self.v = v\n    def __repr__(self): return self.v\n"
    ended = attempts.run(source + body(f"return {value}"))
    assert ended.outcome.error is None, ended.outcome.error
    assert_nowhere(ended.folder)
    assert_nowhere(attempts.workspace.artifacts_dir, but=("data.",))
    ctx = open_context(attempts.workspace.root)
    output = ended.outcome.outputs[0]
    shown = repr(outputs.preview(ctx, output))
    if outputs.has_rows(ctx, output):
        page = outputs.page(ctx, output)
        shown += repr(page.columns) + repr(page.rows) + page.table.to_pandas().to_csv()
        shown += repr(outputs.profile(ctx, output))
    assert [form for form in FORMS if form in shown] == []
    if value != "{1: (key,)}":
        assert "***" in shown + output.summary
    ctx.close()


def test_child_block_gets_the_value_itself(attempts):
    """Masking is for eyes: what a block hands on stays what it is."""
    *_, last = attempts.chain(body("return key"), f"@custom\ndef f(x, **kwargs):\n    return x == {SECRET!r}\n")
    assert [output.summary for output in last.outcome.outputs] == ["True"]


@pytest.mark.parametrize(
    ("files", "ask"),
    [
        ({".env": f"PLAIN_NAME='{SECRET}'"}, "os.environ['PLAIN_NAME']"),
        ({"../../.env": f"export OF_ALL_PROJECTS={SECRET}"}, "secret('OF_ALL_PROJECTS')"),
        ({"io_config.yaml": f"default:\n  POSTGRES_PASSWORD: {SECRET}  # x\n"}, "config()['POSTGRES_PASSWORD']"),
        (
            {"io_config.yaml": "default:\n  SNOWFLAKE_PASSWORD: \"{{ env_var('N31_OUTSIDE') }}\"\n"},
            "config()['SNOWFLAKE_PASSWORD']",
        ),
        ({"metadata.yaml": "project_name: x\nsecrets:\n  - N31_OUTSIDE\n"}, "os.environ['N31_OUTSIDE']"),
        ({}, "get_secret_value('N31_OUTSIDE')"),
        ({}, "os.environ['N31_TOKEN']"),
        ({"io_config.yaml": f"default:\n  DSN: postgres://me:{SECRET}@db/x\n"}, "config()['DSN'][14:-5]"),
    ],
)
def test_wherever_it_was_declared(tmp_path, monkeypatch, files, ask):
    monkeypatch.setenv("N31_OUTSIDE", SECRET)
    monkeypatch.setenv("N31_TOKEN", SECRET)
    workspace = Workspace.open(tmp_path, create=True)
    workspace.ensure_state_dir()
    executor = ProcessExecutor(workspace, Settings())
    attempts = Attempts(workspace, executor)
    for name, text in files.items():
        (attempts.root / name).write_text(text)
    source = "import os\nfrom spellbook_core import secret\nfrom mage_ai.io.config import ConfigFileLoader\n"
    source += "from mage_ai.data_preparation.shared.secrets import get_secret_value\n"
    source += "def config(): return ConfigFileLoader(kwargs_path, 'default')\n"
    source += "@custom\ndef f(*args, **kwargs):\n    global kwargs_path\n"
    source += (
        f"    kwargs_path = kwargs['repo_path'] + '/io_config.yaml'\n    value = {ask}\n    print('it is', value)\n"
    )
    source += "    raise ValueError(value)\n"
    ended: Ended = attempts.run(source)
    executor.close()
    assert "it is ***" in ended.text, ended.text
    assert ended.outcome.error.exception == "ValueError: ***"
    assert_nowhere(ended.folder)


def test_whole_run_leaves_none_of_it_in_the_state(tmp_path):
    source = "from spellbook_core import secret\n@data_loader\ndef load(*args, **kwargs):\n"
    source += "    print(secret('API_KEY'))\n    raise RuntimeError(secret('API_KEY'))\n"
    project = make_project(tmp_path, blocks={"load": source})
    ctx = open_context(tmp_path)
    secrets.put(ctx, "demo", "API_KEY", SECRET)
    run = runs.run_here(ctx, NewRun(ProjectName("demo"), PipelineUuid("main"), "cli"), lambda event: None)
    assert run.status is Status.FAILED
    block_run = runs.block_runs(ctx, run.id)[0]
    assert block_run.error.exception == "RuntimeError: ***"
    assert SECRET not in json.dumps(block_run.error.to_json())
    ctx.close()
    assert_nowhere(tmp_path / ".spellbook")
    assert (project / ".env").stat().st_mode & 0o777 == 0o600
    assert ".env" in (project / ".gitignore").read_text().split()


def test_names_are_listed_and_values_are_not(tmp_path):
    project = make_project(tmp_path, blocks={})
    ctx = open_context(tmp_path)
    (project / ".env").write_text("# mine\nSTAGE=dev\nPORT=5432\n")
    secrets.put(ctx, "demo", "API_KEY", SECRET + '"\n\\')
    secrets.put(ctx, "demo", "API_KEY", SECRET + '"\n\\')
    listed = {one.name: one for one in secrets.names(ctx, "demo") if one.origin == ".env"}
    assert {name: one.is_masked for name, one in listed.items()} == {"API_KEY": True, "STAGE": False, "PORT": False}
    assert SECRET not in repr(listed)
    from spellbook_core.project.secrets import read_env_file

    assert read_env_file(project / ".env")["API_KEY"] == SECRET + '"\n\\'
    secrets.remove(ctx, "demo", "API_KEY")
    assert (project / ".env").read_text() == "# mine\nSTAGE=dev\nPORT=5432\n"
    ctx.close()


def test_value_that_could_not_be_masked_is_refused(tmp_path):
    make_project(tmp_path, blocks={})
    ctx = open_context(tmp_path)
    with pytest.raises(ValueError, match="cannot be kept"):
        secrets.put(ctx, "demo", "PIN", "123")
    with pytest.raises(ValueError, match="cannot be called"):
        secrets.put(ctx, "demo", "A=B\nC", SECRET)
    assert not (tmp_path / "projects" / "demo" / ".env").exists()
    assert "N31_NEVER" not in os.environ
    ctx.close()
