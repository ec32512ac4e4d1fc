"""Blocks: added, linked, edited, renamed everywhere, removed and brought back."""

from __future__ import annotations

import resource
import unicodedata
from dataclasses import dataclass, replace

import pytest

from spellbook_core.atomic import ABSENT
from spellbook_core.errors import AlreadyExistsError, BadNameError, ChangedOnDiskError, NotFoundError, StorageError
from spellbook_core.model.graph import CycleError
from spellbook_core.project.layout import Workspace
from spellbook_core.services import blocks, library, pipelines, projects


@dataclass(frozen=True)
class Files:
    workspace: Workspace


@pytest.fixture
def ctx(tmp_path):
    ctx = Files(Workspace.open(tmp_path / "w", create=True))
    projects.create_project(ctx, "demo")
    for name in ("main", "other"):
        pipelines.create(ctx, "demo", name)
    return ctx


def add(ctx, name, *parents, block_type="transformer", pipeline="main", **more):
    return blocks.add_block(ctx, "demo", pipeline, block_type=block_type, name=name, parents=parents, **more)


def text_of(ctx, pipeline="main"):
    return pipelines.load(ctx, "demo", pipeline).text


def parents(ctx, pipeline="main"):
    return pipelines.load(ctx, "demo", pipeline).pipeline.parents()


def test_new_block_has_file_and_entry(ctx):
    block = add(ctx, "타이타닉 로드", block_type="data_loader", template="data_loader/sample_orders")
    assert (block.uuid, block.name) == ("타이타닉_로드", "타이타닉 로드")
    source = blocks.source(ctx, "demo", "main", block.uuid)
    assert source.relative_path == "data_loaders/타이타닉_로드.py"
    assert source.inspected.function == "make_orders"
    assert pipelines.validate(ctx, "demo", "main") == []


@pytest.mark.parametrize(
    "block_type", ["data_loader", "transformer", "custom", "data_exporter", "sensor", "scratchpad"]
)
def test_blank_block_of_each_type_is_sound(ctx, block_type):
    add(ctx, "b", block_type=block_type)
    found = blocks.source(ctx, "demo", "main", "b")
    assert found.text
    assert found.inspected.problem is None


def test_blocks_live_in_subfolders(ctx):
    assert add(ctx, "API/Load me").uuid == "api/load_me"
    assert blocks.source(ctx, "demo", "main", "api/load_me").relative_path == "transformers/api/load_me.py"


@pytest.mark.parametrize("name", ["b", "B", " b "])
def test_taken_name_is_refused_and_nothing_written(ctx, name):
    add(ctx, "b", text="first")
    before = text_of(ctx)
    for pipeline in ("main", "other"):
        with pytest.raises(AlreadyExistsError, match="already"):
            add(ctx, name, pipeline=pipeline, text="second")
    assert blocks.source(ctx, "demo", "main", "b").text == "first"
    assert text_of(ctx) == before


def test_decomposed_name_is_taken_too(ctx):
    add(ctx, "한글")
    with pytest.raises(AlreadyExistsError, match="already"):
        add(ctx, unicodedata.normalize("NFD", "한글"))
    assert blocks.source(ctx, "demo", "main", unicodedata.normalize("NFC", "한글")).exists


@pytest.mark.parametrize(
    ("block_type", "name"),
    [
        *[("nope", "b"), ("conditional", "b"), ("custom", "!"), ("custom", "nul")],
        *[("custom", name) for name in ("../x", "a/../../x", "..\\x", "/etc/passwd", "~/x", "./x")],
    ],
)
def test_bad_type_or_name_is_refused(ctx, block_type, name):
    with pytest.raises(BadNameError, match=r"type of block|needs a name|device|another folder"):
        add(ctx, name, block_type=block_type)


def test_unknown_parent_leaves_no_file(ctx):
    with pytest.raises(NotFoundError, match="cannot have 'gone'"):
        add(ctx, "b", "gone")
    assert not list(ctx.workspace.project("demo").root.glob("transformers/*"))


def test_links_are_made_taken_away_and_ordered(ctx):
    for name in "abc":
        add(ctx, name)
    blocks.toggle_parent(ctx, "demo", "main", "c", "b")
    blocks.toggle_parent(ctx, "demo", "main", "c", "a")
    assert parents(ctx)["c"] == ("b", "a")
    blocks.set_parents(ctx, "demo", "main", "c", ["a", "b"])
    blocks.toggle_parent(ctx, "demo", "main", "c", "b")
    assert parents(ctx)["c"] == ("a",)
    with pytest.raises(CycleError, match="a → c → a"):
        blocks.toggle_parent(ctx, "demo", "main", "a", "c")
    blocks.move(ctx, "demo", "main", "c", -5)
    assert list(parents(ctx)) == ["c", "a", "b"]


def test_saving_over_a_newer_file_is_refused(ctx):
    add(ctx, "b", text="one")
    seen = blocks.source(ctx, "demo", "main", "b")
    saved = blocks.save_source(ctx, "demo", "main", "b", "두", expected_hash=seen.content_hash)
    assert saved == blocks.source(ctx, "demo", "main", "b")
    with pytest.raises(ChangedOnDiskError, match="nothing was written"):
        blocks.save_source(ctx, "demo", "main", "b", "three", expected_hash=seen.content_hash)
    assert blocks.source(ctx, "demo", "main", "b").text == "두"


