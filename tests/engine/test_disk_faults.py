"""A disk that refuses: the k-th change of a file fails, whatever it belongs to. Below Python and SQLite, not in them.

Each change of a small run is refused in turn, once (EIO) and from there on (ENOSPC); then the workspace is opened anew.
Here every n-th one, from a start that changes with the seed; by hand all of them:
`SPELLBOOK_FAULT_STEP=1 pytest tests/engine/test_disk_faults.py`.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import BlockFile, make_project

FAULTS = Path(__file__).parent / "faults"
ROOT = Path(__file__).resolve().parents[2]
SPELLBOOK = Path(sys.executable).with_name("spellbook")
STEP = int(os.environ.get("SPELLBOOK_FAULT_STEP", "11"))
SEED = int(os.environ.get("SPELLBOOK_FAULT_SEED", "1"))

LOAD = "from demo.utils.rows import ROWS\n@data_loader\ndef f(*args, **kwargs):\n    return {'rows': ROWS}\n"
MODULES = {"utils/__init__.py": "", "utils/rows.py": "ROWS = 50\n"}
FRAME = """
import pandas as pd

@transformer
def f(data, *args, **kwargs):
    print('framed')
    return pd.DataFrame({'a': range(data['rows'])})
"""
TEXT = "@data_exporter\ndef f(frame, *args, **kwargs):\n    return f'{len(frame)} rows'\n"
BLOCKS = {
    "load": BlockFile(LOAD, "data_loader"),
    "frame": BlockFile(FRAME, "transformer", ("load",)),
    "text": BlockFile(TEXT, "data_exporter", ("frame",)),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The hook that refuses changes, compiled."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler")
    path = tmp_path_factory.mktemp("faults") / "diskfaults.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", path, FAULTS / "diskfaults.c", "-ldl"], check=True)
    return path


@pytest.fixture
def workspace(tmp_path):
    make_project(tmp_path / "base", blocks=BLOCKS, files=MODULES)
    return tmp_path / "base"


def driven(library, workspace, number, *, is_lasting):
    first = random.Random(SEED).randint(1, STEP)
    arguments = [FAULTS / "driver.py", workspace, number, str(int(is_lasting)), str(first), str(STEP)]
    ended = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.guarantee("F8")
@pytest.mark.parametrize(("number", "is_lasting"), [("EIO", False), ("ENOSPC", True)])
def test_refused_change_damages_nothing_wherever_it_falls(library, workspace, number, is_lasting):
    """Sealed success or a clear failure; nothing half-made is shown; the run after it works."""
    told = driven(library, workspace, number, is_lasting=is_lasting)
    assert len(told) > 100 // STEP, "the run changes files"
    for each in told:
        where = f"change {each['k']} (SPELLBOOK_FAULT_STEP={STEP} SPELLBOOK_FAULT_SEED={SEED})"
        assert "unclear" not in each, f"{where}: {each['unclear']}"
        assert each["problems"] == [], where
        assert each["is_file_kept"], where
    assert told[-1]["ended"] == "completed", "no change was refused in the last run"
    assert {each.get("ended", "raised") for each in told} >= {"raised"}


@pytest.mark.guarantee("F8")
def test_write_that_takes_less_than_it_is_given_changes_nothing(library, workspace):
    """Every write takes half of its bytes, as one does that meets the last room of a disk; the rest is written then."""
    (told,) = driven(library, workspace, "SHORT", is_lasting=False)
    assert told.get("ended") == "completed", told
    assert (told["problems"], told["is_file_kept"]) == ([], True)
    assert told["changes"] > 100
    assert told["log"] == ["framed"]


@pytest.mark.guarantee("F8")
@pytest.mark.guarantee("F3")
def test_refused_edit_leaves_every_pipeline_whole_wherever_it_falls(library, workspace):
    """Save, add, rename, remove, create: what is acknowledged is there; after a refusal no block lacks its file."""
    project = make_project(workspace, blocks={"load": BLOCKS["load"], "frame": BLOCKS["frame"]}, pipeline="other")
    (project / "old.txt").write_text(LOAD)
    ended = subprocess.run(
        [sys.executable, "-m", "tests.engine.faults.edits", workspace],
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    for each in told:
        where = f"{each['act']}, change {each['k']}: {each}"
        assert "unclear" not in each, where
        assert each["problems"] == [], where
    assert sum("refused" in each for each in told) > 20
    assert sum("is_done" in each for each in told) >= 6


def spellbook(library, workspace, at, number, *arguments, below="."):
    faults = {"FAULT_FOLDER": str(workspace / below), "FAULT_AT": str(at), "FAULT_ERRNO": str(number)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPELLBOOK_")}
    environment = {**kept, "LD_PRELOAD": str(library), **faults} if at else kept
    return subprocess.run(
        [SPELLBOOK, *arguments],
        cwd=workspace,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.guarantee("F8")
@pytest.mark.parametrize("at", [1, 60, 120])
def test_full_disk_is_told_in_one_line_and_passes(library, workspace, at):
    ended = spellbook(library, workspace, at, errno.ENOSPC, "run", "demo", "main", below=".spellbook")
    assert ended.returncode == 3
    assert "No space left on device" in ended.stderr
    assert str(workspace / ".spellbook") in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Spellbook itself failed" not in ended.stderr
    after = spellbook(library, workspace, 0, 0, "run", "demo", "main")
    assert after.returncode == 0, after.stderr


@pytest.mark.guarantee("F9")
def test_read_only_workspace_can_be_looked_at_and_says_why_it_does_not_run(library, workspace):
    """Root may write anywhere, so the read-only file system is one that refuses every change."""
    for arguments in (("validate", "projects/demo"), ("list",), ("show", "demo", "main")):
        ended = spellbook(library, workspace, 1, errno.EROFS, *arguments)
        assert ended.returncode == 0, ended.stderr
    for arguments in (("run", "demo", "main"), ("start", "--no-browser", "--port", "0", "projects/demo")):
        ended = spellbook(library, workspace, 1, errno.EROFS, *arguments)
        assert ended.returncode in {2, 3}
        assert "Read-only file system" in ended.stderr + ended.stdout
        assert "Traceback" not in ended.stderr
        assert "Spellbook itself failed" not in ended.stderr
    assert not (workspace / ".spellbook").exists()
