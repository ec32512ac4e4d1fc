"""Renaming a block: its file and its entry in every pipeline that uses the file, all or nothing.

The callback that only `has_callback` tells of is found by the block's name, so its file is renamed with the block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from spellbook_core.atomic import ABSENT, write_atomically
from spellbook_core.errors import SpellbookError
from spellbook_core.model import pipeline as edits
from spellbook_core.model.block import Block, BlockType
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.project import block_names, moves
from spellbook_core.project.containment import OutsideProjectError
from spellbook_core.project.layout import HasWorkspace, ProjectLayout, configured_paths
from spellbook_core.project.metadata import PipelineFile, load_pipeline, save_pipeline
from spellbook_core.project.own_callbacks import as_callback, askers, callback_name, heard_by_name
from spellbook_core.services import pipelines


@dataclass(frozen=True, slots=True)
class _Rename:
    """What a block and its file become.

    Attributes:
        name: What a person sees; None leaves it, unless it was the old uuid.
        file: The new place, relative to the project; None when there is no file of its own.
        places: The file's old and new place.
        is_copy: The old file stays, and so does every entry with the old name.
    """

    old: BlockUuid
    new: BlockUuid
    name: str | None
    block_type: str
    file: str | None = None
    places: tuple[Path, Path] | None = None
    is_copy: bool = False


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
    change = _file_change(layout, entry, uuid, name)
    users = [file] if entry.replicated_block is not None else _users(layout, entry)
    changes = [change]
    callback = _callback_change(layout, users, change)
    if callback is not None:
        changes.append(callback)
        known = {user.path for user in users}
        listing = [] if callback.is_copy else _users(layout, as_callback(callback.old))
        users += [user for user in listing if user.path not in known]
    _carry_out(changes, [(user, _renamed(user.pipeline, changes)) for user in users])
    return uuid


def _file_change(layout: ProjectLayout, entry: Block, uuid: BlockUuid, name: str | None) -> _Rename:
    source = layout.block_file(entry)
    if entry.replicated_block is not None or not source.is_file():
        return _Rename(entry.uuid, uuid, name, entry.type)
    target = _target(layout, entry, source, uuid)
    block_names.refuse_taken_file(layout, target)
    return _Rename(entry.uuid, uuid, name, entry.type, layout.relative(target), (source, target))


def _callback_change(layout: ProjectLayout, users: Sequence[PipelineFile], change: _Rename) -> _Rename | None:
    """Return how the callback that has the block's name follows it; None when no block asks for it or it has no file.

    The file is copied when a block that keeps its name asks for it too, such as one of another type.
    """
    old, new = callback_name(change.old), callback_name(change.new)
    if old == new or not any(change.old in heard_by_name(user).get(old, ()) for user in users):
        return None
    try:
        found = _file_change(layout, as_callback(old), new, None)
    except OutsideProjectError:  # a link that leaves the project: it is not called either
        return None
    renamed = {(user.pipeline.uuid, change.old) for user in users}
    is_copy = not renamed.issuperset(askers(layout, old))
    return replace(found, is_copy=is_copy) if found.places is not None else None


def _carry_out(changes: Sequence[_Rename], renamed: Sequence[tuple[PipelineFile, Pipeline]]) -> None:
    """Move the files and save the pipelines, all or none."""
    undo: list[Callable[[], object]] = []
    try:
        for change in changes:
            if change.places is not None:
                undo.append(_place(*change.places, is_copy=change.is_copy))
        for before, new in renamed:
            after = save_pipeline(before, new, expected_hash=before.content_hash)
            text = before.text.encode("utf-8")
            undo.append(partial(write_atomically, before.path, text, expected_hash=after.content_hash))
    except BaseException:  # also KeyboardInterrupt: half a rename breaks the other pipelines
        for take_back in reversed(undo):
            take_back()
        raise


def _place(source: Path, target: Path, *, is_copy: bool) -> Callable[[], object]:
    """Move or copy a file and return what takes that back."""
    if not is_copy:
        moves.move(source, target)
        return partial(moves.move, target, source)
    write_atomically(target, source.read_bytes(), expected_hash=ABSENT)
    return target.unlink


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


def _renamed(pipeline: Pipeline, changes: Sequence[_Rename]) -> Pipeline:
    for change in changes:
        if not change.is_copy:
            pipeline = _with_rename(pipeline, change)
    return pipeline


def _with_rename(pipeline: Pipeline, change: _Rename) -> Pipeline:
    result = pipeline
    is_block = pipeline.has(change.old) and change.block_type != BlockType.CALLBACK
    if is_block:
        result = edits.rename_block(pipeline, change.old, change.new, change.name or change.new)
    return replace(
        result,
        blocks=tuple(_follow(block, change, is_block) for block in result.blocks),
        callbacks=tuple(_follow(block, change, is_block) for block in result.callbacks),
        conditionals=tuple(_follow(block, change, is_block) for block in result.conditionals),
        widgets=tuple(_follow(block, change, is_block) for block in result.widgets),
    )


def _follow(block: Block, change: _Rename, is_block: bool) -> Block:
    """Return the block with its links, its original and its file's place following the rename."""
    if is_block:
        links = tuple(change.new if name == change.old else name for name in block.upstream_blocks)
        original = change.new if block.replicated_block == change.old else block.replicated_block
        block = replace(block, upstream_blocks=links, replicated_block=original)
    if block.uuid == change.old and block.type == change.block_type:
        kept = change.new if block.name == change.old else block.name
        block = replace(block, uuid=change.new, name=kept if change.name is None else change.name)
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
