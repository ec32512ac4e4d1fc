"""Renaming a block: its file and its entry in every pipeline that uses the file, all or nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from spellbook_core.atomic import write_atomically
from spellbook_core.errors import SpellbookError
from spellbook_core.model import pipeline as edits
from spellbook_core.model.block import Block
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.project import block_names, moves
from spellbook_core.project.layout import HasWorkspace, ProjectLayout, configured_paths
from spellbook_core.project.metadata import PipelineFile, load_pipeline, save_pipeline
from spellbook_core.services import pipelines


@dataclass(frozen=True, slots=True)
class _Rename:
    old: BlockUuid
    new: BlockUuid
    name: str
    block_type: str
    file: str | None


def rename(ctx: HasWorkspace, project: str, pipeline: str, block: str, new_name: str) -> BlockUuid:
    """Give a block another name; its file follows, and so does every pipeline of the project that uses the file.

    Either all of them change or none: when one cannot be written, those written before get their old text back.

    Raises:
        AlreadyExistsError: One of those pipelines, or the project's files, has the new name. [SB-SYS-003]
        BadNameError: Nothing usable is left of the name. [SB-SYS-001]
        BadYamlError: A pipeline that seems to use the block cannot be read. [SB-PRJ-004]
    """
    layout = ctx.workspace.project(project)
    file = pipelines.load(ctx, project, pipeline)
    entry = file.pipeline.block(block)
    uuid = block_names.clean_block_uuid(new_name)
    name = block_names.display_name(new_name)
    if uuid == entry.uuid:
        pipelines.edit(ctx, project, pipeline, lambda now: edits.rename_block(now, block, block, name))
        return uuid
    source = layout.block_file(entry)
    target = _target(layout, entry, source, uuid)
    has_file = entry.replicated_block is None and source.is_file()
    if has_file:
        block_names.refuse_taken_file(layout, target)
    change = _Rename(entry.uuid, uuid, name, entry.type, layout.relative(target) if has_file else None)
    users = [file] if entry.replicated_block is not None else _users(layout, entry)
    renamed = [(user, _renamed(user.pipeline, change)) for user in users]
    if has_file:
        moves.move(source, target)
    done: list[tuple[PipelineFile, PipelineFile]] = []
    try:
        for user, new in renamed:
            done.append((user, save_pipeline(user, new, expected_hash=user.content_hash)))
    except BaseException:  # also KeyboardInterrupt: half a rename breaks the other pipelines
        for before, after in done:
            write_atomically(before.path, before.text.encode("utf-8"), expected_hash=after.content_hash)
        if has_file:
            moves.move(target, source)
        raise
    return uuid


def _target(layout: ProjectLayout, entry: Block, source: Path, uuid: BlockUuid) -> Path:
    """Return where the file goes: beside the old one when the configuration names a place of its own."""
    default = layout.default_block_file(entry.type, entry.uuid, entry.language)
    if source == default or not source.is_file():
        return layout.default_block_file(entry.type, uuid, entry.language)
    folder = layout.relative(source.parent)
    leaf = uuid.rsplit("/", 1)[-1] + source.suffix
    return layout.contained(leaf if folder == "." else f"{folder}/{leaf}")


def _users(layout: ProjectLayout, entry: Block) -> list[PipelineFile]:
    found = []
    for name in layout.pipeline_uuids():
        path = layout.pipeline_file(name)
        try:
            file = load_pipeline(path)
        except SpellbookError:
            # Broken, but without the block's name in it: it cannot be a user of the file.
            if path.is_file() and entry.uuid.encode("utf-8") not in path.read_bytes():
                continue
            raise
        if any(_is_same(block, entry) for block in _all_blocks(file.pipeline)):
            found.append(file)
    return found


def _is_same(block: Block, entry: Block) -> bool:
    return (block.uuid, block.type, block.language) == (entry.uuid, entry.type, entry.language)


def _all_blocks(pipeline: Pipeline) -> tuple[Block, ...]:
    return (*pipeline.blocks, *pipeline.callbacks, *pipeline.conditionals, *pipeline.widgets)


def _renamed(pipeline: Pipeline, change: _Rename) -> Pipeline:
    result = pipeline
    if pipeline.has(change.old):
        result = edits.rename_block(pipeline, change.old, change.new, change.name)
    return replace(
        result,
        blocks=tuple(_follow(block, change) for block in result.blocks),
        callbacks=tuple(_follow(block, change) for block in result.callbacks),
        conditionals=tuple(_follow(block, change) for block in result.conditionals),
        widgets=tuple(_follow(block, change) for block in result.widgets),
    )


def _follow(block: Block, change: _Rename) -> Block:
    """Return the block with its links, its original and its file's place following the rename."""
    links = tuple(change.new if name == change.old else name for name in block.upstream_blocks)
    original = change.new if block.replicated_block == change.old else block.replicated_block
    block = replace(block, upstream_blocks=links, replicated_block=original)
    if block.uuid == change.old and block.type == change.block_type:
        block = replace(block, uuid=change.new, name=change.name)
    if block.uuid != change.new or block.replicated_block is not None or change.file is None:
        return block
    configuration = dict(block.configuration)
    if not configured_paths(block):
        return block
    source = configuration.get("file_source")
    if isinstance(source, dict) and source.get("path"):
        configuration["file_source"] = {**source, "path": change.file}
    if configuration.get("file_path"):
        configuration["file_path"] = change.file
    return replace(block, configuration=configuration)
