"""Secrets by name: from the environment, then from a `.env` file of the project or the workspace."""

from __future__ import annotations

import os
from pathlib import Path

from spellbook_core.worker.mage_shim import place
from spellbook_core.worker.mage_shim.failures import SecretMissingError


def get_secret_value(name: str, *arguments: object, **options: object) -> str:
    """Return the secret `name`; it is never stored or logged by us.

    Raises:
        SecretMissingError: It is in none of the places. [SB-WRK-032]
    """
    if name in os.environ:
        return os.environ[name]
    task = place.current()
    for folder in dict.fromkeys((Path(task.project_root), Path(task.workspace))):
        found = read_env_file(folder / ".env").get(name)
        if found is not None:
            return found
    raise SecretMissingError(
        f"There is no secret '{name}'.",
        hint=f"set the environment variable {name} before Spellbook starts, or write {name}=... into the file .env in "
        "the project's folder (keep that file out of git). Secrets that mage keeps in its own database are not read.",
        secret=name,
    )


def read_env_file(path: Path) -> dict[str, str]:
    """Return the `NAME=value` lines of a file; empty when there is none. Quotes around a value are removed."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        name, separator, value = line.strip().removeprefix("export ").partition("=")
        if separator and not name.startswith("#"):
            value = value.strip()
            if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            found[name.strip()] = value
    return found
