"""What screens show of a value that is stored as a pickle, made while the value is at hand: they never read pickles."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spellbook_core.artifacts.formats import figures, json_values, models
from spellbook_core.artifacts.formats.encoded import count
from spellbook_core.artifacts.formats.frames import frame_columns, series_label
from spellbook_core.artifacts.formats.table_preview import preview_array, preview_table, preview_texts
from spellbook_core.artifacts.sketch import describe_shortly, label_text
from spellbook_core.artifacts.store import PREVIEW_JSON_FILE
from spellbook_core.model.output import Column, OutputKind
from spellbook_core.model.values import JsonValue
from spellbook_core.settings import PREVIEW_ROWS


@dataclass(frozen=True, slots=True)
class Description:
    """How a value is shown: see the attributes of the same names of `Encoded`."""

    kind: OutputKind
    summary: str
    preview: Callable[[Path], None] | None
    rows: int | None = None
    columns: tuple[Column, ...] = ()
    warnings: tuple[str, ...] = ()
    facts: dict[str, JsonValue] = field(default_factory=dict)


def describe(value: object) -> Description:
    """Return how to show `value`; looks only into libraries that are imported already."""
    return _pandas(value) or _numpy(value) or _polars(value) or _model(value) or _figure(value) or _other(value)


def _pandas(value: Any) -> Description | None:
    if "pandas" not in sys.modules:
        return None
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        columns = tuple(frame_columns(value))
        summary = f"{count(len(value), 'row')} x {count(len(columns), 'column')}"
        return Description(OutputKind.TABLE, summary, lambda folder: _frame_texts(folder, value), len(value), columns)
    if isinstance(value, pd.Series):
        columns = (Column(series_label(value.name), str(value.dtype)),)
        frame = pd.DataFrame({columns[0].name: value})
        summary = f"{count(len(value), 'value')}, {value.dtype}"
        return Description(OutputKind.SERIES, summary, lambda folder: _frame_texts(folder, frame), len(value), columns)
    return None


def _frame_texts(folder: Path, frame: Any) -> None:
    import pandas as pd

    head = frame.iloc[:PREVIEW_ROWS]
    names: list[str] = []
    values: list[list[object]] = []
    if not isinstance(frame.index, pd.RangeIndex):
        for level in range(head.index.nlevels):
            names.append(
                label_text(head.index.names[level] or ("index" if head.index.nlevels == 1 else f"level_{level}"))
            )
            values.append(_cells(head.index.get_level_values(level)))
    for position, label in enumerate(head.columns):
        names.append(label_text(label))
        values.append(_cells(head.iloc[:, position]))
    preview_texts(folder, names, values)


def _cells(column: Any) -> list[object]:
    import pandas as pd

    cells = list(column)
    return [None if cell is None or cell is pd.NA or cell is pd.NaT else cell for cell in cells]


def _numpy(value: Any) -> Description | None:
    if "numpy" not in sys.modules:
        return None
    import numpy as np

    if not isinstance(value, np.ndarray):
        return None
    array = np.asarray(value)
    facts: dict[str, JsonValue] = {"shape": [int(size) for size in array.shape], "dtype": str(array.dtype)}
    rows = int(array.shape[0]) if array.ndim else None
    summary = f"{array.dtype} {tuple(array.shape)}"
    return Description(OutputKind.ARRAY, summary, lambda folder: preview_array(folder, array), rows, facts=facts)


def _polars(value: Any) -> Description | None:
    if "polars" not in sys.modules or type(value).__module__.partition(".")[0] != "polars":
        return None
    import polars

    if isinstance(value, polars.Series):
        value = value.to_frame(value.name or "value")
    if not isinstance(value, polars.DataFrame):
        return None
    columns = tuple(Column(name, str(dtype)) for name, dtype in value.schema.items())
    summary = f"{count(value.height, 'row')} x {count(value.width, 'column')}"
    if any(str(dtype).startswith("Object") for dtype in value.dtypes):  # Arrow has no form for Python objects
        return Description(OutputKind.TABLE, summary, None, value.height, columns)
    head = value.head(PREVIEW_ROWS)
    preview: Callable[[Path], None] = lambda folder: preview_table(folder, head.to_arrow())  # noqa: E731  # typed so
    return Description(OutputKind.TABLE, summary, preview, value.height, columns)


def _model(value: object) -> Description | None:
    layers = models.layers(value)
    if layers is None:
        return None
    summary = f"{type(value).__name__}, {count(layers.parameters, 'parameter')}"
    return Description(
        OutputKind.MODEL,
        summary,
        lambda folder: _write_json(folder, layers.to_json()),
        facts={"parameters": layers.parameters, "trainable": layers.trainable},
    )


def _figure(value: object) -> Description | None:
    figure = figures.recognise(value)
    if figure is None:
        return None
    return Description(OutputKind.FIGURE, figure.summary, figure.write_preview)


def _other(value: object) -> Description:
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        return Description(
            OutputKind.OBJECT, json_values.summarise(value), lambda folder: json_values.write_preview(folder, value)
        )
    return Description(
        OutputKind.OBJECT,
        describe_shortly(value, 80),
        lambda folder: _write_json(folder, {"text": describe_shortly(value, 2_000), "is_cut": False}),
    )


def _write_json(folder: Path, preview: dict[str, JsonValue]) -> None:
    (folder / PREVIEW_JSON_FILE).write_text(json.dumps(preview, ensure_ascii=False), encoding="utf-8")
