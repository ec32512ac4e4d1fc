"""The retries that a project's `metadata.yaml` sets for all its blocks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import cast

from spellbook_core.errors import SpellbookError
from spellbook_core.model.values import YamlValue
from spellbook_core.project import yaml_files
from spellbook_core.project.containment import read_inside
from spellbook_core.project.layout import PIPELINE_FILE, ProjectLayout
from spellbook_core.project.project_file import filled
from spellbook_core.settings import MAX_YAML_BYTES


def project_retry_config(project: ProjectLayout) -> Mapping[str, YamlValue]:
    """Return `retry_config` of a project, empty where it has none.

    A project file that cannot be read sets none: `validate` says what is wrong with it.
    """
    path = project.root / PIPELINE_FILE
    try:
        found = path.stat()
    except OSError:
        return {}
    return _retry_config(project.root, path, (found.st_mtime_ns, found.st_size, found.st_ino))


@lru_cache(maxsize=64)
def _retry_config(root: Path, path: Path, state: tuple[int, int, int]) -> Mapping[str, YamlValue]:
    """Read a file once while its `state` is the same: every block of a pipeline asks, several times."""
    try:
        document, _, _ = yaml_files.read(filled(read_inside(root, path, max_bytes=MAX_YAML_BYTES)), path)
    except (SpellbookError, OSError):
        return {}
    found = document.get("retry_config")
    return cast("Mapping[str, YamlValue]", found) if isinstance(found, Mapping) else {}
