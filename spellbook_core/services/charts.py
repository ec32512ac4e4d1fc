"""Charts of a pipeline, which mage calls widgets: entries of `widgets:` and files in `charts/`, as mage writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from spellbook_core.atomic import ABSENT, write_atomically
from spellbook_core.errors import AlreadyExistsError, NotFoundError
from spellbook_core.model.block import Block, BlockType
from spellbook_core.model.naming import BlockUuid, same_name_key
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.model.values import YamlValue
from spellbook_core.project import moves
from spellbook_core.project.block_names import clean_block_uuid, display_name, refuse_taken_file
from spellbook_core.project.layout import HasWorkspace
from spellbook_core.project.metadata import PipelineFile, parse_pipeline
from spellbook_core.services import blocks, pipelines
from spellbook_core.services.blocks import SourceFile

TYPES = (
    *("bar chart", "histogram", "line chart", "pie chart", "table", "time series bar chart"),
    *("time series line chart", "custom"),
)
"""mage's types of charts, in mage's words."""

AGGREGATIONS = ("average", "count", "count_distinct", "max", "median", "min", "mode", "sum")
INTERVALS = ("original", "second", "minute", "hour", "day", "week", "month", "year")

SOURCE = '''@data_source
def data(df, *args, **kwargs):
    """Return the table that the chart draws; its settings choose the columns."""
    return df
'''
"""The file of a chart that its settings describe; it means the same to mage."""

CUSTOM_SOURCE = '''@render
def draw(df, *args, **kwargs):
    """Return what is shown: a table, an Altair, Plotly or matplotlib figure, or a text."""
    return df.describe()
'''


def of_block(pipeline: Pipeline, uuid: str) -> tuple[Block, ...]:
    """Return the charts that hang on a block: those whose first parent it is."""
    return tuple(chart for chart in pipeline.widgets if chart.upstream_blocks[:1] == (uuid,))


def loose(pipeline: Pipeline) -> tuple[Block, ...]:
    """Return the charts that hang on no block of the pipeline."""
    return tuple(chart for chart in pipeline.widgets if not any(pipeline.has(name) for name in chart.upstream_blocks))


def chart(pipeline: Pipeline, uuid: str) -> Block:
    """Return a chart of the pipeline. Raises NotFoundError [SB-SYS-002]."""
    for found in pipeline.widgets:
        if found.uuid == uuid:
            return found
    known = ", ".join(each.uuid for each in pipeline.widgets[:12]) or "none"
    raise NotFoundError(f"Pipeline '{pipeline.uuid}' has no chart '{uuid}'.", hint=f"its charts are: {known}.")


def add(
    ctx: HasWorkspace,
    project: str,
    pipeline: str,
    *,
    parent: str,
    name: str,
    settings: Mapping[str, YamlValue],
    text: str | None = None,
) -> Block:
    """Make a chart's file and its entry in `widgets:`; both or neither.

    Args:
        ctx: The workspace's context.
        project: The project's name.
        pipeline: The pipeline's uuid.
        parent: The block it hangs on.
        name: As typed; the uuid and the file are its cleaned form.
        settings: mage's: `chart_type`, one of `TYPES`, and what the type needs.
        text: The file's text; by default one that hands the block's output to the settings.

    Raises:
        AlreadyExistsError: The pipeline has a block or chart, or the project a file, of that name. [SB-SYS-003]
        BadNameError: The name cannot be used. [SB-SYS-001]
        NotFoundError: There is no such pipeline or block. [SB-SYS-002]
    """
    uuid = clean_block_uuid(name)
    layout = ctx.workspace.project(project)
    before = pipelines.load(ctx, project, pipeline).pipeline
    made = Block(
        uuid,
        display_name(name),
        BlockType.CHART,
        upstream_blocks=(before.block(parent).uuid,),
        configuration=dict(settings),
    )
    path = layout.default_block_file(BlockType.CHART, uuid)
    refuse_taken_file(layout, path)

    def change(current: Pipeline) -> Pipeline:
        _refuse_taken(current, uuid)
        return replace(current, widgets=(*current.widgets, made))

    change(before)
    is_custom = settings.get("chart_type") == "custom"
    source_text = text if text is not None else CUSTOM_SOURCE if is_custom else SOURCE
    moves.make_folder(path.parent)
    write_atomically(path, source_text.encode("utf-8"), expected_hash=ABSENT)
    try:
        pipelines.edit(ctx, project, pipeline, change)
    except BaseException:  # also KeyboardInterrupt: a file without its entry would block the name
        path.unlink(missing_ok=True)
        raise
    return made


def set_settings(
    ctx: HasWorkspace, project: str, pipeline: str, uuid: str, settings: Mapping[str, YamlValue]
) -> PipelineFile:
    """Give a chart exactly these settings. Raises NotFoundError [SB-SYS-002]."""

    def change(current: Pipeline) -> Pipeline:
        found = chart(current, uuid)
        changed = replace(found, configuration=dict(settings))
        return replace(current, widgets=tuple(changed if each is found else each for each in current.widgets))

    return pipelines.edit(ctx, project, pipeline, change)


def remove(ctx: HasWorkspace, project: str, pipeline: str, uuid: str) -> str:
    """Take a chart and its file away, the file only when no other pipeline uses it; return the token for `undo`."""
    layout = ctx.workspace.project(project)
    before = pipelines.load(ctx, project, pipeline)
    found = chart(before.pipeline, uuid)
    path = layout.block_file(found)
    is_shared = any(name != before.pipeline.uuid for name in blocks.uses(ctx, project, found.type, found.uuid))

    def change(current: Pipeline) -> Pipeline:
        return replace(current, widgets=tuple(each for each in current.widgets if each.uuid != uuid))

    after = pipelines.edit(ctx, project, pipeline, change, expected_hash=before.content_hash)
    record = {"kind": "chart", "pipeline": before.pipeline.uuid, "chart": uuid, "before": before.text}
    paths = [path] if path.is_file() and not is_shared else []
    return moves.put_in_trash(layout, paths, {**record, "after_hash": after.content_hash})


def undo(ctx: HasWorkspace, token: str) -> None:
    """Bring a removed chart back; a pipeline that nobody changed since gets its old text back, byte for byte.

    Raises:
        NotFoundError: It was undone already, or is too long ago. [SB-SYS-002]
        AlreadyExistsError: There is another chart or file of that name now. [SB-SYS-003]
    """
    record = moves.trash_record(ctx.workspace, token)
    if record.get("kind") != "chart":
        raise NotFoundError("This is not the undo of a chart.", hint="undo it on the page where it was removed.")
    project, pipeline, uuid = (str(record[key]) for key in ("project", "pipeline", "chart"))
    current = pipelines.load(ctx, project, pipeline)
    old_text = str(record["before"])
    old = chart(parse_pipeline(old_text.encode("utf-8"), current.path).pipeline, uuid)
    is_untouched = current.content_hash == record["after_hash"]

    def change(now: Pipeline) -> Pipeline:
        _refuse_taken(now, old.uuid)
        return replace(now, widgets=(*now.widgets, old))

    if not is_untouched:
        change(current.pipeline)
    moves.take_from_trash(ctx.workspace, token)
    if is_untouched:
        write_atomically(current.path, old_text.encode("utf-8"), expected_hash=current.content_hash)
    else:
        pipelines.edit(ctx, project, pipeline, change)


def source(ctx: HasWorkspace, project: str, found: Block) -> SourceFile:
    """Return a chart's file; a missing one has `exists` False and no text: its settings then say all.

    Raises:
        UnreadableFileError: It is no UTF-8 text, or too large. [SB-PRJ-003]
        OutsideProjectError: It is a link that leaves the project. [SB-PRJ-002]
    """
    return blocks.source_of(ctx, project, found)


def save_source(
    ctx: HasWorkspace, project: str, pipeline: str, uuid: str, text: str, *, expected_hash: str
) -> SourceFile:
    """Write a chart's file when the disk still holds what was read; atomic.

    Raises:
        ChangedOnDiskError: Someone else wrote it since; nothing was written. [SB-SYS-004]
    """
    found = chart(pipelines.load(ctx, project, pipeline).pipeline, uuid)
    return blocks.save_source_of(ctx, project, found, text, expected_hash=expected_hash)


def free_name(pipeline: Pipeline, base: str) -> str:
    """Return `base`, with a number when the pipeline has a block or chart of that name."""
    taken = {same_name_key(name) for name in _names(pipeline)}
    names = (base if number == 1 else f"{base}_{number}" for number in range(1, 1000))
    return next(name for name in names if same_name_key(clean_block_uuid(name)) not in taken)


def _names(pipeline: Pipeline) -> list[BlockUuid]:
    lists = (pipeline.blocks, pipeline.widgets, pipeline.callbacks, pipeline.conditionals)
    return [block.uuid for listed in lists for block in listed]


def _refuse_taken(pipeline: Pipeline, uuid: BlockUuid) -> None:
    if same_name_key(uuid) in {same_name_key(name) for name in _names(pipeline)}:
        raise AlreadyExistsError(
            f"Pipeline '{pipeline.uuid}' already has a block or chart '{uuid}'.",
            hint="choose another name.",
            pipeline=pipeline.uuid,
            block=uuid,
        )
