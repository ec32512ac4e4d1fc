"""Change `spellbook.environment` of a `metadata.yaml` as text: every other line stays as it is, comments included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from spellbook_core.atomic import ABSENT, content_hash, write_atomically
from spellbook_core.errors import NotFoundError
from spellbook_core.project import yaml_files
from spellbook_core.project.containment import decode, read_inside
from spellbook_core.project.environment import KEY, SECTION
from spellbook_core.project.project_file import filled
from spellbook_core.settings import MAX_YAML_BYTES


def write_packages(root: Path, path: Path, packages: Sequence[str]) -> None:
    """Make `packages` the packages of the environment that the file at `path`, below `root`, names.

    Raises:
        BadYamlError: The file cannot be read; nothing was written. [SB-PRJ-004]
        ChangedOnDiskError: Somebody wrote it at this moment; nothing was written. [SB-SYS-004]
        StorageError: The disk refused. [SB-SYS-006]
    """
    try:
        data = read_inside(root, path, max_bytes=MAX_YAML_BYTES)
        known = content_hash(data)
    except NotFoundError:
        data, known = b"", ABSENT
    text = with_packages(decode(data, path), path, packages)
    write_atomically(path, text.encode("utf-8"), expected_hash=known)


def with_packages(text: str, path: Path, packages: Sequence[str]) -> str:
    """Return the text of a `metadata.yaml` with these packages; `path` names it in messages."""
    if not any(line.strip() and line.strip()[0] != "#" for line in text.splitlines()):
        return _joined(text, _section({}, packages), "")
    document, _, root = yaml_files.read(filled(text.encode("utf-8")), path)
    section = document.get(KEY)
    new = _section(section if isinstance(section, Mapping) else {}, packages)
    lines = text.splitlines(keepends=True)
    starts = [key.start_mark.line for key, _ in root.value]
    own = next((key.start_mark.line for key, _ in root.value if key.value == KEY), None)
    if own is None:
        return _joined(text, new, "")
    end = min((start for start in starts if start > own), default=len(lines))
    while end - 1 > own and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1  # what stands above the next key belongs to it
    return _joined("".join(lines[:own]), new, "".join(lines[end:]))


def _section(section: Mapping[str, object], packages: Sequence[str]) -> str:
    found = section.get(SECTION)
    environment = {**(found if isinstance(found, Mapping) else {}), "packages": list(packages)}
    return yaml.safe_dump({KEY: {**section, SECTION: environment}}, sort_keys=False, allow_unicode=True)


def _joined(above: str, section: str, below: str) -> str:
    gap = "\n" if above and not above.endswith("\n") else ""
    return f"{above}{gap}{section}{below}"
