"""Bringing a removed block back: its file, its entry at its place, and the links to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spellbook_core.atomic import write_atomically
from spellbook_core.errors import NotFoundError
from spellbook_core.model import pipeline as edits
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.project import moves
from spellbook_core.project.layout import HasWorkspace, ProjectLayout
from spellbook_core.project.metadata import PipelineFile, parse_pipeline
from spellbook_core.services import pipelines


def remember_block(
    layout: ProjectLayout, before: PipelineFile, after: PipelineFile, block: BlockUuid, paths: Sequence[Path]
) -> str:
    """Move the block's files to the trash with what `restore_block` needs, and return the token."""
    record = {
        "kind": "block",
        "pipeline": before.pipeline.uuid,
        "block": block,
        "before": before.text,
        "after_hash": after.content_hash,
    }
    return moves.put_in_trash(layout, paths, record)


def restore_block(ctx: HasWorkspace, token: str) -> None:
    """Undo a removal. A pipeline that nobody changed since gets its old text back, byte for byte."""
    record = moves.trash_record(ctx.workspace, token)
    if record.get("kind") != "block":
        raise NotFoundError("This is not the undo of a block.", hint="undo it on the page where it was deleted.")
    project, pipeline, block = (str(record[key]) for key in ("project", "pipeline", "block"))
    old_text = str(record["before"])
    current = pipelines.load(ctx, project, pipeline)
    old = parse_pipeline(old_text.encode("utf-8"), current.path).pipeline
    restored = None if current.content_hash == record["after_hash"] else _with_block_again(current.pipeline, old, block)
    moves.take_from_trash(ctx.workspace, token)
    if restored is None:
        write_atomically(current.path, old_text.encode("utf-8"), expected_hash=current.content_hash)
    else:
        pipelines.edit(ctx, project, pipeline, lambda now: _with_block_again(now, old, block))


def _with_block_again(now: Pipeline, old: Pipeline, uuid: str) -> Pipeline:
    """Return `now` with the block of `old` added, and the links of those children that are still there."""
    block = old.block(uuid)
    known = {entry.uuid for entry in now.blocks}
    parents = tuple(name for name in block.upstream_blocks if name in known)
    position = [entry.uuid for entry in old.blocks].index(block.uuid)
    result = edits.add_block(now, replace(block, upstream_blocks=parents), position=min(position, len(now.blocks)))
    for child in old.children()[block.uuid]:
        if not result.has(child):
            continue
        links = list(result.block(child).upstream_blocks)
        if block.uuid not in links:
            links.insert(min(old.block(child).upstream_blocks.index(block.uuid), len(links)), block.uuid)
            result = edits.set_parents(result, child, links)
    return result