def test_missing_file_can_be_written_again(ctx):
    add(ctx, "b")
    path = blocks.source(ctx, "demo", "main", "b").path
    path.unlink()
    path.parent.rmdir()
    missing = blocks.source(ctx, "demo", "main", "b")
    assert (missing.exists, missing.text, missing.content_hash) == (False, "", ABSENT)
    assert blocks.save_source(ctx, "demo", "main", "b", "x", expected_hash=ABSENT).exists


def test_rename_reaches_every_pipeline(ctx):
    add(ctx, "load", text="x")
    add(ctx, "train", "load")
    blocks.add_existing(ctx, "demo", "other", block_type="transformer", uuid="load")
    assert blocks.rename(ctx, "demo", "main", "load", "Read it") == "read_it"
    assert parents(ctx) == {"read_it": (), "train": ("read_it",)}
    assert parents(ctx, "other") == {"read_it": ()}
    assert blocks.source(ctx, "demo", "other", "read_it").text == "x"
    assert "load" not in text_of(ctx)


def test_rename_follows_a_configured_file(ctx):
    add(ctx, "load", text="x")
    root = ctx.workspace.project("demo").root
    (root / "shared").mkdir()
    (root / "transformers" / "load.py").rename(root / "shared" / "load.py")
    where = {"file_source": {"path": "shared/load.py"}}
    change = lambda p: replace(p, blocks=(replace(p.blocks[0], configuration=where),))  # noqa: E731
    pipelines.edit(ctx, "demo", "main", change)
    blocks.rename(ctx, "demo", "main", "load", "new")
    assert blocks.source(ctx, "demo", "main", "new").relative_path == "shared/new.py"


def test_refused_rename_changes_nothing(ctx):
    add(ctx, "load", text="x")
    blocks.add_existing(ctx, "demo", "other", block_type="transformer", uuid="load")
    add(ctx, "taken", pipeline="other", block_type="custom")
    before = text_of(ctx), text_of(ctx, "other")
    with pytest.raises(AlreadyExistsError, match="already has a block 'taken'"):
        blocks.rename(ctx, "demo", "main", "load", "taken")
    assert (text_of(ctx), text_of(ctx, "other")) == before
    assert blocks.source(ctx, "demo", "main", "load").exists


def test_half_done_rename_is_taken_back(ctx):
    add(ctx, "load", text="x")
    blocks.add_existing(ctx, "demo", "other", block_type="transformer", uuid="load")
    pipelines.edit(ctx, "demo", "other", lambda p: replace(p, description="x" * 5_000))
    before = text_of(ctx), text_of(ctx, "other")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, limits[1]))  # room for the first pipeline, not for the second
    try:
        with pytest.raises(StorageError, match="Cannot write"):
            blocks.rename(ctx, "demo", "main", "load", "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (text_of(ctx), text_of(ctx, "other")) == before
    assert blocks.source(ctx, "demo", "main", "load").text == "x"


@pytest.mark.guarantee("F51")
def test_removed_block_comes_back_byte_for_byte(ctx):
    for name, links in {"a": (), "b": ("a",), "c": ("a", "b")}.items():
        add(ctx, name, *links, text=name)
    before = text_of(ctx)
    token = blocks.remove(ctx, "demo", "main", "b", delete_file=True)
    assert parents(ctx) == {"a": (), "c": ("a",)}
    assert not (ctx.workspace.project("demo").root / "transformers" / "b.py").exists()
    blocks.undo(ctx, token)
    assert text_of(ctx) == before
    assert blocks.source(ctx, "demo", "main", "b").text == "b"


def test_undo_keeps_what_was_edited_since(ctx):
    for name, links in {"a": (), "b": ("a",), "c": ("b",)}.items():
        add(ctx, name, *links)
    token = blocks.remove(ctx, "demo", "main", "b")
    add(ctx, "d", "a")
    blocks.undo(ctx, token)
    assert parents(ctx) == {"a": (), "b": ("a",), "c": ("b",), "d": ("a",)}


def test_shared_file_is_not_deleted(ctx):
    add(ctx, "b")
    blocks.add_existing(ctx, "demo", "other", block_type="transformer", uuid="b")
    with pytest.raises(blocks.BlockInUseError, match="used by other too"):
        blocks.remove(ctx, "demo", "main", "b", delete_file=True)
    blocks.remove(ctx, "demo", "main", "b")
    assert blocks.source(ctx, "demo", "other", "b").exists


def test_library_blocks_get_a_free_name(ctx):
    item = library.library_blocks()[0]
    first = blocks.add_from_library(ctx, "demo", "main", item.id)
    second = blocks.add_from_library(ctx, "demo", "main", item.id, parents=[first.uuid])
    assert second.uuid == f"{first.uuid}_2"
    assert blocks.source(ctx, "demo", "main", second.uuid).text == item.source


def test_variables_keep_their_types(ctx):
    wanted = {"rate": 0.5, "day": "2024-01-01", "flag": True, "names": ["no", "12:30"]}
    blocks.set_variables(ctx, "demo", "main", wanted)
    assert pipelines.load(ctx, "demo", "main").pipeline.variables == wanted
    with pytest.raises(BadNameError, match="cannot name a variable"):
        blocks.set_variables(ctx, "demo", "main", {"a b": 1})
