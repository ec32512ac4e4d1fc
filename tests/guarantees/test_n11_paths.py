"""N11, N12, N13, N14: no name leads out of the project, whoever gives it; hidden files stay hidden."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from spellbook_core.errors import SpellbookError
from spellbook_core.project.layout import Workspace
from spellbook_core.services import blocks, files, pipelines, projects

pytestmark = pytest.mark.guarantee("N11")

ESCAPES = [
    *(
        "../x",
        "..",
        "..\\x",
        "/etc/passwd",
        "C:\\x",
        "%2e%2e%2f",
        "%252e%252e%252f",
        "a/../../x",
        "a\0b",
        "\\\\host\\share",
    ),
    *("~", "~/x", "~root", "file:///etc/passwd", "x.", "x ", "", " ", ".", ".env", "a/.git/config", ".spellbook/token"),
    *("a//b", "../canary.py", "a/..", "x\n", "\u202ex", "..%2f", "-rf/../.."),
]


@dataclass(frozen=True)
class Files:
    workspace: Workspace


@pytest.fixture
def ctx(tmp_path):
    (tmp_path / "canary.py").write_text("s3cret")
    ctx = Files(Workspace.open(tmp_path / "w", create=True))
    projects.create_project(ctx, "demo")
    pipelines.create(ctx, "demo", "main")
    blocks.add_block(ctx, "demo", "main", block_type="custom", name="b")
    (ctx.workspace.root / "projects" / "demo" / ".env").write_text("s3cret")
    yield ctx
    assert (tmp_path / "canary.py").read_text() == "s3cret"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["canary.py", "w"]


TAKERS = {
    "project": lambda ctx, name: ctx.workspace.project(name),
    "new project layout": lambda ctx, name: ctx.workspace.new_project(name),
    "pipeline": lambda ctx, name: pipelines.load(ctx, "demo", name),
    "pipeline validate": lambda ctx, name: pipelines.validate(ctx, "demo", name),
    "pipeline delete": lambda ctx, name: pipelines.delete(ctx, "demo", name),
    "block source": lambda ctx, name: blocks.source(ctx, "demo", "main", name),
    "block file": lambda ctx, name: ctx.workspace.project("demo").default_block_file("custom", name),
    "block type": lambda ctx, name: blocks.add_block(ctx, "demo", "main", block_type=name, name="x"),
    "existing block": lambda ctx, name: blocks.add_existing(ctx, "demo", "main", block_type="custom", uuid=name),
    "library item": lambda ctx, name: blocks.add_from_library(ctx, "demo", "main", name),
    "template": lambda ctx, name: pipelines.create(ctx, "demo", "x", template=name),
    "file read": lambda ctx, name: files.read(ctx, "demo", name),
    "file write": lambda ctx, name: files.write(ctx, "demo", name, "x", expected_hash="absent"),
    "file create": lambda ctx, name: files.create(ctx, "demo", name),
    "file delete": lambda ctx, name: files.delete(ctx, "demo", name),
    "file rename": lambda ctx, name: files.rename(ctx, "demo", "README.md", name),
    "undo token": lambda ctx, name: pipelines.undo(ctx, name),
}


@pytest.mark.parametrize("name", ESCAPES, ids=ascii)
@pytest.mark.parametrize("taker", TAKERS)
def test_escaping_name_is_refused(ctx, taker, name):
    with pytest.raises(SpellbookError, match=r".") as caught:
        TAKERS[taker](ctx, name)
    assert "s3cret" not in str(caught.value.to_dict())


@pytest.mark.parametrize("name", [name for name in ESCAPES if name.strip()], ids=ascii)
def test_typed_name_never_leaves_its_folder(ctx, name):
    """Names that a person types are cleaned first: either refused, or a plain name inside."""
    root = ctx.workspace.root
    for make in (
        lambda: projects.create_project(ctx, name),
        lambda: pipelines.create(ctx, "demo", name),
        lambda: blocks.add_block(ctx, "demo", "main", block_type="custom", name=name),
        lambda: blocks.rename(ctx, "demo", "main", "b", name),
    ):
        try:
            make()
        except SpellbookError:
            continue
    assert {path.name for path in root.iterdir()} <= {"projects", ".spellbook"}


@pytest.mark.parametrize("path", [name for name in ESCAPES if name], ids=ascii)
def test_path_in_a_pipeline_file_is_not_followed(ctx, path):
    file = pipelines.load(ctx, "demo", "main")
    from dataclasses import replace

    changed = replace(file.pipeline.block("b"), configuration={"file_source": {"path": path}, "file_path": path})
    layout = ctx.workspace.project("demo")
    assert layout.block_file(changed) == layout.root / "custom" / "b.py"


@pytest.mark.guarantee("N13")
def test_hidden_files_are_never_listed(ctx):
    listed = [entry.relative_path for entry in files.tree(ctx, "demo")]
    assert "README.md" in listed
    assert [name for name in listed if any(part.startswith(".") for part in name.split("/"))] == []


@pytest.mark.guarantee("N14")
def test_linked_files_are_neither_listed_nor_read(ctx, tmp_path):
    root = ctx.workspace.project("demo").root
    (root / "leak.py").symlink_to(tmp_path / "canary.py")
    (root / "leaks").symlink_to(tmp_path)
    assert [e for e in files.tree(ctx, "demo") if e.relative_path.startswith("leak")] == []
    for name in ("leak.py", "leaks/canary.py"):
        with pytest.raises(SpellbookError, match="leads out"):
            files.read(ctx, "demo", name)
        with pytest.raises(SpellbookError, match="leads out"):
            files.write(ctx, "demo", name, "x", expected_hash="absent")
