"""What is installed for a project's blocks, told from the names of files; no package is imported or read."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from spellbook_core.atomic import content_hash
from spellbook_core.project.closure import is_settled
from spellbook_core.project.layout import ProjectLayout
from spellbook_core.project.packages import install_name, normalized
from spellbook_core.project.secret_digests import config_digest, secret_digests, variable_digests
from spellbook_core.project.secrets import IO_CONFIG_FILE
from spellbook_core.project.site_packages import site_folders
from spellbook_core.project.sourcefacts import ALL_SECRETS, NAMED, READS_VARIABLES
from spellbook_core.project.state_folder import environment_digest

LOCK_FILES = ("requirements.txt", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock")

MARKER = "spellbook-environment.json"
"""Written last, in one step, into an environment of ours: without it, it is not finished."""

OF_SECRET = "secret "  # noqa: S105  # no secret: a name's beginning
"""Begins what stands for a secret in `environment_of`."""

OF_VARIABLE = "variable "
"""Begins what stands for one that is no secret."""

ALWAYS_COUNTED = ("numpy", "pandas", "pyarrow", "torch")
"""Packages that make up the values which pass between blocks, whoever imports them."""


def environment_of(project: ProjectLayout, packages: frozenset[str], python: str | None = None) -> dict[str, str]:
    """Return what a block's result may owe to its environment, as name -> version or digest.

    Args:
        project: Its lock files count.
        packages: Top-level names that the block and its modules import from outside the project, and the variables of
            the environment that they name (`sourcefacts.NAMED`): a secret among them counts by a keyed digest, and any
            other where they read variables.
        python: An interpreter's path; None for the one that runs this.
    """
    places = _own_places() if python is None else _places_of(python)
    root = str(project.root)
    digests = tuple([(name, digest) for name in _lock_files(root) if (digest := _file_digest(f"{root}/{name}"))])
    asked = frozenset([name for name in packages if name.startswith(NAMED)])
    found = _without_secrets(python, digests, packages - asked, tuple([(place, _changed(place)) for place in places]))
    if not asked:
        return dict(found)
    return dict(sorted({**found, **_of_variables(project, asked)}.items()))


def _of_variables(project: ProjectLayout, asked: frozenset[str]) -> dict[str, str]:
    names = {name.removeprefix(NAMED) for name in asked}
    found = {}
    if ALL_SECRETS in asked and (config := config_digest(project)) is not None:
        found[IO_CONFIG_FILE] = config
    secrets = secret_digests(project, None if ALL_SECRETS in asked else names)
    found |= {f"{OF_SECRET}{name}": digest for name, digest in secrets.items()}
    if READS_VARIABLES in asked:
        variables = variable_digests(project, names - secrets.keys())
        found |= {f"{OF_VARIABLE}{name}": digest for name, digest in variables.items()}
    return found


@lru_cache(maxsize=256)
def _without_secrets(
    python: str | None,
    digests: tuple[tuple[str, str], ...],
    packages: frozenset[str],
    places: tuple[tuple[str, int], ...],
) -> Mapping[str, str]:
    """Put it together once for equal facts: every block of a run asks."""
    platform_ = {"platform": f"{sys.platform} {platform.machine()}"}
    made = None if python is None else environment_digest(python)
    own = {"environment": made[:16]} if made is not None else {"Python": python or platform.python_version()}
    return dict(sorted({**platform_, **own, **dict(digests), **_versions(packages, places)}.items()))


def _places_of(python: str) -> Sequence[str]:
    """Return the folders of packages of an interpreter; of an environment of ours that is not made yet, none.

    What that is made from counts, and what came of it as soon as it is there.
    """
    if environment_digest(python) is not None and not is_whole(python):
        return ()
    return site_folders(python)


def _versions(packages: frozenset[str], places: tuple[tuple[str, int], ...]) -> dict[str, str]:
    """Return package -> version of those that are installed; a folder of packages is listed anew when it changed."""
    installed = [_installed(place, changed) for place, changed in places]
    found = {name: _first_version(installed, normalized(install_name(name))) for name in {*ALWAYS_COUNTED, *packages}}
    return {name: version for name, version in found.items() if version is not None}


def is_whole(python: str) -> bool:
    """Return whether an environment of ours is made, from its interpreter's path."""
    return os.path.isfile(f"{os.path.dirname(os.path.dirname(python))}/{MARKER}")


def own_versions() -> dict[str, str]:
    """Return the versions of Spellbook's own packages that environments which inherit them see."""
    installed = [_installed(place, _changed(place)) for place in _own_places()]
    found = {name: _first_version(installed, name) for name in ALWAYS_COUNTED}
    return {name: version for name, version in found.items() if version is not None}


def _own_places() -> tuple[str, ...]:
    return _places_among(tuple(sys.path))


@lru_cache(maxsize=4)
def _places_among(searched: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(entry for entry in searched if entry.endswith(("site-packages", "dist-packages")))


def _first_version(installed: Sequence[Mapping[str, str]], name: str) -> str | None:
    """Return the version of a distribution in the first folder that has it, as an import would find it."""
    return next((versions[name] for versions in installed if name in versions), None)


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _lock_files(root: str) -> tuple[str, ...]:
    """Return the lock files that a project has; looked for again when an entry of its folder came, went or was renamed.

    The time of that change is the system's own: unlike the time of the content, nobody can set it back.
    """
    try:
        changed = os.stat(root).st_ctime_ns
    except OSError:
        return ()
    return _lock_files_there(root, changed) if is_settled(changed) else _lock_files_there.__wrapped__(root, changed)


@lru_cache(maxsize=256)
def _lock_files_there(root: str, changed: int) -> tuple[str, ...]:
    return tuple(name for name in LOCK_FILES if os.path.lexists(f"{root}/{name}"))


def _file_digest(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return _digest(path, found.st_mtime_ns, found.st_size, found.st_ctime_ns)


@lru_cache(maxsize=256)
def _digest(path: str, mtime_ns: int, size: int, ctime_ns: int) -> str:
    """Read once per state of the file."""
    try:
        return content_hash(Path(path).read_bytes())[:16]
    except OSError:
        return ""


@lru_cache(maxsize=64)
def _installed(place: str, changed: int) -> dict[str, str]:
    """Return distribution -> version in a folder of packages; listed again when the folder changed."""
    try:
        names = os.listdir(place)
    except OSError:
        return {}
    found = {}
    for name in names:
        match = re.fullmatch(r"(.+)-([^-]+)\.dist-info", name)
        if match:
            found[re.sub(r"[-_.]+", "_", match[1]).lower()] = match[2]
    return found
