"""mage's way to ask for the project's folder."""

from __future__ import annotations

from pathlib import Path

from spellbook_core.worker.mage_shim import place


def get_repo_path(*arguments: object, **options: object) -> str:
    """Return the project's folder, absolute."""
    return place.repo_path()


def get_repo_name(*arguments: object, **options: object) -> str:
    """Return the name of the project's folder."""
    return Path(place.repo_path()).name
