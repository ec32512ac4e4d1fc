"""How long a project's `metadata.yaml` wants things kept; mage's keys."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from spellbook_core.errors import SpellbookError
from spellbook_core.project import yaml_files
from spellbook_core.project.containment import read_inside
from spellbook_core.project.layout import PIPELINE_FILE, ProjectLayout
from spellbook_core.project.project_file import filled
from spellbook_core.settings import MAX_YAML_BYTES

_LOG = logging.getLogger("spellbook.project")
_PERIOD = re.compile(r"(\d{1,6})\s*([hdwm])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1), "m": timedelta(days=30)}


@dataclass(frozen=True, slots=True)
class Periods:
    """What a project says; None where it says nothing.

    Attributes:
        runs: Of runs and their outputs: `variables_retention_period`.
        logs: Of what runs printed: `logging_config.retention_period`.
    """

    runs: timedelta | None = None
    logs: timedelta | None = None


def periods_of(project: ProjectLayout) -> Periods:
    """Return a project's periods. One that cannot be understood is not heeded: a slip must not delete anything."""
    path = project.root / PIPELINE_FILE
    try:
        document, _, _ = yaml_files.read(filled(read_inside(project.root, path, max_bytes=MAX_YAML_BYTES)), path)
    except (SpellbookError, OSError):
        return Periods()
    logging_config = document.get("logging_config")
    logs = logging_config.get("retention_period") if isinstance(logging_config, Mapping) else None
    return Periods(_period(document.get("variables_retention_period"), project.name), _period(logs, project.name))


def parse_period(text: str) -> timedelta | None:
    """Return the period that `90d`, `12h`, `4w` or `3m` (of 30 days) names; None for anything else, and for none."""
    match = _PERIOD.fullmatch(text.strip().lower())
    return int(match[1]) * _UNITS[match[2]] if match is not None and int(match[1]) else None


def _period(value: object, project: str) -> timedelta | None:
    if value is None:
        return None
    found = parse_period(str(value))
    if found is None:
        _LOG.warning("project %s: '%s' is no period such as 90d; it is not heeded", project, str(value)[:40])
    return found
