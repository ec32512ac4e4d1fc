"""The Python environment of a pipeline's blocks: what they miss in it, and how it gets there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from spellbook_core.atomic import content_hash
from spellbook_core.errors import BadNameError, SpellbookError
from spellbook_core.executors import building
from spellbook_core.model.recipe import Recipe
from spellbook_core.project.environment import EnvironmentSettings, interpreter_of, resolve, settings_of
from spellbook_core.project.environment_edit import write_packages
from spellbook_core.project.layout import PIPELINE_FILE, HasWorkspace
from spellbook_core.project.metadata import load_pipeline
from spellbook_core.project.missing import Missing, missing_in
from spellbook_core.project.own_callbacks import with_own_callbacks
from spellbook_core.project.packages import REQUIREMENT, normalized
from spellbook_core.services.environment_list import progress
from spellbook_core.worker import boot

BEGIN_WAIT_S = 5.0
"""How long an installer that was started is waited for until it says something; 0.2 s is usual."""


def missing(ctx: HasWorkspace, project: str, pipeline: str) -> list[Missing]:
    """Return the packages that a pipeline's blocks import and their Python lacks; nothing is started or imported.

    Raises:
        SpellbookError: The pipeline cannot be read, or its Python cannot be used.
    """
    layout = ctx.workspace.project(project)
    return missing_in(layout, with_own_callbacks(layout, load_pipeline(layout.pipeline_file(pipeline))))


def recipe_of(ctx: HasWorkspace, project: str, pipeline: str | None) -> Recipe | None:
    """Return how the environment of a pipeline, or of a project, is made; None when Spellbook makes none."""
    interpreter = interpreter_of(ctx.workspace.project(project), pipeline)
    return None if interpreter is None else interpreter.recipe


def ready_python(ctx: HasWorkspace, project: str, pipeline: str | None = None) -> str | None:
    """Return the Python of a pipeline's blocks where it is another than ours and there; else None."""
    try:
        interpreter = interpreter_of(ctx.workspace.project(project), pipeline)
    except SpellbookError:
        return None
    if interpreter is None or (interpreter.recipe is not None and not building.is_made(interpreter.recipe)):
        return None
    return interpreter.path


def planned(ctx: HasWorkspace, project: str, pipeline: str | None, packages: Sequence[str]) -> Recipe:
    """Return what `install` would make or install into.

    Raises:
        BadNameError: A package is none that can be asked for: an option, an address, a path. [SB-SYS-001]
        SpellbookError: The Python that the project or pipeline names cannot be used.
    """
    layout = ctx.workspace.project(project)
    settings = settings_of(layout, pipeline)
    names = tuple(_checked(name) for name in packages)
    if settings is not None and settings.is_named:
        python = resolve(layout, settings).path
        digest = content_hash(json.dumps(["into", python, names]).encode())
        folder = str(ctx.workspace.environment_dir(digest))
        return Recipe(digest, folder, str(layout.root), packages=names, into=python)
    settings = settings or EnvironmentSettings(PIPELINE_FILE)
    recipe = resolve(layout, replace(settings, packages=_merged(settings.packages, names))).recipe
    if recipe is None:
        raise AssertionError("an environment that is not the person's own has a recipe")
    return recipe


def install(
    ctx: HasWorkspace, project: str, pipeline: str | None, packages: Sequence[str], tell: Callable[[str], None]
) -> None:
    """Have packages in the environment of a pipeline's project, and that environment made; returns when it is.

    A project that used Spellbook's own Python gets an environment of its own over it. The packages are added to
    `spellbook.environment.packages` of the `metadata.yaml` that names the environment, once they are there: a failed
    install changes nothing.

    Args:
        ctx: Of the workspace.
        project: Whose environment.
        pipeline: The pipeline, which may name its own.
        packages: Names with optional versions; none only makes the environment.
        tell: Called with each line that the installer says.

    Raises:
        BadNameError: A package is none that can be asked for. [SB-SYS-001]
        EnvironmentBuildError: With the installer's last lines. [SB-EXE-001]
    """
    layout = ctx.workspace.project(project)
    settings = settings_of(layout, pipeline)
    if not packages and (settings is None or settings.is_named):
        tell("Nothing to make: the blocks run in a Python that is there.")
        return
    recipe = planned(ctx, project, pipeline, packages)
    ctx.workspace.ensure_state_dir()
    building.build(recipe, tell)
    if packages and recipe.into is None:
        settings = settings_of(layout, pipeline)  # as it is now: making took its time
        source = PIPELINE_FILE if settings is None else settings.source
        known = () if settings is None else settings.packages
        names = _merged(known, tuple(_checked(name) for name in packages))
        write_packages(layout.root, layout.contained(source), names)


def make_ready(ctx: HasWorkspace, project: str, pipeline: str, tell: Callable[[str], None]) -> None:
    """Make the environment of a pipeline when it is not there, telling what the installer says.

    A failure is left to the run, which tries again and records it.
    """
    recipe = recipe_of(ctx, project, pipeline)
    if recipe is not None and not building.is_made(recipe):
        ctx.workspace.ensure_state_dir()
        with suppress(building.EnvironmentBuildError):
            building.build(recipe, tell)


def start_install(ctx: HasWorkspace, project: str, pipeline: str | None, packages: Sequence[str]) -> None:
    """Begin `install` in a process of its own, which no closed page ends; `progress` tells how far it is.

    Raises:
        SpellbookError: As `install`, for what can be told at once.
    """
    recipe = planned(ctx, project, pipeline, packages)
    before = progress(recipe)
    state = ctx.workspace.ensure_state_dir()
    asked = json.dumps([str(ctx.workspace.root), project, pipeline, list(packages)])
    command = [sys.executable, boot.__file__, "spellbook_core.services.installing", asked]
    log = os.open(state / "install.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        launcher = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=state, start_new_session=True
        )
    finally:
        os.close(log)
    launcher.wait()  # it detaches at once
    until = time.monotonic() + BEGIN_WAIT_S
    while progress(recipe) == before and time.monotonic() < until:
        time.sleep(0.02)


def _checked(name: str) -> str:
    text = name.strip()
    if not REQUIREMENT.fullmatch(text):
        raise BadNameError(
            f"'{ascii(text[:60])[1:-1]}' is no package: options, addresses and paths are not installed from here.",
            hint="give a name with an optional version, or write the line into the requirements file.",
        )
    return text


def _merged(known: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    """Return `known` with `new` added; a name that is there already takes the new version."""
    by_name = {_name(text): text for text in known}
    return tuple((by_name | {_name(text): text for text in new}).values())


def _name(requirement: str) -> str:
    match = REQUIREMENT.fullmatch(requirement)
    return normalized(match["name"]) if match else requirement
