"""Blocks of a pipeline: add, link, edit, rename, move, remove and bring back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from spellbook_core.atomic import ABSENT, content_hash, write_atomically
from spellbook_core.errors import AlreadyExistsError, BadNameError, NotFoundError, SpellbookError
from spellbook_core.model import pipeline as edits
from spellbook_core.model.block import Block, BlockType
from spellbook_core.model.naming import BlockUuid, PipelineUuid, same_name_key
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.model.values import YamlValue
from spellbook_core.project import library, moves
from spellbook_core.project.block_names import clean_block_uuid, display_name, refuse_taken_file
from spellbook_core.project.blockfile import BlockSource, inspect
from spellbook_core.project.containment import decode, inside, read_inside
from spellbook_core.project.layout import EXTENSIONS, TYPE_FOLDERS, HasWorkspace, ProjectLayout
from spellbook_core.project.metadata import PipelineFile, load_pipeline
from spellbook_core.project.own_callbacks import as_callback, askers, callback_name
from spellbook_core.services import pipelines, renames
from spellbook_core.services.restores import remember_block, restore_block

ADD_ON_TYPES = frozenset({BlockType.CONDITIONAL, BlockType.CALLBACK, BlockType.CHART, BlockType.EXTENSION})
"""Types that hang on another block and are not entries of `blocks`."""

MAX_SOURCE_BYTES = 4 * 1024 * 1024
"""Largest block file that is opened. The editor stays quick to about 1 MB; code is kilobytes."""


class BlockInUseError(SpellbookError, ValueError):
    """A block file cannot be deleted while other pipelines use it."""

    code = "SB-PRJ-005"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A block's file as it is on disk.

    Attributes:
        content_hash: What `save_source` compares; `atomic.ABSENT` when there is no file.
        path: Absolute.
        relative_path: From the project's folder, with `/`.
        exists: Whether there is a file; otherwise `text` is empty.
    """

    text: str
    content_hash: str
    path: Path
    relative_path: str
    exists: bool
    inspected: BlockSource


def add_block(
    ctx: HasWorkspace,
    project: str,
    pipeline: str,
    *,
    block_type: str,
    name: str,
    template: str | None = None,
    text: str | None = None,
    parents: Sequence[str] = (),
    position: int | None = None,
    language: str = "python",
) -> Block:
    """Make a block file and add it to the pipeline; both or neither.

    Args:
        ctx: The workspace's context.
        project: The project's name.
        pipeline: The pipeline's uuid.
        block_type: A `BlockType` that a pipeline lists in `blocks`.
        name: As typed; the uuid and the file are its cleaned form, in which `/` makes folders.
        template: A template's id; the type's blank one when neither this nor `text` is given.
        text: The file's whole text.
        parents: In argument order.
        position: Place in the notebook's order; the end when None.
        language: `python`, `sql`, `shell`, `yaml`, `markdown` or `r`; a template brings its own.

    Raises:
        AlreadyExistsError: The pipeline has such a block, or the project such a file, in any case or Unicode form.
            [SB-SYS-003]
        BadNameError: The name or type cannot be used. [SB-SYS-001]
        NotFoundError: A parent or the template does not exist. [SB-SYS-002]
    """
    if block_type not in TYPE_FOLDERS or block_type in ADD_ON_TYPES:
        known = ", ".join(name for name in TYPE_FOLDERS if name not in ADD_ON_TYPES)
        raise BadNameError(f"'{block_type[:60]}' is no type of block.", hint=f"the types are: {known}.")
    if template is not None:
        language = library.template(template).language
    if language not in EXTENSIONS:
        raise BadNameError(f"'{language[:60]}' is no language of blocks.", hint=f"use one of {', '.join(EXTENSIONS)}.")
    uuid = clean_block_uuid(name)
    layout = ctx.workspace.project(project)
    block = Block(
        uuid, display_name(name), block_type, language, upstream_blocks=tuple(BlockUuid(item) for item in parents)
    )
    source = text if text is not None else _template_text(block_type, template, language)
    edits.add_block(pipelines.load(ctx, project, pipeline).pipeline, block, position=position)
    path = layout.default_block_file(block_type, uuid, language)
    refuse_taken_file(layout, path)
    moves.make_folder(path.parent)
    write_atomically(path, source.encode("utf-8"), expected_hash=ABSENT)
    try:
        pipelines.edit(ctx, project, pipeline, lambda current: edits.add_block(current, block, position=position))
    except BaseException:  # also KeyboardInterrupt: a file without its entry would block the name
        path.unlink(missing_ok=True)
        raise
    return block


