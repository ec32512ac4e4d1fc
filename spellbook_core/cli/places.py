"""From what a person types to a workspace and a project."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from spellbook_core.errors import NotFoundError, SpellbookError
from spellbook_core.model.naming import ProjectName
from spellbook_core.project.layout import PROJECTS_FOLDER, NotAWorkspaceError, Workspace
from spellbook_core.services.wiring import Context, open_context


class RunNumber(click.IntRange):
    """The number of a run, as `spellbook runs` lists it."""

    name = "run"

    def __init__(self) -> None:
        super().__init__(1, 2**63 - 1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number; anything else is refused in words."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"'{str(value)[:60]}' is no number of a run; `spellbook runs` lists them.", param, ctx)


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace, and the project in it that was meant; None when the workspace as a whole was."""

    workspace: Workspace
    project: ProjectName | None

    def context(self) -> Context:
        """Return the services' context of the workspace."""
        return open_context(self.workspace.root)


def find_place(text: str | None) -> Place:
    """Return what a path means: a workspace, a project in one, or any folder or file below those.

    Args:
        text: A path, or a project's name in the workspace around here; None for SPELLBOOK_WORKSPACE, else the working
            directory.

    Raises:
        NotAWorkspaceError: Nothing above the path is a workspace or project. [SB-PRJ-001]
        NotFoundError: The path does not exist. [SB-SYS-002]
    """
    start = Path(text or os.environ.get("SPELLBOOK_WORKSPACE") or Path.cwd()).expanduser().resolve()
    if not start.exists():
        if text and (named := _named(text)) is not None:
            return named
        hint = "give the path of a project or of the folder above 'projects'; `spellbook init PATH` makes a new one."
        raise NotFoundError(f"There is no folder {text or start}.", hint=hint)
    for folder in (start, *start.parents):
        try:
            workspace = Workspace.open(folder)
        except NotAWorkspaceError:
            continue
        if workspace.holds_projects and (folder.name == PROJECTS_FOLDER or _is_by_chance(workspace, start)):
            continue
        if workspace.is_single_project:
            workspace = _around(workspace)
        return Place(workspace, _project_of(workspace, start))
    return Place(Workspace.open(start), None)  # raises, with the path that was given


def _named(text: str) -> Place | None:
    """Return the place of the project of that name in the workspace around here."""
    try:
        around = find_place(None).workspace
    except SpellbookError:
        return None
    return Place(around, ProjectName(text)) if text in around.project_names() else None


def _is_by_chance(workspace: Workspace, start: Path) -> bool:
    """Whether a folder on the way up merely has some project in it, and was never opened as a whole."""
    return workspace.root != start and not workspace.state_dir.is_dir()


def _around(project: Workspace) -> Workspace:
    """Return the workspace that a project belongs to, whose history and engine it shares; itself when none is above.

    That is the one with the `projects/` it lies in, or the folder of projects that was opened as a whole.
    """
    above = project.root.parent
    try:
        if above.name == PROJECTS_FOLDER:
            return Workspace.open(above.parent)
        workspace = Workspace.open(above)
    except NotAWorkspaceError:
        return project
    was_opened = workspace.holds_projects and workspace.state_dir.is_dir() and not project.state_dir.is_dir()
    return workspace if was_opened else project


def find_project(text: str) -> tuple[Place, ProjectName]:
    """Return the place and project that `text` means: a path, or a project's name in the workspace around here.

    Raises:
        NotFoundError: There is no such path or project, or the workspace has several. [SB-SYS-002]
    """
    if not Path(text).expanduser().exists() and "/" not in text:
        try:
            place = find_place(None)
        except NotAWorkspaceError as cause:
            raise NotFoundError(
                f"There is no folder {text!a}, and no workspace around here with a project of that name.",
                hint="give the path of a project.",
            ) from cause
        return place, place.workspace.project(text).name
    place = find_place(text)
    if place.project is not None:
        return place, place.project
    names = place.workspace.project_names()
    if len(names) == 1:
        return place, names[0]
    known = ", ".join(names[:12]) or "none"
    raise NotFoundError(f"{place.workspace.root} is no single project.", hint=f"name one of its projects: {known}.")


def _project_of(workspace: Workspace, path: Path) -> ProjectName | None:
    if workspace.is_single_project:
        return workspace.project_names()[0]
    folder = workspace.projects_dir.resolve()
    if not path.is_relative_to(folder) or path == folder:
        return None
    return workspace.project(path.relative_to(folder).parts[0]).name
