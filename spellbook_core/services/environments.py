"""The Python environments of blocks: which there are, what blocks miss in them, and how it gets there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from spellbook_core.atomic import content_hash
from spellbook_core.errors import BadNameError, NotFoundError, SpellbookError
from spellbook_core.executors import building
from spellbook_core.model.recipe import Recipe
from spellbook_core.project.environment import EnvironmentSettings, interpreter_of, resolve, settings_of
from spellbook_core.project.environment_edit import write_packages
from spellbook_core.project.installed import MARKER
from spellbook_core.project.layout import PIPELINE_FILE, HasWorkspace
from spellbook_core.project.metadata import load_pipeline
from spellbook_core.project.missing import Missing, missing_in
from spellbook_core.project.packages import REQUIREMENT, normalized
from spellbook_core.worker import boot

MAKING, READY, FAILED, ABSENT = "making", "ready", "failed", "absent"

LOG_LINES = 12
"""Last lines of an installer that a screen shows."""

BEGIN_WAIT_S = 5.0
"""How long an installer that was started is waited for until it says something; 0.2 s is usual."""


class EnvironmentInUseError(SpellbookError, RuntimeError):
    """An environment cannot be removed while it is made, or while a warm process lives in it."""

    code = "SB-EXE-002"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an environment is.

    Attributes:
        state: `making`, `ready`, `failed` or `absent`.
        lines: The last that the installer said; empty when it has not run.
        problem: Why it failed.
        began_at: When it was last begun, or ended.
    """

    state: str
    lines: tuple[str, ...] = ()
    problem: str = ""
    began_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EnvironmentView:
    """An environment as a list shows it.

    Attributes:
        digest: Its name; None for a Python of the person's own.
        python: Path of its interpreter.
        version: Of Python, where that is written down.
        made_from: For people, e.g. `requirements.txt` or `scikit-learn`.
        used_by: Projects, and `project/pipeline` where a pipeline names its own.
    """

    digest: str | None
    python: str
    version: str
    made_from: str
    used_by: tuple[str, ...]
    size_bytes: int
    progress: Progress


def missing(ctx: HasWorkspace, project: str, pipeline: str) -> list[Missing]:
    """Return the packages that a pipeline's blocks import and their Python lacks; nothing is started or imported.

    Raises:
        SpellbookError: The pipeline cannot be read, or its Python cannot be used.
    """
    layout = ctx.workspace.project(project)
    return missing_in(layout, load_pipeline(layout.pipeline_file(pipeline)).pipeline)


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


def progress(recipe: Recipe) -> Progress:
    """Return how far the environment of a recipe is."""
    return _progress(Path(recipe.folder), _read(building.report_path(recipe.folder)), is_into=recipe.into is not None)


def list_environments(ctx: HasWorkspace) -> list[EnvironmentView]:
    """Return the environments of a workspace: those in use first, then those that nobody names any more."""
    used = _used(ctx)
    found = []
    folder = ctx.workspace.environments_dir
    digests = {path.stem for path in folder.glob("*.json")} if folder.is_dir() else set()
    for python, (recipe, users) in used.items():
        if recipe is None:
            found.append(EnvironmentView(None, python, _version(python), "your own", tuple(users), 0, Progress(READY)))
        else:
            digests.discard(recipe.digest)
            found.append(_view(Path(recipe.folder), recipe, tuple(users)))
    for digest in sorted(digests):
        with suppress(ValueError, TypeError, KeyError, SpellbookError):
            place = ctx.workspace.environment_dir(digest)
            recipe = Recipe.parse(json.dumps(_read(building.report_path(place))["recipe"]))
            if recipe.into is None:
                found.append(_view(place, recipe, ()))
    return found


def remove(ctx: HasWorkspace, digest: str) -> None:
    """Remove an environment from the disk; whoever names it gets it made again by the next run.

    Raises:
        EnvironmentInUseError: It is being made, or a warm process lives in it. [SB-EXE-002]
        NotFoundError: It is gone. [SB-SYS-002]
    """
    folder = ctx.workspace.environment_dir(digest)
    if not building.report_path(folder).exists() and not folder.exists():
        raise NotFoundError("There is no such environment any more.", hint="look at the list again.")
    lock = building.take(folder, alone=True, wait=False)
    if lock is None:
        raise EnvironmentInUseError(
            "The environment is in use: it is being made, or blocks ran in it a short while ago.",
            hint="stop the engine in Settings, then remove it.",
        )
    try:
        building.report_path(folder).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        for ending in ("log", "txt", "lock"):
            Path(f"{folder}.{ending}").unlink(missing_ok=True)
    finally:
        os.close(lock)


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


def _used(ctx: HasWorkspace) -> dict[str, tuple[Recipe | None, list[str]]]:
    """Return interpreter -> how it is made and who names it."""
    found: dict[str, tuple[Recipe | None, list[str]]] = {}
    for name in ctx.workspace.project_names():
        layout = ctx.workspace.project(name)
        for pipeline in (None, *layout.pipeline_uuids()):
            with suppress(SpellbookError):
                settings = settings_of(layout, pipeline)
                if settings is None or (pipeline is not None and settings.source == PIPELINE_FILE):
                    continue
                interpreter = resolve(layout, settings)
                _, users = found.setdefault(interpreter.path, (interpreter.recipe, []))
                users.append(name if pipeline is None else f"{name}/{pipeline}")
    return found


def _view(folder: Path, recipe: Recipe, users: tuple[str, ...]) -> EnvironmentView:
    root = recipe.project_root
    parts = [os.path.relpath(recipe.requirements, root)] if recipe.requirements else []
    marker = _read(folder / MARKER)
    size = marker.get("size_bytes")
    return EnvironmentView(
        digest=recipe.digest,
        python=recipe.interpreter,
        version=_version(recipe.interpreter),
        made_from=", ".join([*parts, *recipe.packages]),
        used_by=users,
        size_bytes=size if isinstance(size, int) else 0,
        progress=_progress(folder, _read(building.report_path(folder)), is_into=False),
    )


def _version(python: str) -> str:
    with suppress(OSError, UnicodeDecodeError):
        for line in (Path(python).parent.parent / "pyvenv.cfg").read_text("utf-8").splitlines():
            name, _, value = line.partition("=")
            if name.strip() in {"version", "version_info"}:
                return value.strip()
    return ""


def _progress(folder: Path, report: Mapping[str, object], *, is_into: bool) -> Progress:
    at = report.get("at")
    began_at = datetime.fromtimestamp(at, UTC) if isinstance(at, float) else None
    if not report:
        return Progress(ABSENT)
    lock = building.take(folder, alone=False, wait=False)
    if lock is None:
        return Progress(MAKING, _last_lines(folder), began_at=began_at)
    os.close(lock)
    if (folder / MARKER).is_file() or (is_into and report.get("state") == "made"):
        return Progress(READY, began_at=began_at)
    if report.get("state") == "failed":
        return Progress(FAILED, _last_lines(folder), str(report.get("problem") or ""), began_at)
    return Progress(ABSENT, began_at=began_at)


def _last_lines(folder: Path) -> tuple[str, ...]:
    with suppress(OSError):
        with building.log_path(folder).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            text = file.read().decode("utf-8", "replace")
        return tuple(line[:300] for line in text.splitlines()[-LOG_LINES:])
    return ()


def _read(path: Path) -> dict[str, object]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
