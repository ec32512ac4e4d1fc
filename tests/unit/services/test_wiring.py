from __future__ import annotations

import subprocess
import sys

import pytest

from spellbook_core.errors import BadSettingError
from spellbook_core.project.layout import NotAWorkspaceError
from spellbook_core.services.wiring import open_context


def test_folder_without_projects_is_refused(tmp_path):
    with pytest.raises(NotAWorkspaceError, match="holds no projects"):
        open_context(tmp_path)


def test_workspace_is_made_on_request(tmp_path):
    ctx = open_context(tmp_path / "new", create=True)
    assert ctx.workspace.project_names() == []
    assert not ctx.workspace.state_dir.exists()


def test_workspace_comes_from_the_environment(tmp_path, monkeypatch):
    (tmp_path / "projects").mkdir()
    monkeypatch.setenv("SPELLBOOK_WORKSPACE", str(tmp_path))
    assert open_context().workspace.root == tmp_path


def test_bad_setting_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("SPELLBOOK_MAX_PARALLEL_BLOCKS", "many")
    with pytest.raises(BadSettingError, match="SPELLBOOK_MAX_PARALLEL_BLOCKS is 'many'"):
        open_context(tmp_path, create=True)


def test_parts_are_made_once(context):
    assert context.store is context.store
    assert context.artifacts is context.artifacts


def test_closed_context_opens_again(context):
    assert context.store.unended_runs() == []
    context.close()
    assert context.store.unended_runs() == []


@pytest.mark.thorough
def test_opening_loads_nothing_heavy(tmp_path):
    """The page, the command line and the engine all open a context; torch alone costs 2 CPU s."""
    code = (
        "import sys; from pathlib import Path; from spellbook_core.services import engines, runs, wiring;"
        "ctx = wiring.open_context(Path(sys.argv[1]), create=True); runs.list_runs(ctx);"
        "heavy = ('pandas', 'numpy', 'pyarrow', 'duckdb', 'torch', 'streamlit', 'psutil');"
        "print([m for m in heavy if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
