"""Files in mage's shapes survive reading and writing byte for byte, and an edit changes its own lines only."""

from __future__ import annotations

import difflib
from dataclasses import replace
from pathlib import Path

import pytest

from spellbook_core.model.block import Block
from spellbook_core.model.pipeline import add_block, remove_block, rename_block, toggle_parent
from spellbook_core.project.metadata import load_pipeline, render_pipeline

GOLDEN = Path(__file__).parents[1] / "golden" / "pipelines"
FILES = sorted(GOLDEN.glob("*/metadata.yaml"))


def rendered(file, pipeline):
    return render_pipeline(file.document, pipeline, text=file.text, old=file.pipeline)


def changed(before: str, after: str) -> tuple[list[str], list[str]]:
    lines = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    return [x[2:] for x in lines if x[0] == "-"], [x[2:] for x in lines if x[0] == "+"]


@pytest.mark.guarantee("F19")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_unedited_file_keeps_its_bytes(path):
    file = load_pipeline(path)
    assert rendered(file, file.pipeline) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_edit_and_its_reverse_keep_bytes(path):
    """Dumping for real, not the shortcut for an unchanged file."""
    file = load_pipeline(path)
    edited = rendered(file, replace(file.pipeline, description="other"))
    assert "description: other" in edited
    removed, added = changed(file.text, edited)
    assert added == ["description: other"]
    assert all(line.startswith("description:") for line in removed)


def test_link_changes_only_its_lines():
    file = load_pipeline(GOLDEN / "loans" / "metadata.yaml")
    removed, added = changed(file.text, rendered(file, toggle_parent(file.pipeline, "export", "clean_loans")))
    assert removed == []
    assert sorted(added) == ["  - clean_loans", "  - export"]


def test_removed_block_leaves_no_name_behind():
    file = load_pipeline(GOLDEN / "loans" / "metadata.yaml")
    text = rendered(file, remove_block(file.pipeline, "notes/summary"))
    assert "notes/summary" not in text
    _, added = changed(file.text, text)
    assert added == []


def test_rename_keeps_unknown_keys():
    file = load_pipeline(GOLDEN / "loans" / "metadata.yaml")
    text = rendered(file, rename_block(file.pipeline, "notes/summary", "notes/end", "end"))
    removed, added = changed(file.text, text)
    assert "  content_hash: x" in text
    assert len(removed) == len(added) == 3


def test_new_block_has_every_key_of_mage():
    file = load_pipeline(GOLDEN / "old_style" / "metadata.yaml")
    text = rendered(file, add_block(file.pipeline, Block("c", "c", "custom", upstream_blocks=("b",))))
    _, added = changed(file.text, text)
    keys = [line.strip("- ").split(":")[0] for line in added if ":" in line]
    assert {
        *("all_upstream_blocks_executed", "color", "configuration", "downstream_blocks", "executor_config"),
        *("executor_type", "has_callback", "language", "name", "retry_config", "status", "timeout", "type"),
        *("upstream_blocks", "uuid"),
    } <= set(keys)


def test_old_blocks_default_to_python():
    assert {b.language for b in load_pipeline(GOLDEN / "old_style" / "metadata.yaml").pipeline.blocks} == {"python"}


def test_stub_is_an_empty_pipeline():
    assert load_pipeline(GOLDEN / "stub" / "metadata.yaml").pipeline.blocks == ()


def test_text_timeouts_are_seconds():
    pipeline = load_pipeline(GOLDEN / "loans" / "metadata.yaml").pipeline
    assert pipeline.block("clean_loans").timeout_s == 180
    assert [block.uuid for block in pipeline.conditionals] == ["only_weekdays"]
    assert [block.uuid for block in pipeline.widgets] == ["histogram_1"]
    assert pipeline.variables == {"day": "2024-01-01", "flag": True, "rate": 0.5, "limit": 10}


def test_mage_reads_what_we_write_plainly():
    """A new file is plain YAML: mage's own reader sees the same values."""
    import yaml

    file = load_pipeline(GOLDEN / "korean_raw" / "metadata.yaml")
    assert yaml.safe_load(render_pipeline({}, file.pipeline))["blocks"][1]["upstream_blocks"] == ["타이타닉_로드"]
