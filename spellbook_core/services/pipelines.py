"""Pipelines: list, load, edit, make, rename, copy, delete and bring back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from spellbook_core.atomic import ABSENT, write_atomically
from spellbook_core.errors import AlreadyExistsError, BadNameError, ChangedOnDiskError, NotFoundError, SpellbookError
from spellbook_core.model.naming import PipelineUuid, clean_name, names_hint, same_name_key, validate_uuid
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.project import moves
from spellbook_core.project.extensions import Extension, extensions_of
from spellbook_core.project.finding import Finding
from spellbook_core.project.layout import HasWorkspace, ProjectLayout
from spellbook_core.project.mage_imports import MageOffer
from spellbook_core.project.metadata import PipelineFile, load_pipeline, render_pipeline, save_pipeline
from spellbook_core.project.own_callbacks import with_own_callbacks
from spellbook_core.project.starters import PipelineTemplate, Starter, starter, starters
from spellbook_core.project.validate import validate_pipeline

__all__ = [
    "Finding",
    "PipelineSummary",
    "PipelineTemplate",
    "as_called",
    "create",
    "delete",
    "duplicate",
    "edit",
    "list_pipelines",
    "load",
    "pipeline_templates",
    "rename",
    "undo",
    "validate",
]

EDIT_ATTEMPTS = 5
"""Tries of an edit that names no hash, when another edit comes in between each time."""


@dataclass(frozen=True, slots=True)
class PipelineSummary:
    """A pipeline as a list shows it; `problem` is the error's dict when its file cannot be read."""

    uuid: PipelineUuid
    name: str
    type: str
    description: str
    tags: tuple[str, ...]
    blocks: int
    problem: dict[str, object] | None = None


def list_pipelines(ctx: HasWorkspace, project: str) -> list[PipelineSummary]:
    """Return the pipelines of a project, by uuid; one that cannot be read is listed with its problem."""
    layout = ctx.workspace.project(project)
    found = []
    for uuid in layout.pipeline_uuids():
        try:
            pipeline = load_pipeline(layout.pipeline_file(uuid)).pipeline
        except SpellbookError as error:
            found.append(PipelineSummary(uuid, uuid, "python", "", (), 0, error.to_dict()))
            continue
        found.append(
            PipelineSummary(
                uuid, pipeline.name, pipeline.type, pipeline.description, pipeline.tags, len(pipeline.blocks)
            )
        )
    return found


def load(ctx: HasWorkspace, project: str, pipeline: str) -> PipelineFile:
    """Return a pipeline's file.

    Raises:
        NotFoundError: Names the pipelines there are. [SB-SYS-002]
        BadYamlError: With path, line, column and what to do. [SB-PRJ-004]
    """
    layout = ctx.workspace.project(project)
    path = layout.pipeline_file(pipeline)
    if not path.is_file():
        raise NotFoundError(
            f"Project '{project}' has no pipeline '{pipeline}'.",
            hint=names_hint("its pipelines are", layout.pipeline_uuids(), pipeline),
            project=project,
            pipeline=pipeline,
        )
    return load_pipeline(path)


def as_called(ctx: HasWorkspace, project: str, file: PipelineFile) -> Pipeline:
    """Return the pipeline of a file with the callbacks that it names only by `has_callback`; to show, not to save."""
    return with_own_callbacks(ctx.workspace.project(project), file)


def extensions(ctx: HasWorkspace, project: str, pipeline: str) -> tuple[Extension, ...]:
    """Return the blocks of the extensions that a pipeline's file lists."""
    return extensions_of(load(ctx, project, pipeline).document)


def edit(
    ctx: HasWorkspace,
    project: str,
    pipeline: str,
    change: Callable[[Pipeline], Pipeline],
    *,
    expected_hash: str | None = None,
) -> PipelineFile:
    """Load, change and save a pipeline as one step: what someone else saved in between is never overwritten.

    Args:
        ctx: The workspace's context.
        project: The project's name.
        pipeline: The pipeline's uuid.
        change: Pure; called again on the newer file when another edit came in between and no hash was given.
        expected_hash: The content hash that the person saw; None edits whatever is there.

    Raises:
        ChangedOnDiskError: The file is not the one the person saw; nothing was written. [SB-SYS-004]
    """
    for attempt in range(EDIT_ATTEMPTS):
        file = load(ctx, project, pipeline)
        try:
            return save_pipeline(file, change(file.pipeline), expected_hash=expected_hash or file.content_hash)
        except ChangedOnDiskError:
            if expected_hash is not None or attempt == EDIT_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def pipeline_templates() -> list[PipelineTemplate]:
    """Return what a new pipeline can start from; `id` goes to `create(template=...)`."""
    return [item.template for item in starters()]


def create(
    ctx: HasWorkspace, project: str, name: str, *, description: str = "", template: str | None = None
) -> PipelineUuid:
    """Make a pipeline, empty or from a template with its blocks, and return its uuid.

    Raises:
        AlreadyExistsError: One of that name, in any case or Unicode form, is there. [SB-SYS-003]
        BadNameError: Nothing usable is left of the name. [SB-SYS-001]
        NotFoundError: There is no such template. [SB-SYS-002]
    """
    layout = ctx.workspace.project(project)
    uuid = _free_uuid(layout, name)
    chosen: Starter | None = starter(template) if template is not None else None
    new = Pipeline(uuid, _display(name, uuid), description=description)
    if chosen is not None:
        new = replace(new, description=description or chosen.description, blocks=chosen.add_files(layout))
    _write_new(layout, new)
    return uuid


