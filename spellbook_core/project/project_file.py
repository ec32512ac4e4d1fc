"""A project's own `metadata.yaml`, whose `{{ env_var('NAME') }}` mage fills in before it reads the file."""

from __future__ import annotations

import os
import re

from spellbook_core.errors import NotFoundError, SpellbookError
from spellbook_core.project import yaml_files
from spellbook_core.project.containment import read_inside
from spellbook_core.project.finding import Finding
from spellbook_core.project.layout import PIPELINE_FILE, ProjectLayout
from spellbook_core.settings import MAX_YAML_BYTES

_EXPRESSION = re.compile(rb"\{\{(.*?)\}\}")
_VARIABLE = re.compile(r"""\s*env_var\(\s*(['"])(\w+)\1\s*(?:,\s*(['"]?)([^'"]*)\3\s*)?\)\s*""")


def filled(data: bytes) -> bytes:
    """Return the file with its environment variables filled in; line numbers stay.

    Other expressions, such as secrets, become nothing: what they are needed for is none of what is read from here.
    """
    return _EXPRESSION.sub(_value, data) if b"{{" in data else data


def _value(match: re.Match[bytes]) -> bytes:
    found = _VARIABLE.fullmatch(match[1].decode("utf-8", "replace"))
    if found is None:
        return b""
    value = os.environ.get(found[2], found[4] or "")
    return " ".join(value.splitlines()).encode("utf-8", "replace")


def problems_of(project: ProjectLayout) -> list[Finding]:
    """Return a warning when the file cannot be read: none of its settings is heeded then."""
    path = project.root / PIPELINE_FILE
    try:
        data = read_inside(project.root, path, max_bytes=MAX_YAML_BYTES)
        if any(line.strip() and line.strip()[:1] != b"#" for line in data.splitlines()):
            yaml_files.read(filled(data), path)
    except NotFoundError:
        return []
    except SpellbookError as error:
        line = error.facts.get("line")
        message = f"The project's own {error.message} Its limits, retries and retention are not heeded."
        return [
            Finding(
                error.code, "warning", None, message, error.hint, PIPELINE_FILE, line if isinstance(line, int) else None
            )
        ]
    return []
