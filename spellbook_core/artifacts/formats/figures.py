"""Pictures of figures: PNG for matplotlib and PIL, the JSON specification for plotly and altair."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spellbook_core.artifacts.formats.specs import harmless
from spellbook_core.artifacts.store import PREVIEW_IMAGE_FILE, PREVIEW_JSON_FILE

MAX_SPEC_BYTES = 10 * 1024 * 1024
"""Largest plot specification that a screen gets: a browser draws no more."""

MAX_IMAGE_SIDE = 1_600
"""Pixels of the longer side of an image's preview."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A recognised figure: one line for people, and the writer of its preview file."""

    summary: str
    write_preview: Callable[[Path], None]


def recognise(value: Any) -> Figure | None:
    """Return how to show `value` when it is a figure of a library that is imported already, else None."""
    if "matplotlib.figure" in sys.modules and isinstance(value, sys.modules["matplotlib.figure"].Figure):
        return Figure("matplotlib figure", lambda folder: _save_matplotlib(folder, value))
    if "PIL.Image" in sys.modules and isinstance(value, sys.modules["PIL.Image"].Image):
        return Figure(f"image {value.width} x {value.height}", lambda folder: _save_image(folder, value))
    root = type(value).__module__.partition(".")[0]
    if root == "plotly" and "plotly" in sys.modules and hasattr(value, "to_plotly_json"):
        return Figure("plotly figure", lambda folder: _save_spec(folder, "plotly", value.to_json()))
    if root == "altair" and "altair" in sys.modules and hasattr(value, "mark_point" if _is_chart(value) else "to_json"):
        return Figure("altair chart", lambda folder: _save_spec(folder, "vega-lite", value.to_json()))
    return None


def _is_chart(value: Any) -> bool:
    return type(value).__name__ == "Chart"


def _save_matplotlib(folder: Path, figure: Any) -> None:
    figure.savefig(folder / PREVIEW_IMAGE_FILE, format="png", bbox_inches="tight")


def _save_image(folder: Path, image: Any) -> None:
    shown = image.copy()
    shown.thumbnail((MAX_IMAGE_SIDE, MAX_IMAGE_SIDE))
    if shown.mode not in {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}:
        shown = shown.convert("RGB")
    shown.save(folder / PREVIEW_IMAGE_FILE, format="PNG")


def _save_spec(folder: Path, language: str, spec: str) -> None:
    preview: dict[str, Any] = {"spec_language": language}
    if len(spec) <= MAX_SPEC_BYTES:
        preview["spec"] = harmless(json.loads(spec))
    else:
        preview["text"] = f"The figure holds {len(spec):,} bytes of data, too much to draw: aggregate before plotting."
    (folder / PREVIEW_JSON_FILE).write_text(json.dumps(preview), encoding="utf-8")
