"""Extensions of a pipeline file, such as great_expectations: kept as they are, shown, and not run here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extension:
    """One block of an extension.

    Attributes:
        kind: The extension's name, e.g. `great_expectations`.
        uuid: The block's.
        blocks: The pipeline's blocks that it hangs on.
    """

    kind: str
    uuid: str
    blocks: tuple[str, ...]


def extensions_of(document: Mapping[str, object]) -> tuple[Extension, ...]:
    """Return the extension blocks that a pipeline's document lists; what is not in mage's form is left out."""
    listed = document.get("extensions")
    found = []
    for kind, value in listed.items() if isinstance(listed, Mapping) else ():
        entries = value.get("blocks") if isinstance(value, Mapping) else None
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, Mapping) and isinstance(entry.get("uuid"), str):
                parents = entry.get("upstream_blocks")
                names = [name for name in parents if isinstance(name, str)] if isinstance(parents, list) else []
                found.append(Extension(str(kind), str(entry["uuid"]), tuple(names)))
    return tuple(found)