def add_existing(
    ctx: HasWorkspace, project: str, pipeline: str, *, block_type: str, uuid: str, parents: Sequence[str] = ()
) -> Block:
    """Add a block whose file the project already has, such as one of another pipeline.

    Raises:
        NotFoundError: There is no such file, or no such parent. [SB-SYS-002]
        AlreadyExistsError: The pipeline has the block already. [SB-SYS-003]
    """
    layout = ctx.workspace.project(project)
    for language in EXTENSIONS:
        path = layout.default_block_file(block_type, uuid, language)
        if path.is_file():
            break
    else:
        raise NotFoundError(
            f"Project '{project}' has no {block_type} '{uuid}'.",
            hint="add a new block, or choose one that the library page lists.",
            project=project,
        )
    links = tuple(BlockUuid(item) for item in parents)
    block = Block(BlockUuid(uuid), uuid, block_type, language, upstream_blocks=links)
    pipelines.edit(ctx, project, pipeline, lambda current: edits.add_block(current, block))
    return block


def add_from_library(
    ctx: HasWorkspace,
    project: str,
    pipeline: str,
    item_id: str,
    *,
    name: str | None = None,
    parents: Sequence[str] = (),
) -> Block:
    """Copy a block of the shared library, or a template, into the project and add it to the pipeline.

    Without a name the item's own is used, with a number when it is taken.
    """
    if any(item.id == item_id for item in library.templates()):
        found = library.template(item_id)
        block_type, source, language = found.block_type, found.source, found.language
    else:
        shared = library.library_block(item_id)
        block_type, source, language = shared.block_type, shared.source, "python"
    add = partial(add_block, ctx, project, pipeline, block_type=block_type, text=source, language=language)
    if name is not None:
        return add(name=name, parents=parents)
    base = item_id.rsplit("/", 1)[-1]
    for number in range(1, 1000):
        numbered = base if number == 1 else f"{base}_{number}"
        try:
            return add(name=numbered, parents=parents)
        except AlreadyExistsError:
            continue
    raise AlreadyExistsError(f"There is no free name for '{base}'.", hint="give the block a name.")


def source(ctx: HasWorkspace, project: str, pipeline: str, block: str) -> SourceFile:
    """Return a block's file, inspected; one that is missing has `exists` False and no text.

    Raises:
        NotFoundError: There is no such pipeline or block. [SB-SYS-002]
        UnreadableFileError: It is no UTF-8 text, or too large. [SB-PRJ-003]
        OutsideProjectError: It is a link that leaves the project. [SB-PRJ-002]
    """
    return source_of(ctx, project, pipelines.load(ctx, project, pipeline).pipeline.block(block))


def source_of(ctx: HasWorkspace, project: str, block: Block) -> SourceFile:
    """Return the file of any entry of a pipeline, also of a chart, condition or callback; see `source`."""
    layout = ctx.workspace.project(project)
    path = layout.block_file(block)
    relative = layout.relative(path)
    try:
        data = read_inside(layout.root, path, max_bytes=MAX_SOURCE_BYTES)
    except NotFoundError:
        return SourceFile("", ABSENT, path, relative, False, BlockSource())
    text = decode(data, path)
    return SourceFile(
        text, content_hash(data), path, relative, True, inspect(text, block.type, relative, language=block.language)
    )


def save_source(
    ctx: HasWorkspace, project: str, pipeline: str, block: str, text: str, *, expected_hash: str
) -> SourceFile:
    """Write a block's file when the disk still holds what was read; atomic.

    Raises:
        ChangedOnDiskError: Someone else wrote it since; nothing was written. [SB-SYS-004]
        StorageError: The disk refused; the old file is intact. [SB-SYS-006]
    """
    entry = pipelines.load(ctx, project, pipeline).pipeline.block(block)
    return save_source_of(ctx, project, entry, text, expected_hash=expected_hash)


def save_source_of(ctx: HasWorkspace, project: str, block: Block, text: str, *, expected_hash: str) -> SourceFile:
    """Write the file of any entry of a pipeline; see `save_source`."""
    layout = ctx.workspace.project(project)
    path = layout.block_file(block)
    place = inside(layout.root, path).resolve()  # a link inside the project is followed, not replaced
    moves.make_folder(place.parent)
    digest = write_atomically(place, text.encode("utf-8", "replace"), expected_hash=expected_hash)
    relative = layout.relative(path)
    inspected = inspect(text, block.type, relative, language=block.language)
    return SourceFile(text, digest, path, relative, True, inspected)


def set_parents(ctx: HasWorkspace, project: str, pipeline: str, block: str, parents: Sequence[str]) -> PipelineFile:
    """Give a block exactly these parents, in argument order. Raises CycleError naming the path, NotFoundError."""
    return pipelines.edit(ctx, project, pipeline, lambda current: edits.set_parents(current, block, parents))


def toggle_parent(ctx: HasWorkspace, project: str, pipeline: str, child: str, parent: str) -> PipelineFile:
    """Link parent → child, or take the link away when it is there. Raises CycleError naming the path."""
    return pipelines.edit(ctx, project, pipeline, lambda current: edits.toggle_parent(current, child, parent))


