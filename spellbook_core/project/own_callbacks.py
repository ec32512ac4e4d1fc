"""mage's older callbacks: with `has_callback`, `callbacks/<block>_callback.py` hears of the block, listed or not."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import cast

from spellbook_core.errors import SpellbookError
from spellbook_core.model.block import Block, BlockType
from spellbook_core.model.naming import BlockUuid, PipelineUuid, clean_name
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.project.layout import ProjectLayout
from spellbook_core.project.metadata import PipelineFile, load_pipeline


def callback_name(block: str) -> BlockUuid:
    """Return the name of the callback that `has_callback` of a block means; its file is `callbacks/<name>.py`."""
    return BlockUuid(f"{clean_name(block)}_callback")


def as_callback(name: BlockUuid, *blocks: BlockUuid) -> Block:
    """Return the entry that a callback of that name would have if a list of the file had one."""
    return Block(name, name, BlockType.CALLBACK, upstream_blocks=blocks)


def heard_by_name(file: PipelineFile) -> dict[BlockUuid, list[BlockUuid]]:
    """Return callback name -> blocks that ask for it by `has_callback`, whether or not its file is there."""
    entries = cast("list[Mapping[str, object]]", file.document.get("blocks") or [])
    heard: dict[BlockUuid, list[BlockUuid]] = {}
    for block, entry in zip(file.pipeline.blocks, entries, strict=True):
        if str(entry.get("has_callback")).lower() == "true":
            heard.setdefault(callback_name(block.uuid), []).append(block.uuid)
    return heard


def askers(project: ProjectLayout, name: BlockUuid) -> set[tuple[PipelineUuid, BlockUuid]]:
    """Return (pipeline, block) of all that ask for a callback by `has_callback`; unreadable pipelines are left out."""
    found: set[tuple[PipelineUuid, BlockUuid]] = set()
    for pipeline in project.pipeline_uuids():
        with suppress(SpellbookError):
            heard = heard_by_name(load_pipeline(project.pipeline_file(pipeline)))
            found.update((pipeline, block) for block in heard.get(name, ()))
    return found


def with_own_callbacks(project: ProjectLayout, file: PipelineFile) -> Pipeline:
    """Return the pipeline of a file with those callbacks that only `has_callback` and a file's name tell of.

    For what is shown, runs and is checked, never for what is saved: no list of the file has an entry for them. One
    that a list has too hears of the blocks of both, of each once.
    """
    heard = heard_by_name(file)
    if not heard:
        return file.pipeline
    callbacks = []
    for callback in file.pipeline.callbacks:
        more = [name for name in heard.pop(callback.uuid, []) if name not in callback.upstream_blocks]
        upstream = (*callback.upstream_blocks, *more)
        callbacks.append(replace(callback, upstream_blocks=upstream) if more else callback)
    callbacks.extend(as_callback(name, *blocks) for name, blocks in heard.items() if _is_there(project, name))
    return replace(file.pipeline, callbacks=tuple(callbacks))


def _is_there(project: ProjectLayout, name: BlockUuid) -> bool:
    try:
        return project.block_file(as_callback(name)).is_file()
    except SpellbookError:  # a link that leaves the project: as if it were not there
        return False
