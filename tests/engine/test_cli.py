"""The command line as a shell sees it: output, exit status, interruption."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spellbook_core.services import engines
from spellbook_core.services.wiring import open_context
from tests.conftest import LOADER, BlockFile, make_project, wait_until

SPELLBOOK = str(Path(sys.executable).with_name("spellbook"))

FRAME = """
import pandas as pd


@data_loader
def load(*args, **kwargs):
    print("rows:", kwargs.get("rows", 3))
    return pd.DataFrame({"a": range(kwargs.get("rows", 3))})


@test
def test_output(output, *args):
    assert len(output)
"""
BAD = """
@transformer
def transform(data, *args, **kwargs):
    print("about to fail")
    raise ValueError("bad row")
"""
SLOW = """
import time


@data_loader
def load(*args, **kwargs):
    print("begun", flush=True)
    time.sleep(60)
"""


def clean_environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPELLBOOK_", "NO_COLOR"))}
    return {**kept, **more}


def spellbook(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SPELLBOOK, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=clean_environment(**environment),
        timeout=120,
        check=False,
    )


def test_run_tells_each_block_and_ends_with_0(tmp_path):
    make_project(tmp_path, blocks={"load": FRAME})
    ended = spellbook("run", "projects/demo", "main", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert re.search(r"✓ load +\d+ ms +3 rows x 1 column", ended.stdout)
    assert "1 test passed" in ended.stdout
    assert "main: completed, run 1" in ended.stdout
    assert "\x1b" not in ended.stdout


def test_failed_run_explains_itself_and_ends_with_1(tmp_path):
    make_project(tmp_path, blocks={"load": LOADER, "change": BAD, "after": "@transformer\ndef f(d):\n    return d\n"})
    ended = spellbook("run", "projects/demo", "main", cwd=tmp_path)
    assert ended.returncode == 1
    assert re.search(r"✗ change +failed +ValueError: bad row", ended.stdout)
    assert re.search(r"- after +upstream failed", ended.stdout)
    assert "about to fail" in ended.stderr
    assert 'projects/demo/transformers/change.py:5 in transform: raise ValueError("bad row")' in ended.stderr
    assert "Do this:" in ended.stderr
    assert "spellbook_core" not in ended.stderr


def test_json_is_one_object_with_all_that_happened(tmp_path):
    make_project(tmp_path, blocks={"load": FRAME, "change": BAD})
    ended = spellbook("run", "projects/demo", "main", "--json", "--var", "rows=5", cwd=tmp_path)
    assert ended.returncode == 1
    report = json.loads(ended.stdout)
    assert report["run_id"] == 1
    assert report["state"] == "failed"
    assert report["seconds"] > 0
    assert report["variables"] == {"rows": 5}
    load, change = report["blocks"]
    assert load["uuid"] == "load"
    assert load["state"] == "completed"
    assert load["outputs"][0]["kind"] == "table"
    assert load["outputs"][0]["rows"] == 5
    assert load["outputs"][0]["columns"][0]["name"] == "a"
    assert load["tests"] == [{"name": "test_output", "passed": True, "message": "", "line": load["tests"][0]["line"]}]
    assert change["error"]["last_line"] == "ValueError: bad row"
    assert change["error"]["line"] == 5
    assert change["error"]["code"].startswith("SB-WRK-")


def test_one_block_takes_its_parents_stored_output(tmp_path):
    make_project(tmp_path, blocks={"load": FRAME, "more": "@transformer\ndef f(d):\n    return d.assign(b=1)\n"})
    missing = spellbook("run", "demo", "main", "--block", "more", cwd=tmp_path)
    assert missing.returncode == 2
    assert "load" in missing.stderr
    both = spellbook("run", "demo", "main", "--block", "more", "--with-upstream", "--json", cwd=tmp_path)
    assert both.returncode == 0, both.stderr
    assert [block["uuid"] for block in json.loads(both.stdout)["blocks"]] == ["load", "more"]
    one = spellbook("run", "demo", "main", "--block", "more", "--json", cwd=tmp_path)
    assert [block["uuid"] for block in json.loads(one.stdout)["blocks"]] == ["more"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "projects/demo", "none"),
        ("run", "projects/none", "main"),
        ("run", "projects/demo", "../../etc"),
        ("run", "projects/demo", "main", "--block", "none"),
        ("run", "projects/demo", "main", "--var", "novalue"),
        ("run", "projects/demo"),
        ("nonsense",),
        ("logs", "99"),
        ("cancel", "99"),
        ("validate", "nowhere"),
    ],
)
def test_unusable_input_ends_with_2_and_says_why(tmp_path, arguments):
    make_project(tmp_path, blocks={"load": LOADER})
    ended = spellbook(*arguments, cwd=tmp_path)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.strip()
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_is_cancelled_and_ends_with_130(tmp_path, sign):
    make_project(tmp_path, blocks={"load": SLOW})
    process = subprocess.Popen(
        [SPELLBOOK, "run", "projects/demo", "main"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(SPELLBOOK_CANCEL_GRACE_S="0.3"),
    )
    wait_until(lambda: any("begun" in log.read_text() for log in tmp_path.glob(".spellbook/runs/*/*/log.jsonl")))
    process.send_signal(sign)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "cancelled" in out
    assert "Traceback" not in error
    listed = json.loads(spellbook("runs", "--json", cwd=tmp_path).stdout)
    assert [run["state"] for run in listed] == ["cancelled"]


def test_list_runs_logs_and_validate_in_both_forms(tmp_path):
    make_project(tmp_path, blocks={"load": FRAME})
    assert spellbook("run", "demo", "main", cwd=tmp_path).returncode == 0
    listed = json.loads(spellbook("list", "--json", cwd=tmp_path).stdout)
    assert listed["projects"][0]["name"] == "demo"
    assert listed["projects"][0]["pipelines"][0]["uuid"] == "main"
    assert "main" in spellbook("list", cwd=tmp_path).stdout
    assert json.loads(spellbook("runs", "--state", "completed", "--json", cwd=tmp_path).stdout)[0]["run_id"] == 1
    assert json.loads(spellbook("runs", "--state", "running", "--json", cwd=tmp_path).stdout) == []
    assert "completed" in spellbook("runs", cwd=tmp_path).stdout
    lines = json.loads(spellbook("logs", "1", "load", "--json", cwd=tmp_path).stdout)
    assert [line["text"] for line in lines if line["stream"] == "stdout"] == ["rows: 3"]
    assert "load | rows: 3" in spellbook("logs", "1", "-f", cwd=tmp_path).stdout
    checked = spellbook("validate", "projects/demo", "--json", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout
    assert json.loads(checked.stdout)["pipelines"][0]["ok"] is True
    shown = json.loads(spellbook("show", "demo", "main", "--json", cwd=tmp_path).stdout)
    assert shown["blocks"][0]["file"] == "data_loaders/load.py"
    assert shown["blocks"][0]["file_exists"] is True


def test_validate_ends_with_2_when_something_is_wrong(tmp_path):
    project = make_project(tmp_path, blocks={"load": LOADER, "gone": BlockFile("", "transformer", ("load",))})
    (project / "transformers" / "gone.py").unlink()
    ended = spellbook("validate", "demo", "main", "--json", cwd=tmp_path)
    ended_by_path = spellbook("validate", "projects/demo", "main", "--json", cwd=tmp_path)
    assert ended_by_path.returncode == 2
    finding = json.loads(ended_by_path.stdout)["pipelines"][0]["findings"][0]
    assert set(finding) == {"code", "severity", "block", "message", "hint", "file", "line"}
    assert finding["block"] == "gone"
    assert ended.returncode == 2


def test_new_project_can_be_listed_and_checked(tmp_path):
    made = spellbook("new", "My First", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "projects" / "my_first" / "metadata.yaml").is_file()
    assert spellbook("validate", cwd=tmp_path).returncode == 0
    assert spellbook("new", "My First", cwd=tmp_path).returncode == 2


def test_help_and_version_need_no_workspace(tmp_path):
    assert re.fullmatch(r"spellbook, version \d+\.\d+\.\d+\S*\n", spellbook("--version", cwd=tmp_path).stdout)
    text = spellbook("--help", cwd=tmp_path).stdout
    for verb in ("start", "stop", "run", "validate", "list", "runs", "logs", "token", "doctor", "new"):
        assert re.search(rf"^  {verb} +\S", text, re.MULTILINE), verb
        assert spellbook(verb, "--help", cwd=tmp_path).returncode == 0


def test_doctor_finds_the_engine_without_starting_one(tmp_path):
    make_project(tmp_path, blocks={"load": LOADER})
    before = json.loads(spellbook("doctor", "--json", cwd=tmp_path).stdout)
    assert "No engine is running" in before["engine"]
    context = open_context(tmp_path)
    engines.ensure(context)
    try:
        assert json.loads(spellbook("doctor", "--json", cwd=tmp_path).stdout)["engine"].startswith("running, pid")
        assert spellbook("stop", cwd=tmp_path).stdout == "Ended the engine.\n"
        assert not engines.status(context).is_running
        assert spellbook("stop", cwd=tmp_path).stdout == "Nothing was running.\n"
    finally:
        engines.stop(context)
        context.close()


def test_empty_workspace_and_project_are_listed_as_such(tmp_path):
    assert spellbook("init", cwd=tmp_path).returncode == 0
    assert "Next: spellbook new my_project" in spellbook("list", cwd=tmp_path).stdout
    assert spellbook("new", "demo", cwd=tmp_path).returncode == 0
    assert spellbook("list", cwd=tmp_path).stdout.splitlines()[1].split() == [
        "demo",
        "-",
        "-",
        "0",
        "no",
        "pipelines",
        "yet",
    ]


@pytest.mark.parametrize("arguments", [("list",), ("run", "projects/demo", "main"), ("validate", "demo", "--json")])
def test_command_in_a_folder_that_is_gone_says_so(tmp_path, arguments):
    (tmp_path / "gone").mkdir()
    into = 'import os, sys; os.chdir("gone"); os.rmdir("../gone"); os.execv(sys.argv[1], sys.argv[1:])'
    command = [sys.executable, "-c", into, SPELLBOOK, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "itself failed" in done.stderr) == (2, False)
    assert "started in is gone.\n  Do this: go to a folder that is there" in done.stderr


@pytest.mark.guarantee("N28")
def test_nothing_is_imported_from_the_working_directory(tmp_path):
    """A folder from a stranger holds modules with the names of ours and of Python's; each would leave a canary."""
    make_project(tmp_path, blocks={"load": LOADER})
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    canary = tmp_path / "canary"
    names = ("yaml", "click", "json", "sitecustomize", "usercustomize", "spellbook_core", "psutil", "http", "tomllib")
    for name in names:
        (hostile / f"{name}.py").write_text(f"open({str(canary)!r}, 'a').write({name!r} + '\\n')\n")
    (hostile / "spellbook.toml").write_text('host = "0.0.0.0"\n')
    (hostile / ".env").write_text("SPELLBOOK_HOST=0.0.0.0\n")
    workspace = {"SPELLBOOK_WORKSPACE": str(tmp_path)}
    assert spellbook("run", str(tmp_path / "projects/demo"), "main", cwd=hostile).returncode == 0
    assert spellbook("validate", cwd=hostile, **workspace).returncode == 0
    assert spellbook("doctor", cwd=hostile, **workspace).returncode == 0
    context = open_context(tmp_path)
    try:
        before = Path.cwd()
        os.chdir(hostile)
        try:
            engines.ensure(context)
        finally:
            os.chdir(before)
    finally:
        engines.stop(context)
        context.close()
    assert not canary.exists(), canary.read_text()
