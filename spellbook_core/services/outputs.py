"""What screens and commands do with a block's stored output: page, preview, profile, export. Nothing here runs code."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from spellbook_core.artifacts import export as exporting
from spellbook_core.artifacts import preview as paging
from spellbook_core.artifacts import profile as profiling
from spellbook_core.artifacts.formats.composites import FORMAT as PARTS_FORMAT
from spellbook_core.artifacts.formats.specs import harmless
from spellbook_core.artifacts.parts import told_parts
from spellbook_core.artifacts.preview import Page
from spellbook_core.artifacts.profile import ColumnProfile
from spellbook_core.artifacts.store import PREVIEW_IMAGE_FILE, PREVIEW_JSON_FILE, PREVIEW_TABLE_FILE, ArtifactStore
from spellbook_core.errors import NotFoundError
from spellbook_core.model.masking import Masker
from spellbook_core.model.output import Column, OutputInfo, OutputKind
from spellbook_core.model.values import JsonObject, JsonValue

__all__ = ["ColumnProfile", "Page", "Preview", "export", "has_rows", "page", "parts", "preview", "profile"]

_MAX_PREVIEW_BYTES = 32 * 1024 * 1024
"""Largest preview file that is read; the writers stay far below, so a larger one is not theirs."""


class HasArtifacts(Protocol):
    """The part of `wiring.Context` that this module needs."""

    @property
    def artifacts(self) -> ArtifactStore:
        """Where outputs lie."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What to show of an output that is no table; exactly the fields that apply are set.

    Attributes:
        kind: What the output is.
        summary: One line for people.
        text: Plain text, to be shown as text, never as Markdown or HTML.
        json: A bounded picture of a JSON-like value.
        png: Bytes of a PNG image.
        spec: A plot's specification, in `spec_language` (`vega-lite` or `plotly`).
        layers: A model's layers, each with name, type, parameters and text.
        parameters: A model's parameters, each counted once; `trainable` of them learn.
        is_cut: More was stored than is shown.
        problem: Why there is no picture, when making one failed.
    """

    kind: OutputKind
    summary: str
    text: str | None = None
    json: JsonValue = None
    has_json: bool = False
    png: bytes | None = None
    spec: JsonValue = None
    spec_language: str | None = None
    layers: tuple[JsonObject, ...] = ()
    layers_left_out: int = 0
    parameters: int | None = None
    trainable: int | None = None
    is_cut: bool = False
    problem: str | None = None


def page(
    ctx: HasArtifacts,
    output: OutputInfo,
    *,
    offset: int = 0,
    limit: int = 100,
    sort: str | None = None,
    descending: bool = False,
    search: str | None = None,
) -> Page:
    """Return some rows of a table, series or array; see `artifacts.preview.page`.

    Raises:
        NotATableError: The output has no rows to show. [SB-ART-005]
        BadPageError: Offset or limit is out of range, or there is no column `sort`. [SB-ART-008]
        ArtifactMissingError: It is no longer stored. [SB-ART-001]
        CorruptArtifactError: Its file is damaged. [SB-ART-002]
    """
    return paging.page(
        ctx.artifacts,
        output.artifact,
        offset=offset,
        limit=limit,
        sort=sort,
        descending=descending,
        search=search,
    )


def has_rows(ctx: HasArtifacts, output: OutputInfo) -> bool:
    """Return whether `page` would have something to show."""
    store = ctx.artifacts
    if not store.has(output.artifact):
        return False
    is_arrow = output.artifact.format.startswith("arrow-")
    return is_arrow or (store.folder(output.artifact) / PREVIEW_TABLE_FILE).is_file()


def parts(ctx: HasArtifacts, output: OutputInfo) -> tuple[tuple[str, OutputInfo], ...]:
    """Return (where it stands, e.g. `['train']`, the part) of each table and array in a stored list or dict.

    Each part is shown, paged and exported like any output. Empty for every other value, and for one that is gone.
    """
    store = ctx.artifacts
    if output.artifact.format != PARTS_FORMAT or not store.has(output.artifact):
        return ()
    found = []
    for part in told_parts(store.meta(output.artifact)):
        meta = store.meta(part.artifact)
        columns, rows, size = meta.get("columns"), meta.get("rows"), meta.get("size_bytes")
        info = OutputInfo(
            index=output.index,
            artifact=part.artifact,
            kind=OutputKind(str(meta.get("kind"))),
            type_name=str(meta.get("type_name")),
            rows=_count(rows),
            columns=tuple(_columns(columns)),
            size_bytes=_count(size) or 0,
            summary=str(meta.get("summary")),
            child=output.child,
        )
        found.append((part.place, info))
    return tuple(found)


def _columns(told: JsonValue) -> Iterator[Column]:
    for entry in told if isinstance(told, list) else []:
        if isinstance(entry, list) and len(entry) == 2:
            yield Column(str(entry[0]), str(entry[1]))


def preview(ctx: HasArtifacts, output: OutputInfo) -> Preview:
    """Return the picture that the block's process made of an output; cheap, reads preview files only.

    Raises:
        ArtifactMissingError: It is no longer stored. [SB-ART-001]
        CorruptArtifactError: Its description is damaged. [SB-ART-002]
    """
    store = ctx.artifacts
    meta = store.meta(output.artifact)
    folder = store.folder(output.artifact)
    problem = meta.get("preview_problem")
    png = _read(folder / PREVIEW_IMAGE_FILE)
    found = store.masker().value(_read_json(folder / PREVIEW_JSON_FILE))
    text = found.get("text")
    layers = found.get("layers")
    language = found.get("spec_language")
    return Preview(
        kind=output.kind,
        summary=output.summary,
        text=text if isinstance(text, str) else None,
        json=found.get("json"),
        has_json="json" in found,
        png=png,
        spec=harmless(found.get("spec")),
        spec_language=language if isinstance(language, str) else None,
        layers=tuple(dict(row) for row in layers if isinstance(row, dict)) if isinstance(layers, list) else (),
        layers_left_out=_count(found.get("left_out")) or 0,
        parameters=_count(found.get("parameters")),
        trainable=_count(found.get("trainable")),
        is_cut=found.get("is_cut") is True,
        problem=problem if isinstance(problem, str) else None,
    )


def profile(ctx: HasArtifacts, output: OutputInfo) -> list[ColumnProfile]:
    """Return what each column holds; about 0.3 CPU seconds for 1M x 10 cells.

    Raises:
        NotATableError: The output has no rows. [SB-ART-005]
    """
    return [_masked(column, ctx.artifacts.masker()) for column in profiling.profile(ctx.artifacts, output.artifact)]


def export(
    ctx: HasArtifacts,
    output: OutputInfo,
    to: Path,
    format: Literal["csv", "parquet", "json"],
    *,
    neutralise: bool = True,
) -> Path:
    """Write a table to `to`, whole or not at all, and return `to`; see `artifacts.export.export`.

    Raises:
        NotFoundError: The folder of `to` does not exist. [SB-SYS-002]
        NotExportableError: The output cannot be written in that format. [SB-ART-009]
        StorageError: The disk refused. [SB-SYS-006]
    """
    if not to.parent.is_dir():
        raise NotFoundError(f"The folder {to.parent} does not exist.", hint="make it, or choose another.", path=str(to))
    return exporting.export(ctx.artifacts, output.artifact, to, format, neutralise=neutralise)


def _masked(column: ColumnProfile, masker: Masker) -> ColumnProfile:
    if not masker:
        return column
    top = tuple((masker.value(value), number) for value, number in column.top)
    low, high = masker.value(column.minimum), masker.value(column.maximum)
    return replace(column, name=masker.text(column.name), minimum=low, maximum=high, top=top)


def _count(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _read(path: Path) -> bytes | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        data = file.read(_MAX_PREVIEW_BYTES + 1)
    return data if len(data) <= _MAX_PREVIEW_BYTES else None


def _read_json(path: Path) -> JsonObject:
    data = _read(path)
    if data is None:
        return {}
    try:
        found = json.loads(data)
    except ValueError:
        return {"text": "The preview is damaged; run the block again."}
    return found if isinstance(found, dict) else {}
