"""What the editor says about a pipeline's Python: what is missing, what is being installed, what went wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from spellbook_core.errors import SpellbookError
from spellbook_core.model.recipe import Recipe
from spellbook_core.project.layout import HasWorkspace
from spellbook_core.project.missing import Missing
from spellbook_core.runs.logs import LogLine
from spellbook_core.services import environment_list, environments
from spellbook_core.services.environment_list import ABSENT, FAILED, MAKING, READY, Progress

__all__ = ["ABSENT", "FAILED", "MAKING", "READY", "PackageNeeds", "awaited_log", "needs_of"]

_AWAITED = re.compile(r"Waiting for the Python environment of this block.*\((environments/\S+\.log)\)")


@dataclass(frozen=True, slots=True)
class PackageNeeds:
    """What a pipeline's blocks need of their Python.

    Attributes:
        missing: Packages that they import in vain.
        progress: Of the environment that is being made or was last tried for this project; `ready` when all is well,
            `absent` when the next run makes it.
        packages: What that environment is made for, beside a requirements file.
        made_from: The requirements file, as the project names it; empty without one.
        problem: Why the Python that is named cannot be used, as `SpellbookError.to_dict`.
    """

    missing: tuple[Missing, ...] = ()
    progress: Progress = field(default_factory=lambda: Progress(READY))
    packages: tuple[str, ...] = ()
    made_from: str = ""
    problem: Mapping[str, object] | None = None

    @property
    def is_met(self) -> bool:
        """Whether there is nothing to say."""
        return not self.missing and self.progress.state == READY and self.problem is None


def needs_of(ctx: HasWorkspace, project: str, pipeline: str) -> PackageNeeds:
    """Return what a pipeline's blocks need; nothing is started or imported."""
    try:
        own = environments.recipe_of(ctx, project, pipeline)
        missing = tuple(environments.missing(ctx, project, pipeline))
    except SpellbookError as error:
        return PackageNeeds(problem=error.to_dict())
    tried = _tried(ctx, project, missing, own)
    if tried is not None:
        recipe, progress = tried
    elif own is not None:
        recipe, progress = own, environment_list.progress(own)
    else:
        return PackageNeeds(missing)
    made_from = recipe.requirements.removeprefix(f"{recipe.project_root}/") if recipe.requirements else ""
    return PackageNeeds(missing, progress, recipe.packages, made_from)


def awaited_log(last_line: LogLine) -> str | None:
    """Return the installer's log, below the workspace's state folder, when an attempt waits for its environment.

    Args:
        last_line: Of the attempt's own log; where anything follows the engine's notice, the block has begun.
    """
    found = _AWAITED.match(last_line.text) if last_line.stream == "engine" else None
    return None if found is None else found.group(1)


def stamp(ctx: HasWorkspace) -> int:
    """Return a number that changes when the making of any environment begins or ends."""
    try:
        return ctx.workspace.environments_dir.stat().st_mtime_ns
    except OSError:
        return 0


def _tried(
    ctx: HasWorkspace, project: str, missing: Sequence[Missing], own: Recipe | None
) -> tuple[Recipe, Progress] | None:
    """Return what is being made for the project now, else the last try for what is still missing that failed."""
    root = str(ctx.workspace.project(project).root)
    wanted = {entry.package for entry in missing}
    failed: list[tuple[Recipe, Progress]] = []
    folder = ctx.workspace.environments_dir
    for path in folder.glob("*.json") if folder.is_dir() else ():
        with suppress(OSError, ValueError, TypeError, KeyError):
            recipe = Recipe.parse(json.dumps(json.loads(path.read_bytes())["recipe"]))
            if recipe.project_root != root:
                continue
            progress = environment_list.progress(recipe)
            if progress.state == MAKING:
                return recipe, progress
            if progress.state == FAILED and (recipe == own or wanted.intersection(recipe.packages)):
                failed.append((recipe, progress))
    return max(failed, key=lambda each: each[1].began_at.timestamp() if each[1].began_at else 0.0, default=None)
