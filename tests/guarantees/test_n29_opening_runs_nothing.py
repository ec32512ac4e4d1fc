"""N29: opening, listing, inspecting and validating a project executes none of its code."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from spellbook_core.project.blockfile import static_imports
from spellbook_core.project.layout import Workspace
from spellbook_core.services import blocks, files, library, pipelines, projects


@dataclass(frozen=True)
class Files:
    workspace: Workspace


@pytest.mark.guarantee("N29")
def test_opening_a_project_runs_nothing(tmp_path):
    ctx = Files(Workspace.open(tmp_path / "w", create=True))
    projects.create_project(ctx, "demo")
    pipelines.create(ctx, "demo", "main")
    canary = tmp_path / "canary"
    code = f"open({str(canary)!r}, 'w')\nimport demo.utils\nimport helper\n"
    code += "from spellbook_core import custom\n@custom\ndef f(): pass\n"
    blocks.add_block(ctx, "demo", "main", block_type="custom", name="b", text=code)
    root = ctx.workspace.project("demo").root
    for name in (
        "__init__.py",
        "utils/__init__.py",
        "helper.py",
        "conftest.py",
        "sitecustomize.py",
        "setup.py",
        "yaml.py",
    ):
        (root / name).write_text(code)
    before = set(sys.modules)
    projects.list_projects(ctx)
    pipelines.list_pipelines(ctx, "demo")
    assert pipelines.validate(ctx, "demo", "main") == []
    assert blocks.source(ctx, "demo", "main", "b").inspected.function == "f"
    assert [item.uuid for item in library.project_blocks(ctx, "demo")] == ["b"]
    files.tree(ctx, "demo")
    files.read(ctx, "demo", "helper.py")
    static_imports(ctx.workspace.project("demo"))
    blocks.rename(ctx, "demo", "main", "b", "c")
    blocks.undo(ctx, blocks.remove(ctx, "demo", "main", "c", delete_file=True))
    assert not canary.exists()
    assert {name for name in set(sys.modules) - before if name.split(".")[0] in {"demo", "helper"}} == set()
