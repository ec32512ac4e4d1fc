"""Storing a value that was taken apart, and telling what it consists of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from spellbook_core.artifacts.formats import pickles, registry
from spellbook_core.artifacts.formats.composites import Apart
from spellbook_core.artifacts.formats.encoded import Encoded
from spellbook_core.artifacts.problems import DuplicateColumnsError
from spellbook_core.model.output import ArtifactRef, OutputInfo
from spellbook_core.model.values import JsonObject


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A table or array inside a stored list or dict: where it stands, e.g. `['train'][0]`, and where it lies."""

    place: str
    artifact: ArtifactRef


def put_apart(apart: Apart, put: Callable[[Encoded], OutputInfo]) -> OutputInfo:
    """Store the parts one after the other, so that only one of them is in memory twice, then what holds them.

    Raises:
        DuplicateColumnsError: Columns of one name differ, in the part whose place it names. [SB-ART-006]
    """
    stored = []
    for part in apart.parts:
        try:
            encoded = registry.encode(part.value)
        except DuplicateColumnsError as cause:
            raise DuplicateColumnsError(f"At {part.place}: {cause.message}", hint=cause.hint, **cause.facts) from None
        stored.append(put(cast("Encoded", encoded)))  # a table or array is never taken apart itself
        del encoded
    rest = put(pickles.encode(apart.rest, within=apart.value)) if apart.rest else None
    whole = put(apart.encoded(stored, None if rest is None else rest.artifact))
    every = {info.artifact: info.size_bytes for info in (whole, *stored, *([rest] if rest else []))}
    return replace(whole, size_bytes=sum(every.values()))


def told_parts(meta: JsonObject) -> tuple[StoredPart, ...]:
    """Return the parts that the `meta.json` of a value names; none for a value that was stored whole."""
    facts = meta.get("facts")
    told = facts.get("parts") if isinstance(facts, dict) else None
    return tuple(
        StoredPart(str(part["place"]), ArtifactRef(str(part["digest"]), str(part["format"])))
        for part in (told if isinstance(told, list) else [])
        if isinstance(part, dict) and {"place", "digest", "format"} <= part.keys()
    )
