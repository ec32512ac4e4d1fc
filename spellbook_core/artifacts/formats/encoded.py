"""What an encoder hands to the store: how to write the bytes, and what is known of the value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spellbook_core.model.output import Column, OutputKind
from spellbook_core.model.values import JsonValue

HASH_FIRST_BYTES = 1024 * 1024
"""From here on it pays to hash a value before it is written: that takes a tenth of the time."""


class UseFallbackError(Exception):
    """Raised by `Encoded.write`: this format cannot hold the value after all, the fallback can."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One value on its way to the disk.

    Attributes:
        format: Name of the format, part of the `ArtifactRef`; its decoder is chosen by it.
        suffix: Of the data file, e.g. `arrow`.
        write: Writes all bytes to the binary file it is given.
        preview: Writes the preview files into the folder it is given; None when there is nothing to show.
        fallback: Used when `write` raises `UseFallbackError`: whether pickle5 suffices is known only after the try.
        facts: What screens show and readers need beside the above; JSON, goes into `meta.json`.
        hash_first: Whether `write` may be called for the hash alone, to see if all of it is stored already: it copies
            nothing, and there is much of it.
    """

    format: str
    suffix: str
    kind: OutputKind
    type_name: str
    summary: str
    write: Callable[[Any], None]
    preview: Callable[[Path], None] | None = None
    rows: int | None = None
    columns: tuple[Column, ...] = ()
    warnings: tuple[str, ...] = ()
    facts: dict[str, JsonValue] = field(default_factory=dict)
    fallback: Encoded | None = None
    hash_first: bool = False


def count(number: int, noun: str) -> str:
    """Return `1 row`, `2 rows`, `1,000 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
