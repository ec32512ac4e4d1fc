"""The modules of a run are kept once each, and read back whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
import time

import pytest

from spellbook_core.project import kept_modules
from spellbook_core.project.closure import index_of
from spellbook_core.project.sourcefacts import facts_of
from spellbook_core.worker.modules_then import ThenFinder
from tests.conftest import make_project

FILES = {
    "utils/__init__.py": "",
    "utils/paths.py": "from .deep import ROOT\n",
    "utils/deep.py": "import pandas\nROOT = 1\n",
    "other.py": "",
}
BLOCK = "from demo.utils.paths import ROOT\nimport other\n"


@pytest.fixture
def project(tmp_path, workspace):
    make_project(tmp_path, files=FILES)
    return workspace.project("demo")


@pytest.fixture
def keep(project, workspace):
    keeper = kept_modules.Keeper(workspace)

    def keep(run_id: int, block: str = "load"):
        index = index_of(project)
        index.look()
        closure = index.closure(facts_of(BLOCK).imports)
        keeper.keep(run_id, block, closure, index)
        return closure

    return keep


def read(workspace, run_id):
    return kept_modules.read(workspace.modules_file(run_id))


def texts_of(workspace):
    return sorted(path for path in workspace.modules_dir.rglob("*") if path.is_file())


def test_modules_are_read_back_as_they_were(project, workspace, keep):
    then = keep(1)
    (project.root / "utils/deep.py").write_text("import pandas\nROOT = 2\n")
    assert keep(2).digest != then.digest
    found = read(workspace, 1)
    assert found.texts(workspace, "load")["utils/deep.py"] == b"import pandas\nROOT = 1\n"
    closure = found.closure(workspace, "load")
    assert (closure.digest, closure.packages) == (then.digest, then.packages)
    assert found.texts(workspace, "another block") is None
    assert found.closure(workspace, "another block") is None


def test_each_text_is_stored_once_and_private(workspace, keep):
    keep(1)
    keep(1, "another")
    keep(2)
    stored = texts_of(workspace)
    assert len(stored) == 3, "three of the five files are empty"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (*stored, workspace.modules_file(1))} == {0o600}
    assert [line[:9] for line in workspace.modules_file(1).read_text().splitlines()] == [
        '{"modules',
        '{"block":',
        '{"block":',
    ]


def test_line_that_was_cut_off_is_left_out(workspace, keep):
    keep(1)
    file = workspace.modules_file(1)
    file.write_bytes(file.read_bytes()[:-9])
    assert read(workspace, 1).blocks == {}
    assert read(workspace, 7) == kept_modules.Kept()


def test_damaged_text_is_not_used(workspace, keep):
    keep(1)
    max(texts_of(workspace), key=os.path.getsize).write_bytes(b"something else")
    assert read(workspace, 1).texts(workspace, "load") is None
    assert read(workspace, 1).closure(workspace, "load") is None


def test_text_that_was_cut_off_is_written_anew(project, workspace, keep):
    keep(1)
    longest = max(texts_of(workspace), key=os.path.getsize)
    longest.write_bytes(b"")
    index = index_of(project)
    kept_modules.Keeper(workspace).keep(2, "load", index.closure(facts_of(BLOCK).imports), index)
    assert read(workspace, 2).texts(workspace, "load") is not None


def test_what_no_run_names_goes_unless_it_is_young(project, workspace, keep):
    keep(1)
    (project.root / "utils/deep.py").write_text("ROOT = 2\n")
    keep(2)
    workspace.modules_file(1).unlink()
    assert kept_modules.sweep(workspace, unless_held_since=time.time() - 60) == 0
    assert kept_modules.sweep(workspace, unless_held_since=time.time() + 60) == 1
    assert read(workspace, 2).texts(workspace, "load") is not None


def test_finder_serves_kept_modules_and_leaves_the_rest_to_python(project, monkeypatch):
    texts = {"pack/__init__.py": b"from . import inner\n", "pack/inner.py": b"VALUE = 'then'\n", "json.py": b""}
    monkeypatch.setattr(sys, "meta_path", [ThenFinder(project.root, texts), *sys.meta_path])
    for name in ("pack", "pack.inner"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import pack

    assert pack.inner.VALUE == "then"
    assert pack.inner.__file__ == f"{project.root}/pack/inner.py"
    finder = sys.meta_path[0]
    assert finder.find_spec("json", None) is None, "the standard library goes before the project"
    assert finder.find_spec("pack.absent", [f"{project.root}/pack"]) is None
    assert finder.find_spec("default_repo", None) is None
    for name in ("pack", "pack.inner"):
        del sys.modules[name]
