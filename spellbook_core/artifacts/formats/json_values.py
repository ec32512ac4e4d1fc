"""JSON: None, bool, int, float, str, and lists and dicts of those, when Python reads back exactly what it wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spellbook_core.artifacts.formats.encoded import Encoded, count
from spellbook_core.artifacts.sketch import MAX_DOCUMENT_CHARS, Sketcher, describe_shortly, type_name
from spellbook_core.artifacts.store import PREVIEW_JSON_FILE
from spellbook_core.model.output import OutputKind
from spellbook_core.model.values import JsonValue

FORMAT = "json"
_MAX_DEPTH = 100
_MAX_INT_BITS = 10_000  # Python refuses to parse integers of more than 4,300 digits, about 14,000 bits


def encode(value: object) -> Encoded | None:
    """Return how to store `value` as JSON, or None when JSON would change it."""
    if not is_exact(value):
        return None
    kind = OutputKind.TEXT if isinstance(value, str) else OutputKind.JSON
    return Encoded(
        format=FORMAT,
        suffix="json",
        kind=kind,
        type_name=type_name(value),
        summary=summarise(value),
        write=lambda file: _write(value, file),
        preview=lambda folder: write_preview(folder, value),
        rows=len(value) if isinstance(value, list) else None,
    )


def decode(path: Path) -> object:
    """Return the value that `encode` wrote."""
    with path.open("rb") as file:
        return json.load(file)


def is_exact(value: object, depth: int = 0) -> bool:
    """Return whether JSON gives back a value equal to `value`, types and order of keys included."""
    kind = type(value)
    if value is None or kind is bool or kind is float:
        return True
    if kind is int:
        return int(value).bit_length() <= _MAX_INT_BITS  # type: ignore[call-overload,no-any-return]  # an int by its type
    if isinstance(value, str):
        return kind is str and _has_no_surrogates(value)
    if depth >= _MAX_DEPTH:  # deep, or a list that contains itself
        return False
    if isinstance(value, list) and kind is list:
        return all(is_exact(item, depth + 1) for item in value)
    if isinstance(value, dict) and kind is dict:
        return all(
            type(key) is str and _has_no_surrogates(key) and is_exact(item, depth + 1) for key, item in value.items()
        )
    return False


def _has_no_surrogates(text: str) -> bool:
    """Two lone surrogates side by side come back from JSON as one character."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def _write(value: object, file: Any) -> None:
    if isinstance(value, (list, dict)):
        buffer: list[str] = []
        size = 0
        for piece in json.JSONEncoder(separators=(",", ":")).iterencode(value):
            buffer.append(piece)
            size += len(piece)
            if size > 1_000_000:
                file.write("".join(buffer).encode())
                buffer, size = [], 0
        file.write("".join(buffer).encode())
    else:
        file.write(json.dumps(value).encode())


def write_preview(folder: Path, value: object) -> None:
    """Write a bounded picture of `value`: its text, or a JSON sketch."""
    preview: dict[str, JsonValue]
    if isinstance(value, str):
        text = value[:MAX_DOCUMENT_CHARS].encode("utf-8", "replace").decode()
        preview = {"text": text, "is_cut": len(value) > MAX_DOCUMENT_CHARS}
    else:
        sketcher = Sketcher()
        preview = {"json": sketcher.sketch(value), "is_cut": sketcher.is_cut}
    (folder / PREVIEW_JSON_FILE).write_text(json.dumps(preview, ensure_ascii=False), encoding="utf-8")


def summarise(value: object) -> str:
    """Return one line for people, e.g. `dict of 3`, `'hello'`, `list of 1,000`."""
    if isinstance(value, str):
        return count(len(value), "character") if len(value) > 60 else describe_shortly(value)
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        return f"{type(value).__name__} of {len(value):,}"
    return describe_shortly(value, 80)
