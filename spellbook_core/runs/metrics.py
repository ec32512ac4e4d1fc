"""Reader of an attempt's `metrics.jsonl`: series such as the loss per epoch, the progress of a loop, figures."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

_FIGURE_FILE = re.compile(r"[0-9]{1,3}\.(?:png|json)")

Point: TypeAlias = "tuple[float, float, datetime]"
"""Step, value, when."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a loop is; `total` is None where its end is unknown."""

    done: float
    total: float | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """The newest figure of a name: `path` is a PNG, or a plot's specification as JSON."""

    name: str
    path: Path
    at: datetime
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a block logged so far: name -> points in the order they were logged, the newest progress, figures by age."""

    series: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    progress: Progress | None = None
    figures: tuple[Figure, ...] = ()


def read(path: Path) -> Metrics:
    """Return what was logged so far; nothing when the file does not exist yet. A point without a step counts from 0."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return Metrics()
    series: dict[str, list[Point]] = {}
    progress: Progress | None = None
    figures: dict[str, Figure] = {}
    for raw in text.split(b"\n")[:-1]:  # the last part is empty, or a line that is being written
        try:
            data = json.loads(raw)
            if "progress" in data:
                progress = _progress(data["progress"])
            elif "figure" in data:
                figure = _figure(data, path.parent)
                figures[figure.name] = figure
            else:
                points = series.setdefault(str(data["name"]), [])
                step = data.get("step")
                at = datetime.fromtimestamp(float(data["t"]), UTC)
                points.append((float(len(points) if step is None else step), float(data["value"]), at))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            continue
    return Metrics({name: tuple(points) for name, points in series.items()}, progress, tuple(figures.values()))


def _figure(data: Mapping[str, object], folder: Path) -> Figure:
    facts = data["figure"]
    if not isinstance(facts, Mapping) or not _FIGURE_FILE.fullmatch(str(facts["file"])):
        raise ValueError("no figure of ours")
    step = facts.get("step")
    return Figure(
        name=str(facts["name"]),
        path=folder / "figures" / str(facts["file"]),
        at=datetime.fromtimestamp(float(str(data["t"])), UTC),
        step=step if isinstance(step, int) else None,
    )


def _progress(data: Mapping[str, object]) -> Progress:
    total = data.get("total")
    return Progress(
        done=float(str(data["done"])),
        total=None if total is None else float(str(total)),
        text=str(data.get("text") or ""),
    )
