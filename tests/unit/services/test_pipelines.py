"""Pipelines: made, listed, edited by two at once, renamed, copied, deleted and brought back, validated."""

from __future__ import annotations

import time
import unicodedata
from dataclasses import dataclass, replace

import pytest

from spellbook_core.errors import AlreadyExistsError, BadNameError, ChangedOnDiskError, NotFoundError
from spellbook_core.model.block import Block
from spellbook_core.project.layout import Workspace
from spellbook_core.services import blocks, pipelines, projects


@dataclass(frozen=True)
class Files:
    workspace: Workspace


@pytest.fixture
def ctx(tmp_path):
    ctx = Files(Workspace.open(tmp_path / "한글 ✨ a b", create=True))
    projects.create_project(ctx, "demo")
    return ctx


def test_made_pipeline_is_listed(ctx):
    assert pipelines.create(ctx, "demo", "  타이타닉 학습 ", description="d") == "타이타닉_학습"
    (summary,) = pipelines.list_pipelines(ctx, "demo")
    assert (summary.uuid, summary.name, summary.description, summary.blocks, summary.problem) == (
        *("타이타닉_학습", "타이타닉 학습", "d", 0),
        None,
    )


@pytest.mark.parametrize("name", ["Main", "main", "MAIN", "ma in"])
def test_same_name_is_refused(ctx, name):
    pipelines.create(ctx, "demo", "ma in" if " " in name else "main")
    with pytest.raises(AlreadyExistsError, match="already has a pipeline"):
        pipelines.create(ctx, "demo", name)


def test_other_unicode_form_is_the_same_name(ctx):
    pipelines.create(ctx, "demo", "한글")
    with pytest.raises(AlreadyExistsError, match="already has a pipeline"):
        pipelines.create(ctx, "demo", unicodedata.normalize("NFD", "한글"))


@pytest.mark.parametrize("name", ["", "  ", "!!!", "con", "x" * 300])
def test_bad_name_is_refused(ctx, name):
    with pytest.raises(BadNameError, match=r"name|characters"):
        pipelines.create(ctx, "demo", name)


def test_broken_file_is_listed_with_its_problem(ctx):
    uuid = pipelines.create(ctx, "demo", "main")
    path = ctx.workspace.project("demo").pipeline_file(uuid)
    path.write_text("a: 1\n<<<<<<< HEAD\n")
    (summary,) = pipelines.list_pipelines(ctx, "demo")
    assert summary.problem["code"] == "SB-PRJ-004"
    (finding,) = pipelines.validate(ctx, "demo", uuid)
    assert (finding.severity, finding.line, finding.file) == ("error", 2, "pipelines/main/metadata.yaml")


def test_second_of_two_edits_is_refused(ctx):
    uuid = pipelines.create(ctx, "demo", "main")
    seen = pipelines.load(ctx, "demo", uuid).content_hash
    first = pipelines.edit(ctx, "demo", uuid, lambda p: replace(p, description="first"), expected_hash=seen)
    with pytest.raises(ChangedOnDiskError, match="nothing was written"):
        pipelines.edit(ctx, "demo", uuid, lambda p: replace(p, description="second"), expected_hash=seen)
    assert pipelines.load(ctx, "demo", uuid) == first


def test_edit_without_hash_keeps_what_came_between(ctx):
    uuid = pipelines.create(ctx, "demo", "main")
    between = []

    def change(pipeline):
        if not between:
            between.append(pipelines.edit(ctx, "demo", uuid, lambda p: replace(p, description="other")))
        return replace(pipeline, tags=("mine",))

    pipeline = pipelines.edit(ctx, "demo", uuid, change).pipeline
    assert (pipeline.description, pipeline.tags) == ("other", ("mine",))


def test_rename_moves_the_folder(ctx):
    uuid = pipelines.create(ctx, "demo", "main")
    assert pipelines.rename(ctx, "demo", uuid, "New Name") == "new_name"
    file = pipelines.load(ctx, "demo", "new_name")
    assert (file.document["uuid"], file.pipeline.name, file.warnings) == ("new_name", "New Name", ())
    with pytest.raises(NotFoundError, match="no pipeline 'main'"):
        pipelines.load(ctx, "demo", "main")
    assert pipelines.rename(ctx, "demo", "new_name", "NEW name") == "new_name"
    assert pipelines.load(ctx, "demo", "new_name").pipeline.name == "NEW name"


def test_copy_shares_block_files(ctx):
    uuid = pipelines.create(ctx, "demo", "main")
    blocks.add_block(ctx, "demo", uuid, block_type="custom", name="b")
    copy = pipelines.duplicate(ctx, "demo", uuid, "copy")
    assert pipelines.load(ctx, "demo", copy).pipeline.blocks == pipelines.load(ctx, "demo", uuid).pipeline.blocks
    assert blocks.uses(ctx, "demo", "custom", "b") == ["copy", "main"]