def rename(ctx: HasWorkspace, project: str, pipeline: str, name: str) -> PipelineUuid:
    """Give a pipeline another name, and its folder the name's cleaned form; return the uuid it has now.

    The history of its runs stays under the old uuid.
    """
    file = load(ctx, project, pipeline)
    layout = ctx.workspace.project(project)
    old_folder = layout.pipeline_dir(pipeline)
    if same_name_key(clean_name(name)) == same_name_key(file.pipeline.uuid):
        save_pipeline(file, replace(file.pipeline, name=_display(name, pipeline)), expected_hash=file.content_hash)
        return file.pipeline.uuid
    uuid = _free_uuid(layout, name)
    renamed = replace(file.pipeline, uuid=uuid, name=_display(name, uuid))
    text = render_pipeline(file.document, renamed, text=file.text, old=file.pipeline).encode("utf-8")
    after = write_atomically(file.path, text, expected_hash=file.content_hash)
    try:
        moves.move(old_folder, layout.pipeline_dir(uuid))
    except SpellbookError:
        write_atomically(file.path, file.text.encode("utf-8"), expected_hash=after)
        raise
    return uuid


def duplicate(ctx: HasWorkspace, project: str, pipeline: str, name: str) -> PipelineUuid:
    """Copy a pipeline under another name; both share their block files."""
    file = load(ctx, project, pipeline)
    layout = ctx.workspace.project(project)
    uuid = _free_uuid(layout, name)
    copy = replace(file.pipeline, uuid=uuid, name=_display(name, uuid))
    _write_text(layout, uuid, render_pipeline(file.document, copy, text=file.text, old=file.pipeline))
    return uuid


def delete(ctx: HasWorkspace, project: str, pipeline: str) -> str:
    """Move a pipeline's folder to the trash and return the token for `undo`; its block files stay."""
    layout = ctx.workspace.project(project)
    folder = layout.pipeline_dir(pipeline)
    if not folder.is_dir():
        load(ctx, project, pipeline)
    return moves.put_in_trash(layout, [folder], {"kind": "pipeline", "pipeline": pipeline})


def undo(ctx: HasWorkspace, token: str) -> None:
    """Bring a deleted pipeline back.

    Raises:
        AlreadyExistsError: There is another of that name now. [SB-SYS-003]
        NotFoundError: It was undone already, or is too long ago. [SB-SYS-002]
    """
    moves.take_from_trash(ctx.workspace, token)


def validate(ctx: HasWorkspace, project: str, pipeline: str) -> list[Finding]:
    """Return what speaks against running a pipeline, errors first; no code of the project is executed.

    Raises:
        NotFoundError: There is no such pipeline. A file that cannot be read is a finding. [SB-SYS-002]
    """
    layout = ctx.workspace.project(project)
    try:
        file = load(ctx, project, pipeline)
    except NotFoundError:
        raise
    except SpellbookError as error:
        line = error.facts.get("line")
        return [
            Finding(
                error.code,
                "error",
                None,
                error.message,
                error.hint,
                layout.relative(layout.pipeline_file(pipeline)),
                line if isinstance(line, int) else None,
            )
        ]
    found = [*_refused_settings(layout, file.pipeline), *validate_pipeline(layout, file, _mage_offer(ctx))]
    return sorted(found, key=lambda finding: finding.severity != "error")


def _refused_settings(layout: ProjectLayout, pipeline: Pipeline) -> list[Finding]:
    """Return the settings of blocks because of which a run of the pipeline would be refused."""
    from spellbook_core.engine.control import check_control
    from spellbook_core.project.retries import project_retry_config

    name, found = layout.relative(layout.pipeline_file(pipeline.uuid)), []
    retries = project_retry_config(layout)
    for block in pipeline.blocks:
        if block.is_runnable:
            try:
                check_control(layout.name, retries, pipeline, block)
            except SpellbookError as wrong:
                found.append(Finding(wrong.code, "error", block.uuid, wrong.message, wrong.hint, name))
    return found


def _mage_offer(ctx: HasWorkspace) -> MageOffer | None:
    """Return what blocks see of mage-ai; None when they see a real one."""
    if getattr(getattr(ctx, "settings", None), "mage_ai", "ours") == "installed":
        return None
    from spellbook_core.worker.mage_shim import offers

    return MageOffer(offers.MODULES, offers.PACKAGES, offers.INSTEAD, offers.OTHERWISE)


def _free_uuid(layout: ProjectLayout, name: str) -> PipelineUuid:
    uuid = clean_name(name)
    if not uuid.strip("_"):
        raise BadNameError("A pipeline needs a name.", hint="use letters, digits and _.")
    validate_uuid(uuid, "pipeline")
    for other in layout.pipelines_dir.iterdir() if layout.pipelines_dir.is_dir() else ():
        if same_name_key(other.name) == same_name_key(uuid):
            raise AlreadyExistsError(
                f"Project '{layout.name}' already has a pipeline '{other.name}'.",
                hint="choose another name.",
                project=layout.name,
                pipeline=other.name,
            )
    return PipelineUuid(uuid)


def _display(name: str, fallback: str) -> str:
    return " ".join(name.split()) or fallback


def _write_new(layout: ProjectLayout, pipeline: Pipeline) -> None:
    _write_text(layout, pipeline.uuid, render_pipeline({}, pipeline))


def _write_text(layout: ProjectLayout, uuid: PipelineUuid, text: str) -> None:
    path = layout.pipeline_file(uuid)
    moves.make_folder(path.parent)
    write_atomically(path, text.encode("utf-8"), expected_hash=ABSENT)
