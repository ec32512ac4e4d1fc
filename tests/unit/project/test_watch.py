"""File changes are told by events, once per burst."""

from __future__ import annotations

import queue
import subprocess
import sys

import pytest

from spellbook_core.project.watch import ProjectWatcher, is_ignored

DEADLINE_S = 10.0


@pytest.fixture
def told(tmp_path):
    (tmp_path / "projects" / "demo").mkdir(parents=True)
    (tmp_path / ".spellbook").mkdir()
    changes: queue.Queue[str] = queue.Queue()
    watcher = ProjectWatcher(tmp_path, changes.put)
    watcher.start()
    yield changes
    watcher.stop()


def wait_for(changes, wanted):
    seen = []
    while wanted not in seen:
        seen.append(changes.get(timeout=DEADLINE_S))
    return seen


@pytest.mark.thorough
@pytest.mark.guarantee("F15")
def test_edit_from_outside_is_told(tmp_path, told):
    path = tmp_path / "projects" / "demo" / "블록.py"
    subprocess.run([sys.executable, "-c", f"open({str(path)!r}, 'w').write('x')"], check=True)
    wait_for(told, "projects/demo/블록.py")
    path.rename(path.with_name("b.py"))
    wait_for(told, "projects/demo/b.py")


def test_state_and_temporary_files_are_not_told(tmp_path, told):
    (tmp_path / ".spellbook" / "state.db").write_text("x")
    (tmp_path / "projects" / "demo" / ".a.py.x.tmp").write_text("x")
    for number in range(50):
        (tmp_path / "projects" / "demo" / "a.py").write_text(str(number))
    (tmp_path / "projects" / "demo" / "last.py").write_text("x")
    seen = wait_for(told, "projects/demo/last.py")
    assert set(seen) <= {"projects/demo/a.py", "projects/demo/last.py"}
    assert len(seen) < 20


@pytest.mark.thorough
def test_folder_made_later_is_watched(tmp_path, told):
    (tmp_path / "other").mkdir()
    wait_for(told, "other")
    (tmp_path / "other" / "x.py").write_text("x")
    wait_for(told, "other/x.py")


def test_hidden_and_cache_paths_are_ignored():
    assert is_ignored(".spellbook/state.db")
    assert is_ignored("a/__pycache__/b.pyc")
    assert is_ignored("a/b.py~")
    assert not is_ignored("projects/demo/a.py")