def test_deleted_pipeline_comes_back(ctx):
    uuid = pipelines.create(ctx, "demo", "main")
    before = pipelines.load(ctx, "demo", uuid)
    token = pipelines.delete(ctx, "demo", uuid)
    assert pipelines.list_pipelines(ctx, "demo") == []
    pipelines.undo(ctx, token)
    assert pipelines.load(ctx, "demo", uuid) == before
    with pytest.raises(NotFoundError, match="cannot be undone"):
        pipelines.undo(ctx, token)


def test_undo_does_not_overwrite(ctx):
    uuid = pipelines.create(ctx, "demo", "main")
    token = pipelines.delete(ctx, "demo", uuid)
    pipelines.create(ctx, "demo", "main", description="another")
    with pytest.raises(AlreadyExistsError, match="another one now"):
        pipelines.undo(ctx, token)
    assert pipelines.load(ctx, "demo", uuid).pipeline.description == "another"


@pytest.mark.parametrize("template", [item.id for item in pipelines.pipeline_templates()])
def test_pipeline_template_is_valid(ctx, template):
    first = pipelines.create(ctx, "demo", "first", template=template)
    second = pipelines.create(ctx, "demo", "second", template=template)
    assert [f for f in pipelines.validate(ctx, "demo", first) if f.code != "SB-PRJ-015"] == []
    assert pipelines.load(ctx, "demo", first).pipeline.blocks == pipelines.load(ctx, "demo", second).pipeline.blocks
    assert len(pipelines.load(ctx, "demo", first).pipeline.blocks) == (0 if template == "blank" else 4)


def test_every_fault_is_found(ctx):
    uuid = pipelines.create(ctx, "demo", "main")
    root = ctx.workspace.project("demo").root
    (root / "custom").mkdir()
    for name, text in {
        "syntax": "x = (",
        "plain": "def f(): pass",
        "two": "@custom\ndef f(): pass\n@custom\ndef g(): pass",
        "many": "@custom\ndef f(a, b): pass",
        "package": "import not_installed_xyz, sklearn_not_there\n@custom\ndef f(): pass",
        "a": "@custom\ndef f(*x): pass",
        "b": "@custom\ndef f(*x): pass",
    }.items():
        (root / "custom" / f"{name}.py").write_text(text)
    entries = [Block(name, name, "custom") for name in ("missing", "syntax", "plain", "two", "many", "package", "two")]
    entries += [
        Block("orphan", "o", "custom", upstream_blocks=("gone",)),
        Block("a", "a", "custom", upstream_blocks=("b",), configuration={"file_path": "../../x.py"}),
        Block("b", "b", "custom", upstream_blocks=("a",)),
        Block("query", "q", "transformer", "r"),
        Block("dbt", "d", "dbt", "sql"),
        Block("note", "n", "markdown", "markdown"),
    ]
    pipelines.edit(ctx, "demo", uuid, lambda p: replace(p, blocks=tuple(entries)))
    found = pipelines.validate(ctx, "demo", uuid)
    assert {(f.block, f.code, f.severity) for f in found} >= {
        ("missing", "SB-PRJ-012", "error"),
        ("syntax", "SB-PRJ-010", "error"),
        ("plain", "SB-PRJ-011", "error"),
        ("two", "SB-PRJ-018", "error"),
        ("two", "SB-PRJ-019", "warning"),
        ("many", "SB-PRJ-013", "warning"),
        ("package", "SB-PRJ-015", "warning"),
        ("orphan", "SB-PRJ-017", "warning"),
        (None, "SB-PIP-001", "error"),
        ("a", "SB-PRJ-020", "warning"),
        ("query", "SB-PRJ-014", "warning"),
        ("dbt", "SB-PRJ-014", "warning"),
    }
    assert not any(f.block == "note" for f in found)
    assert [f.severity for f in found] == sorted(f.severity for f in found)
    assert "a → b → a" in next(f.message for f in found if f.code == "SB-PIP-001")
    assert all(f.message and f.hint for f in found)


@pytest.mark.thorough
def test_five_hundred_blocks_are_quick(ctx):
    uuid = pipelines.create(ctx, "demo", "big")
    root = ctx.workspace.project("demo").root
    (root / "custom").mkdir()
    entries = []
    for number in range(500):
        (root / "custom" / f"b{number}.py").write_text("import json\n@custom\ndef f(*args): pass\n")
        entries.append(
            Block(f"b{number}", f"b{number}", "custom", upstream_blocks=(f"b{number - 1}",) if number else ())
        )
    pipelines.edit(ctx, "demo", uuid, lambda p: replace(p, blocks=tuple(entries)))
    started = time.process_time()
    assert pipelines.validate(ctx, "demo", uuid) == []
    assert time.process_time() - started < 1.5
