"""The Python environments of a workspace on the disk: how far each is, who names it, and what nobody needs any more."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from spellbook_core.artifacts import sweep
from spellbook_core.errors import NotFoundError, SpellbookError
from spellbook_core.executors import building
from spellbook_core.model.recipe import Recipe
from spellbook_core.project.environment import resolve, settings_of
from spellbook_core.project.installed import MARKER
from spellbook_core.project.layout import PIPELINE_FILE, HasWorkspace

MAKING, READY, FAILED, ABSENT = "making", "ready", "failed", "absent"

LOG_LINES = 12
"""Last lines of an installer that a screen shows."""


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


def unused(ctx: HasWorkspace, *, before: datetime) -> list[sweep.Stored]:
    """Return the environments of ours that no project or pipeline names and no block ran in since `before`.

    Empty as long as one `metadata.yaml` cannot be read: it may name any of them.
    """
    try:
        named = {recipe.digest for recipe, _ in _used(ctx, is_strict=True).values() if recipe is not None}
    except SpellbookError:
        return []
    folder, found = ctx.workspace.environments_dir, []
    for digest in sorted({path.name.partition(".")[0] for path in folder.iterdir()} if folder.is_dir() else ()):
        with suppress(SpellbookError):
            place = ctx.workspace.environment_dir(digest)
            at = building.used_at(place)
            if digest in named or at >= before.timestamp() or building.is_being_made(place):
                continue
            measured = sweep.measure(place)
            found.append(sweep.Stored(place, 0 if measured is None else measured.size_bytes, at))
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


def _used(ctx: HasWorkspace, *, is_strict: bool = False) -> dict[str, tuple[Recipe | None, list[str]]]:
    """Return interpreter -> how it is made and who names it; `is_strict` raises for files that cannot be read."""
    found: dict[str, tuple[Recipe | None, list[str]]] = {}
    for name in ctx.workspace.project_names():
        layout = ctx.workspace.project(name)
        for pipeline in (None, *layout.pipeline_uuids()):
            with suppress(*(() if is_strict else (SpellbookError,))):
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
    if building.is_being_made(folder):
        return Progress(MAKING, _last_lines(folder), began_at=began_at)
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
