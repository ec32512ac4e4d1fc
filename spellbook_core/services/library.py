"""The library page's three shelves: shipped templates, shared blocks, and the blocks that a project has."""

from __future__ import annotations

from dataclasses import dataclass

from spellbook_core.errors import SpellbookError
from spellbook_core.model.naming import BlockUuid, PipelineUuid
from spellbook_core.project.blockfile import inspect
from spellbook_core.project.containment import decode, inside, read_inside
from spellbook_core.project.layout import EXTENSIONS, TYPE_FOLDERS, HasWorkspace, ProjectLayout
from spellbook_core.project.library import LibraryBlock, Template, library_blocks, templates
from spellbook_core.project.metadata import load_pipeline
from spellbook_core.project.own_callbacks import with_own_callbacks

__all__ = ["LibraryBlock", "ProjectBlock", "Template", "library_blocks", "project_blocks", "templates"]

_LANGUAGES = {extension: language for language, extension in EXTENSIONS.items()}


@dataclass(frozen=True, slots=True)
class ProjectBlock:
    """A block file of a project, and the pipelines that list it; `description` is its docstring's first line."""

    block_type: str
    uuid: BlockUuid
    relative_path: str
    description: str
    used_by: tuple[PipelineUuid, ...]


def project_blocks(ctx: HasWorkspace, project: str) -> list[ProjectBlock]:
    """Return the block files of a project, by type and name; also those that no pipeline uses."""
    layout = ctx.workspace.project(project)
    used = _users(layout)
    found = []
    for block_type, folder in TYPE_FOLDERS.items():
        root = layout.root / folder
        for path in sorted(root.rglob("*")):
            language = _LANGUAGES.get(path.suffix.removeprefix("."))
            hidden = any(part.startswith((".", "__")) for part in path.relative_to(root).parts)
            if language is None or hidden or not path.is_file():
                continue
            relative = layout.relative(path)
            try:
                inside(layout.root, path)
                text = decode(read_inside(layout.root, path), path)
            except SpellbookError:
                continue
            uuid = BlockUuid(path.relative_to(root).with_suffix("").as_posix())
            description = inspect(text, block_type, relative, language=language).docstring.partition("\n")[0]
            found.append(ProjectBlock(block_type, uuid, relative, description, tuple(used.get(relative, ()))))
    return found


def _users(layout: ProjectLayout) -> dict[str, list[PipelineUuid]]:
    """Return relative path -> pipelines whose blocks have that file."""
    users: dict[str, list[PipelineUuid]] = {}
    for name in layout.pipeline_uuids():
        try:
            pipeline = with_own_callbacks(layout, load_pipeline(layout.pipeline_file(name)))
        except SpellbookError:
            continue
        for block in (*pipeline.blocks, *pipeline.callbacks, *pipeline.conditionals, *pipeline.widgets):
            try:
                relative = layout.relative(layout.block_file(block))
            except SpellbookError:
                continue
            known = users.setdefault(relative, [])
            if name not in known:
                known.append(name)
    return users
