"""Run a chart's file, as mage does, on the stored outputs of the blocks it hangs on, and return its picture.

A chart's file finds its parents' values as `df_1`, `df_2`, ... and by their names. It may name what is drawn by
variables (the settings `x`, `y` and `index` say which), by functions (`@data_source`, `@x`, `@y`, `@xy`, `@columns`,
`@configuration`, `@render`), or leave all to its settings.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from spellbook_core.artifacts.store import ArtifactStore
from spellbook_core.decorators import CHART_DECORATORS, Collection
from spellbook_core.model.task import BlockInput, BlockTask
from spellbook_core.worker import chart_data
from spellbook_core.worker.arguments import arguments_of_test, spread, system_keywords
from spellbook_core.worker.chart_data import Picture
from spellbook_core.worker.failures import ChartError
from spellbook_core.worker.load import load_block

MAX_IMAGE_BYTES = 5 * 1024 * 1024
_IMAGES = {"png": b"\x89PNG\r\n", "jpeg": b"\xff\xd8\xff", "jpg": b"\xff\xd8\xff"}


def draw(task: BlockTask, artifacts: ArtifactStore) -> Picture:
    """Return the picture of a chart; see `chart_data` for what one is.

    Raises:
        ChartError: There is nothing to draw, and what to do. [SB-WRK-045]
        BaseException: Whatever the chart's own code raises.
    """
    parents = [_handed_over(entry, artifacts) for entry in task.inputs]
    names: dict[str, object] = dict(CHART_DECORATORS)
    for number, (entry, value) in enumerate(zip(task.inputs, parents, strict=True), start=1):
        names |= {entry.block: value, f"df_{number}": value}
    module, found = load_block(task, names)
    calls = _Calls(found, system_keywords(task))
    data = [calls.call("data_source", parents)] if calls.has("data_source") else parents
    settings = {**task.configuration, **_mapping(calls.call("configuration", data))}
    if calls.has("render"):
        return _rendered(calls.call("render", data), calls.options("render"), artifacts)
    x, y = calls.call("xy", data) if calls.has("xy") else (calls.call("x", data), calls.call("y", data))
    if x is None and y is None and (settings.get("group_by") or chart_data.metrics_of(settings)):
        return chart_data.by_settings(_first_frame(data), settings)
    named = {name: _global(module, settings.get(name)) for name in ("x", "y", "index")}
    x, y = x if x is not None else named["x"], y if y is not None else named["y"]
    columns = calls.call("columns", data)
    return _by_values(x, y, named["index"], columns, settings, data)


class _Calls:
    """The decorated functions of a chart's file, called with as many values as they take."""

    def __init__(self, found: Collection, keywords: Mapping[str, object]) -> None:
        self._found = found
        self._keywords = keywords

    def has(self, decorator: str) -> bool:
        return bool(self._found.of(decorator))

    def options(self, decorator: str) -> tuple[object, ...]:
        return self._found.of(decorator)[0].arguments

    def call(self, decorator: str, values: Sequence[object]) -> Any:
        marked = self._found.of(decorator)
        if not marked:
            return None
        arguments, named = arguments_of_test(marked[0].function, list(values), self._keywords)
        return marked[0].function(*arguments, **named)


def _handed_over(entry: BlockInput, artifacts: ArtifactStore) -> object:
    """Return what a parent gives; of one that ran once per item, the children's tables below each other, else a list.

    Of children with several outputs the first counts: a chart is of one table.
    """
    if not any(output.child for output in entry.outputs):
        return _one([artifacts.get(output.artifact) for output in entry.outputs])
    values = [artifacts.get(output.artifact) for output in entry.outputs if output.index == 0]
    if not all(type(value).__name__ == "DataFrame" and hasattr(value, "iloc") for value in values):
        return values
    import pandas as pd

    tables: list[Any] = values  # tables of pandas, as just seen
    return pd.concat(tables, ignore_index=True)


def _one(values: list[object]) -> object:
    return values[0] if len(values) == 1 else values or None


def _global(module: object, name: object) -> Any:
    """Return a variable that the chart's code made, by the name that the settings give; no decorator of ours."""
    value = vars(module).get(name) if isinstance(name, str) else None
    return None if any(value is decorator for decorator in CHART_DECORATORS.values()) else value


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _first_frame(data: Sequence[object]) -> Any:
    flat = [item for value in data for item in (value if isinstance(value, list) else [value]) if item is not None]
    if not flat:
        raise ChartError(
            "The chart has no data.", hint="run the block that it hangs on, or add a @data_source to its code."
        )
    return as_frame(flat[0])


def as_frame(value: Any) -> Any:
    """Return a value as a pandas table: tables, series, arrays, tensors, sparse matrices, mappings, lists of rows.

    Raises:
        ChartError: It is nothing of the kind. [SB-WRK-045]
    """
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return value.rename(columns=str)
    if isinstance(value, pd.Series):
        return value.to_frame().rename(columns=str)
    if callable(getattr(value, "to_pandas", None)):  # polars, Arrow
        return as_frame(value.to_pandas())
    if callable(getattr(value, "toarray", None)):  # scipy.sparse
        value = value.toarray()
    if callable(getattr(value, "detach", None)):  # torch
        value = value.detach().cpu().numpy()
    try:
        return pd.DataFrame(value).rename(columns=str)
    except (TypeError, ValueError):
        raise ChartError(
            f"A chart cannot read a value of type {type(value).__name__}.",
            hint="return a table from the block, or turn it into one in the chart's @data_source.",
        ) from None


