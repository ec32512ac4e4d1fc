"""Figures that a block logged while it ran, as a screen shows them. Nothing here runs code."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from spellbook_core.artifacts.formats.specs import harmless
from spellbook_core.artifacts.store import ArtifactStore
from spellbook_core.model.values import JsonValue
from spellbook_core.runs.metrics import Figure
from spellbook_core.services.outputs import HasArtifacts

_MAX_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Picture:
    """What to draw: a PNG, or a specification in `language` (`vega-lite`, `plotly`); else `text` says why not."""

    name: str
    step: int | None
    png: bytes | None = None
    spec: JsonValue = None
    language: str = ""
    text: str = ""


def picture(ctx: HasArtifacts, figure: Figure) -> Picture:
    """Return a logged figure; one that is gone or damaged says so, since the block may be drawing it anew."""
    try:
        handle = os.open(figure.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            data = file.read(_MAX_BYTES)
        if figure.path.suffix == ".png":
            return Picture(figure.name, figure.step, png=data)
        return _spec(figure, json.loads(data), ctx.artifacts)
    except (OSError, ValueError) as problem:
        return Picture(figure.name, figure.step, text=f"The figure cannot be read: {type(problem).__name__}.")


def _spec(figure: Figure, found: object, artifacts: ArtifactStore) -> Picture:
    if not isinstance(found, dict) or "spec" not in found:
        text = found.get("text") if isinstance(found, dict) else None
        return Picture(figure.name, figure.step, text=str(text or "The figure cannot be drawn."))
    spec = harmless(artifacts.masker().value(found["spec"]))
    return Picture(figure.name, figure.step, spec=spec, language=str(found.get("spec_language")))
