"""The library page's shelves: what a project has, and who uses it."""

from __future__ import annotations

from dataclasses import dataclass

from spellbook_core.project.layout import Workspace
from spellbook_core.services import blocks, library, pipelines, projects


@dataclass(frozen=True)
class Files:
    workspace: Workspace


def test_project_blocks_name_their_users(tmp_path):
    ctx = Files(Workspace.open(tmp_path, create=True))
    projects.create_project(ctx, "demo")
    for name in ("one", "two"):
        pipelines.create(ctx, "demo", name)
    text = '"""Load it.\n\nMore."""\nfrom spellbook_core import data_loader\n@data_loader\ndef f(): pass\n'
    blocks.add_block(ctx, "demo", "one", block_type="data_loader", name="api/load", text=text)
    blocks.add_existing(ctx, "demo", "two", block_type="data_loader", uuid="api/load")
    blocks.add_block(ctx, "demo", "one", block_type="custom", name="alone")
    blocks.remove(ctx, "demo", "one", "alone")
    (ctx.workspace.project("demo").root / "custom" / "__init__.py").touch()
    found = library.project_blocks(ctx, "demo")
    assert [(item.uuid, item.relative_path, item.used_by) for item in found] == [
        ("api/load", "data_loaders/api/load.py", ("one", "two")),
        ("alone", "custom/alone.py", ()),
    ]
    assert found[0].description == "Load it."


def test_shelves_are_filled():
    assert {item.block_type for item in library.templates("custom")} == {"custom"}
    assert len(library.library_blocks()) >= 10
