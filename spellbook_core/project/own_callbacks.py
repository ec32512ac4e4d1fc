"""mage's older callbacks: with `has_callback`, `callbacks/<block>_callback.py` hears of the block, listed or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from spellbook_core.errors import SpellbookError
from spellbook_core.model.block import Block, BlockType
from spellbook_core.model.naming import BlockUuid, clean_name
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.project.layout import ProjectLayout
from spellbook_core.project.metadata import PipelineFile


def with_own_callbacks(project: ProjectLayout, file: PipelineFile) -> Pipeline:
    """Return the pipeline of a file with those callbacks that only `has_callback` and a file's name tell of.

    For what runs and what is checked, never for what is saved: no list of the file has an entry for them.
    """
    pipeline = file.pipeline
    entries = cast("list[Mapping[str, object]]", file.document.get("blocks") or [])
    listed = {callback.uuid for callback in pipeline.callbacks}
    found = []
    for block, entry in zip(pipeline.blocks, entries, strict=True):
        uuid = BlockUuid(f"{clean_name(block.uuid)}_callback")
        if entry.get("has_callback") is not True or uuid in listed:
            continue
        callback = Block(uuid, uuid, BlockType.CALLBACK, upstream_blocks=(block.uuid,))
        try:
            if project.block_file(callback).is_file():
                found.append(callback)
        except SpellbookError:  # a link that leaves the project: as if it were not there
            continue
    return replace(pipeline, callbacks=(*pipeline.callbacks, *found)) if found else pipeline