def rename(ctx: HasWorkspace, project: str, pipeline: str, block: str, new_name: str) -> BlockUuid:
    """Give a block another name, in its file and in every pipeline that uses the file; see `services.renames`."""
    return renames.rename(ctx, project, pipeline, block, new_name)


def move(ctx: HasWorkspace, project: str, pipeline: str, block: str, by: int) -> PipelineFile:
    """Move a block `by` places in the notebook's order (negative: up), within bounds."""
    return pipelines.edit(ctx, project, pipeline, lambda current: edits.move_block(current, block, by))


def set_variables(ctx: HasWorkspace, project: str, pipeline: str, variables: Mapping[str, YamlValue]) -> PipelineFile:
    """Give the pipeline exactly these variables, with their YAML types.

    Raises:
        BadNameError: A name is no Python name, so no function could take it. [SB-SYS-001]
    """
    for name in variables:
        if not name.isidentifier():
            raise BadNameError(f"'{name[:60]}' cannot name a variable.", hint="use letters, digits and _.")
    return pipelines.edit(ctx, project, pipeline, lambda current: replace(current, variables=dict(variables)))


def remove(ctx: HasWorkspace, project: str, pipeline: str, block: str, *, delete_file: bool = False) -> str:
    """Take a block and its links out of the pipeline and return the token for `undo`.

    Args:
        ctx: The workspace's context.
        project: The project's name.
        pipeline: The pipeline's uuid.
        block: The block's uuid.
        delete_file: Also move its file to the trash, and the callback's that `has_callback` means, if nobody else
            uses that one.

    Raises:
        BlockInUseError: Other pipelines use the file that would be deleted; names them. [SB-PRJ-005]
    """
    layout = ctx.workspace.project(project)
    before = pipelines.load(ctx, project, pipeline)
    entry = before.pipeline.block(block)
    paths: list[Path] = []
    if delete_file and entry.replicated_block is None:
        path = layout.block_file(entry)
        others = [name for name in uses(ctx, project, entry.type, entry.uuid) if name != before.pipeline.uuid]
        if others:
            raise BlockInUseError(
                f"The file of block '{block}' is used by {', '.join(others)} too, so it was not deleted.",
                hint="remove the block from this pipeline only, or from those first.",
                project=project,
                pipeline=pipeline,
                block=block,
            )
        paths = [path] if path.is_file() else []
        paths += _own_callback(ctx, layout, before.pipeline.uuid, entry.uuid)

    def change(current: Pipeline) -> Pipeline:
        return _without_add_on_links(edits.remove_block(current, entry.uuid), entry.uuid)

    after = pipelines.edit(ctx, project, pipeline, change, expected_hash=before.content_hash)
    return remember_block(layout, before, after, entry.uuid, paths)


def undo(ctx: HasWorkspace, token: str) -> None:
    """Bring a removed block back: its file, its entry at its place, and the links to it.

    Raises:
        AlreadyExistsError: There is another block or file of that name now. [SB-SYS-003]
        NotFoundError: It was undone already, or is too long ago. [SB-SYS-002]
    """
    restore_block(ctx, token)


def uses(ctx: HasWorkspace, project: str, block_type: str, uuid: str) -> list[PipelineUuid]:
    """Return the pipelines of the project that use a block's file; unreadable ones are left out."""
    layout = ctx.workspace.project(project)
    found = []
    for name in layout.pipeline_uuids():
        try:
            pipeline = load_pipeline(layout.pipeline_file(name)).pipeline
        except SpellbookError:
            continue
        lists = (*pipeline.blocks, *pipeline.callbacks, *pipeline.conditionals, *pipeline.widgets)
        if any(same_name_key(block.uuid) == same_name_key(uuid) and block.type == block_type for block in lists):
            found.append(name)
    return found


def _own_callback(ctx: HasWorkspace, layout: ProjectLayout, pipeline: PipelineUuid, block: BlockUuid) -> list[Path]:
    """Return the file of the callback that only this block asks for, by its name."""
    name = callback_name(block)
    if askers(layout, name) != {(pipeline, block)} or uses(ctx, layout.name, BlockType.CALLBACK, name):
        return []
    try:
        path = layout.block_file(as_callback(name))
    except SpellbookError:  # a link that leaves the project
        return []
    return [path] if path.is_file() else []


def _template_text(block_type: str, template: str | None, language: str) -> str:
    if template is not None:
        return library.template(template).source
    found = library.templates(block_type, language)
    return found[0].source if found else ""


def _without_add_on_links(pipeline: Pipeline, uuid: BlockUuid) -> Pipeline:
    def cleaned(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        return tuple(
            replace(block, upstream_blocks=tuple(name for name in block.upstream_blocks if name != uuid))
            for block in blocks
        )

    return replace(
        pipeline,
        callbacks=cleaned(pipeline.callbacks),
        conditionals=cleaned(pipeline.conditionals),
        widgets=cleaned(pipeline.widgets),
    )
