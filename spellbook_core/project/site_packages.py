"""What can be imported in a Python environment, told from its folders: its interpreter is not started."""

from __future__ import annotations

import glob
import os
import re
from functools import lru_cache
from pathlib import Path

from spellbook_core.project.packages import normalized

INHERITED = "spellbook_inherited.pth"
"""The file in an environment of ours that names the folders of Spellbook's own packages."""

_MODULE = re.compile(r"([A-Za-z_]\w*)(?:\.py|(?:\.[\w-]+)?\.(?:so|pyd))?")
_DISTRIBUTION = re.compile(r"(.+?)-[^-]+\.(?:dist-info|egg-info|egg)(?:\.link)?")


def site_folders(python: str) -> tuple[str, ...]:
    """Return the folders in which the interpreter at `python` finds packages, first first.

    Args:
        python: Absolute; a virtual environment's or a system's. The folders are guessed from where it lies.
    """
    prefix = Path(python).parent.parent
    settings = _venv_settings(prefix)
    found = _packages_below(prefix)
    if settings is None:
        real = Path(os.path.realpath(python)).parent.parent
        found += [folder for folder in _packages_below(real) if folder not in found]
    elif settings.get("include-system-site-packages", "").lower() == "true" and settings.get("home"):
        found += _packages_below(Path(settings["home"]).parent)
    for folder in list(found):
        found += _lines(f"{folder}/{INHERITED}")
    return tuple(dict.fromkeys(found))


def _packages_below(prefix: Path) -> list[str]:
    shapes = ["lib/python3*/site-packages", "lib64/python3*/site-packages"]
    if str(prefix) == "/usr":
        shapes += ["local/lib/python3*/dist-packages", "lib/python3/dist-packages"]
    escaped = glob.escape(str(prefix))
    return [folder for shape in shapes for folder in sorted(glob.glob(f"{escaped}/{shape}"))]


def _venv_settings(prefix: Path) -> dict[str, str] | None:
    try:
        lines = (prefix / "pyvenv.cfg").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    pairs = (line.partition("=") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _lines(path: str) -> list[str]:
    try:
        return [line for line in Path(path).read_text("utf-8").splitlines() if os.path.isdir(line)]
    except (OSError, UnicodeDecodeError):
        return []


def importable(folders: tuple[str, ...]) -> frozenset[str]:
    """Return the top-level names that can be imported from `folders`, by the names of files there.

    A package whose code lies elsewhere (an editable install) counts by the name of its distribution.
    """
    return frozenset().union(*(_names_in(folder, _changed(folder)) for folder in folders))


def _changed(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=64)
def _names_in(folder: str, changed: int) -> frozenset[str]:
    """Listed again when the folder changed."""
    try:
        entries = os.listdir(folder)
    except OSError:
        return frozenset()
    found = set()
    for entry in entries:
        module, distribution = _MODULE.fullmatch(entry), _DISTRIBUTION.fullmatch(entry)
        if module:
            found.add(module[1])
        elif distribution:
            found.add(normalized(distribution[1]))
    return frozenset(found)