# --- values that the chart's code named


def _by_values(
    x: Any, y: Any, index: Any, columns: Any, settings: Mapping[str, Any], data: Sequence[object]
) -> Picture:
    kind = str(settings.get("chart_type") or "")
    if kind == "table":
        return _value_table(x, y, index, columns, settings, data)
    if x is None and y is None:
        raise ChartError(
            "The chart names nothing to draw.",
            hint="choose its columns in the settings, or let its code set x and y, or add @render.",
        )
    if kind == "histogram":
        return chart_data.histogram(_values(x if x is not None else y), settings, title=_title(x))
    if kind == "pie chart":
        return chart_data.pie(_values(x if x is not None else y), settings, title=_title(x))
    numbers = _series(y)
    labels = [chart_data.cell(value) for value in _values(x)] if x is not None else list(range(_longest(numbers)))
    if any(len(values) != len(labels) for values in numbers):
        numbers = _turned(numbers, len(labels))
    named = dict(zip(_legend(settings, len(numbers), y), numbers, strict=True))
    is_line = kind.endswith("line chart") or kind in {"custom", ""}
    picture = chart_data.series(labels, named, settings, is_line=is_line)
    return {**picture, "x_title": _title(x), "is_time": kind.startswith("time series")}


def _turned(numbers: list[list[Any]], length: int) -> list[list[Any]]:
    """Return series of one value per label from one list per label, which is how mage's bar template writes them."""
    if len(numbers) == length and len({len(values) for values in numbers}) == 1:
        return [list(values) for values in zip(*numbers, strict=True)]
    shown = ", ".join(str(len(values)) for values in numbers[:5]) or "none"
    raise ChartError(
        f"x has {length} values, but y has {shown}.", hint="give y as many values as x, or one list of values per line."
    )


def _series(y: Any) -> list[list[Any]]:
    if y is None:
        return []
    values = _values(y)
    if values and all(_is_sequence(value) for value in values):
        return [[chart_data.cell(number) for number in _values(value)] for value in values]
    return [[chart_data.cell(number) for number in values]]


def _legend(settings: Mapping[str, Any], count: int, y: Any) -> list[str]:
    given = settings.get("legend_labels")
    names = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
    labels = [str(name).strip() for name in names if str(name).strip()][:count]
    if not labels and count == 1:
        labels = [_title(y) or str(settings.get("y") or "y")]
    return labels + [f"y{number + 1}" for number in range(len(labels), count)]


def _value_table(
    x: Any, y: Any, index: Any, columns: Any, settings: Mapping[str, Any], data: Sequence[object]
) -> Picture:
    if y is None:
        frame = _first_frame(data)
        names = [str(name) for name in _values(columns if columns is not None else x)] or list(frame.columns)
        chart_data.check_columns(frame, names)
        limit = chart_data.whole(settings.get("limit"), chart_data.DEFAULT_ROWS)
        return chart_data.rows(frame[names].head(limit), total=len(frame))
    limit = chart_data.whole(settings.get("limit"), chart_data.DEFAULT_ROWS)
    lines = [_values(row) if _is_sequence(row) else [row] for row in _values(y)]
    wide = _longest(lines)
    names = [chart_data.text(name) for name in _values(x)][:wide] if x is not None else []
    heads = names + [f"column {number + 1}" for number in range(len(names), wide)]
    marks = None if index is None else [chart_data.cell(value) for value in _values(index)][:limit]
    body = [[chart_data.cell(value) for value in [*row, *[None] * (wide - len(row))]] for row in lines[:limit]]
    if marks is not None:
        heads = ["", *heads]
        body = [[mark, *row] for mark, row in zip([*marks, *[None] * len(body)], body, strict=False)]
    return {"kind": "table", "columns": heads, "rows": body, "total": len(lines)}


def _longest(lists: Sequence[Sequence[Any]]) -> int:
    return max((len(values) for values in lists), default=0)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) >= 1


def _values(value: Any) -> list[Any]:
    if value is None:
        return []
    if hasattr(value, "to_numpy") and getattr(value, "ndim", 1) == 2:
        return list(value.to_numpy())
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]


def _title(values: Any) -> str:
    name = getattr(values, "name", None)
    return name if isinstance(name, str) else ""


# --- @render


def _rendered(value: Any, options: Sequence[object], artifacts: ArtifactStore) -> Picture:
    """Return what `@render` gave as it can be shown: HTML is text here, never part of our page."""
    way = str(options[0]).lower() if options else ""
    if way in _IMAGES:
        return {"kind": "image", "image": _image(value, way)}
    if isinstance(value, str):
        note = "HTML from a block is shown as text, not drawn." if way == "html" else ""
        return {"kind": "text", "text": value[:100_000], "note": note}
    if value is None:
        raise ChartError("The function with @render returned nothing.", hint="return a table, a figure or a text.")
    outputs = [artifacts.put(entry, index=n, origin="chart").to_json() for n, entry in enumerate(spread(value))]
    return {"kind": "outputs", "outputs": outputs}


def _image(value: Any, way: str) -> str:
    try:
        data = base64.b64decode(value, validate=False) if isinstance(value, str) else bytes(value)
    except (TypeError, ValueError):
        data = b""
    if not data.startswith(_IMAGES[way]) or len(data) > MAX_IMAGE_BYTES:
        raise ChartError(
            f"The function with @render says '{way}', but returned no such image of at most 5 MB.",
            hint="return the image's bytes, or their base64 text.",
        )
    return base64.b64encode(data).decode()
