"""The Python that a project or a pipeline names for its blocks: read from `metadata.yaml`, nothing is run.

    spellbook:
      environment:
        python: ../venvs/analysis/bin/python   # an interpreter, or
        requirements: requirements.txt         # a file that Spellbook makes an environment from, or
        packages: [scikit-learn>=1.5]          # what is added to Spellbook's own packages

A pipeline's `metadata.yaml` may have the same key; it goes over the project's. mage keeps the key of a project file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from spellbook_core.atomic import content_hash
from spellbook_core.errors import NotFoundError, SpellbookError
from spellbook_core.model.recipe import Recipe
from spellbook_core.project import yaml_files
from spellbook_core.project.containment import UnreadableFileError, read_inside
from spellbook_core.project.installed import own_versions
from spellbook_core.project.layout import PIPELINE_FILE, ProjectLayout
from spellbook_core.project.metadata import PipelineFile
from spellbook_core.project.packages import REQUIREMENT
from spellbook_core.project.project_file import filled
from spellbook_core.settings import MAX_YAML_BYTES

KEY, SECTION = "spellbook", "environment"

MAX_REQUIREMENT_FILES = 20
"""Most files that a requirements file may include, one in another."""

MAX_REQUIREMENTS_BYTES = 1_000_000

_INCLUDE = re.compile(rb"^[ \t]*(?:-r|--requirement|-c|--constraint)[ =]*(\S+)", re.MULTILINE)
_KEYS = ("python", "requirements", "packages", "inherit")


class BadEnvironmentError(SpellbookError, ValueError):
    """`spellbook.environment` of a `metadata.yaml` has a value that it cannot have."""

    code = "SB-PRJ-060"


class InterpreterMissingError(NotFoundError):
    """The Python that a project or pipeline names is not there."""

    code = "SB-PRJ-061"


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """What one `metadata.yaml` says of the environment.

    Attributes:
        python: As written; likewise `requirements`, relative to the project.
        packages: Names with optional versions.
        inherits: Whether Spellbook's own packages stay in reach; by default so without a requirements file.
        source: The file, relative to the project.
    """

    source: str
    python: str | None = None
    requirements: str | None = None
    packages: tuple[str, ...] = ()
    inherits: bool = True

    @property
    def is_named(self) -> bool:
        """Whether it is an environment of the person's own, which Spellbook uses as it is."""
        return self.python is not None and self.requirements is None and not self.packages


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python of some blocks.

    Attributes:
        path: Absolute.
        recipe: How it is made; None for one of the person's own.
    """

    path: str
    recipe: Recipe | None = None


def interpreter_of(
    project: ProjectLayout, pipeline: str | None = None, *, file: PipelineFile | None = None
) -> Interpreter | None:
    """Return the Python of a pipeline's blocks, or of a project's; None for the one Spellbook runs in.

    Args:
        project: The project.
        pipeline: The pipeline, None for the project's own Python.
        file: Of the pipeline, where the caller has read it.

    Raises:
        BadEnvironmentError: Names the key. [SB-PRJ-060]
        InterpreterMissingError: Names the path. [SB-PRJ-061]
        SpellbookError: A file cannot be read.
    """
    settings = settings_of(project, pipeline, file=file)
    return None if settings is None else resolve(project, settings)


def settings_of(
    project: ProjectLayout, pipeline: str | None = None, *, file: PipelineFile | None = None
) -> EnvironmentSettings | None:
    """Return the settings that hold for a pipeline: its own, else the project's, else None; see `interpreter_of`.

    Raises:
        BadEnvironmentError: Names the key. [SB-PRJ-060]
        BadYamlError: A file that has the key cannot be read. [SB-PRJ-004]
    """
    own = None
    if file is not None:
        own = _settings(file.text.encode(), file.path, project.relative(file.path))
    elif pipeline is not None:
        own = _settings_in(project, project.pipeline_file(pipeline))
    return own or _settings_in(project, project.root / PIPELINE_FILE)


def _settings_in(project: ProjectLayout, path: Path) -> EnvironmentSettings | None:
    try:
        data = read_inside(project.root, path, max_bytes=MAX_YAML_BYTES)
    except (NotFoundError, UnreadableFileError):
        return None
    return _settings(data, path, project.relative(path))


@lru_cache(maxsize=256)
def _settings(data: bytes, path: Path, source: str) -> EnvironmentSettings | None:
    if f"{KEY}:".encode() not in data:  # a file without the key need not be readable here
        return None
    text = filled(data) if source == PIPELINE_FILE else data
    section = yaml_files.read(text, path)[0].get(KEY)
    found = section.get(SECTION) if isinstance(section, Mapping) else None
    if found is None:
        return None
    if not isinstance(found, Mapping) or any(name not in _KEYS for name in found):
        raise _bad(source, "", f"it is no mapping of {', '.join(_KEYS)}")
    for name in ("python", "requirements"):
        if not isinstance(found.get(name), str | None):
            raise _bad(source, name, "it is no path")
    packages = found.get("packages") or []
    if not isinstance(packages, list):
        raise _bad(source, "packages", "it is no list")
    for entry in packages:
        if not isinstance(entry, str) or not REQUIREMENT.fullmatch(entry):
            raise _bad(source, "packages", f"'{ascii(str(entry)[:60])[1:-1]}' is no name with an optional version")
    inherits = found.get("inherit", not found.get("requirements"))
    if not isinstance(inherits, bool):
        raise _bad(source, "inherit", "it is neither true nor false")
    settings = EnvironmentSettings(
        source=source,
        python=found.get("python") or None,
        requirements=found.get("requirements") or None,
        packages=tuple(packages),
        inherits=inherits,
    )
    return settings if settings.python or settings.requirements or settings.packages else None


def _bad(source: str, key: str, what: str) -> BadEnvironmentError:
    name = ".".join(filter(None, (KEY, SECTION, key)))
    return BadEnvironmentError(
        f"'{name}' in {source} cannot be used: {what}.",
        hint=f"write 'requirements: requirements.txt' or 'python: <path>' below '{KEY}: {SECTION}:'.",
        file=source,
    )


def resolve(project: ProjectLayout, settings: EnvironmentSettings) -> Interpreter:
    """Return the Python that `settings` mean; one of ours may not be made yet.

    Raises:
        InterpreterMissingError: Names the path. [SB-PRJ-061]
        SpellbookError: The requirements are outside the project or cannot be read.
    """
    python = None if settings.python is None else _interpreter(project, settings)
    if settings.is_named and python is not None:
        return Interpreter(python)
    inherits = settings.inherits and python is None
    requirements, text = None, []
    if settings.requirements is not None:
        path = project.contained(settings.requirements)
        text, requirements = _requirement_texts(project, path), str(path)
    made_of = [
        "1",
        python or f"{sys.version_info.major}.{sys.version_info.minor} {sys.platform}",
        [own_packages(), own_versions()] if inherits else [],
        list(settings.packages),
        [content_hash(data) for data in text],
    ]
    digest = content_hash(json.dumps(made_of).encode())
    folder = str(project.workspace.environment_dir(digest))
    recipe = Recipe(digest, folder, str(project.root), requirements, settings.packages, python, inherits)
    return Interpreter(recipe.interpreter, recipe)


def own_packages() -> list[str]:
    """Return the folders of the packages that Spellbook itself uses."""
    return [entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages")) and os.path.isdir(entry)]


def _interpreter(project: ProjectLayout, settings: EnvironmentSettings) -> str:
    text = os.path.expanduser(settings.python or "")
    found = shutil.which(text) if "/" not in text else os.path.normpath(project.root / text)
    if found is None or not os.path.isfile(found) or not os.access(found, os.X_OK):
        raise InterpreterMissingError(
            f"The Python that {settings.source} names is not there: {ascii(text[:200])[1:-1]}.",
            hint=f"correct '{KEY}.{SECTION}.python' (a path, relative to the project), or remove it.",
            project=project.name,
        )
    return found


def _requirement_texts(project: ProjectLayout, path: Path) -> list[bytes]:
    """Return the text of a requirements file and of those that it includes, each once."""
    found: dict[Path, bytes] = {}
    waiting = [path]
    while waiting and len(found) < MAX_REQUIREMENT_FILES:
        path = waiting.pop(0)
        if path in found:
            continue
        found[path] = read_inside(project.root, path, max_bytes=MAX_REQUIREMENTS_BYTES)
        for name in _INCLUDE.findall(found[path]):
            text = name.decode("utf-8", "replace")
            if "://" not in text:
                relative = os.path.relpath(os.path.normpath(path.parent / text), project.root)
                waiting.append(project.contained(relative))
    return list(found.values())
