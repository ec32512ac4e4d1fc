"""From a table and a chart's settings, in mage's words, to the few numbers that are drawn. Pandas; nothing is run.

The settings are those of mage-ai 0.9.80: `chart_type`, `group_by`, `metrics` (each a `column` with an `aggregation`),
`buckets`, `limit`, `order_by`, `y_sort_order`, `time_interval`, `chart_style`. A picture is a JSON mapping whose `kind`
says what else is in it: `bars` and `lines` (`x`, `series`), `histogram` (`edges`, `counts`), `pie` (`labels`,
`values`), `table` (`columns`, `rows`, `total`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from spellbook_core.worker.failures import ChartError

MAX_POINTS = 2_000
"""Most points of a series: more than a card has pixels. The first ones are drawn, and a note says so."""

MAX_ROWS = 3_000
MAX_BUCKETS = 40
DEFAULT_ROWS = 100
_MAX_TEXT = 300
_METHODS = {"average": "mean", "count": "count", "count_distinct": "nunique", "max": "max", "median": "median"}
_METHODS |= {"min": "min", "sum": "sum", "mode": "mode"}
_PERIODS = {"second": "s", "minute": "min", "hour": "h", "day": "D", "week": "W", "month": "M", "year": "Y"}
_COARSER = ("second", "minute", "hour", "day", "week", "month", "year")

Picture = dict[str, Any]
Settings = Mapping[str, Any]


def by_settings(frame: Any, settings: Settings) -> Picture:
    """Return the picture of a table that the settings alone describe.

    Raises:
        ChartError: A column is missing, or a setting that the type needs. [SB-WRK-045]
    """
    kind = str(settings.get("chart_type") or "")
    columns = [str(name) for name in settings.get("group_by") or []]
    check_columns(frame, [*columns, *(metric["column"] for metric in metrics_of(settings))])
    if kind == "histogram":
        return histogram(frame[_first(columns, kind)], settings, title=columns[0])
    if kind == "pie chart":
        return pie(frame[_first(columns, kind)], settings, title=columns[0])
    if kind == "table":
        return _table(frame, columns, settings)
    if kind in {"time series bar chart", "time series line chart"}:
        return _over_time(frame, _first(columns, kind), settings, is_line=kind.endswith("line chart"))
    if kind in {"bar chart", "line chart"}:
        return _grouped(frame, columns, settings, is_line=kind == "line chart")
    raise ChartError(f"There is no chart of type '{kind[:60]}'.", hint="choose one of the types that '+ Chart' lists.")


def _first(columns: Sequence[str], kind: str) -> str:
    if not columns:
        raise ChartError(f"A {kind} needs a column.", hint="choose one in the chart's settings.")
    return columns[0]


def metrics_of(settings: Settings) -> list[dict[str, str]]:
    """Return the metrics that are complete, each with `column` and `aggregation`."""
    found = settings.get("metrics") or []
    listed = [metric for metric in found if isinstance(metric, Mapping) and metric.get("column")]
    return [
        {"column": str(metric["column"]), "aggregation": str(metric.get("aggregation") or "count")} for metric in listed
    ]


def check_columns(frame: Any, wanted: Sequence[str]) -> None:
    """Raise ChartError when the table lacks a column that the settings name."""
    missing = [name for name in dict.fromkeys(wanted) if name not in frame.columns]
    if missing:
        known = ", ".join(str(name) for name in list(frame.columns)[:12])
        raise ChartError(
            f"The table has no column '{missing[0]}'.", hint=f"choose one of its columns: {known}.", column=missing[0]
        )


def histogram(values: Any, settings: Settings, *, title: str = "") -> Picture:
    """Return how many numbers fall into each of `buckets` equal intervals; whole numbers get intervals of their own."""
    import numpy as np
    import pandas as pd

    numbers = pd.to_numeric(pd.Series(values), errors="coerce").dropna().astype(float)
    numbers = numbers[np.isfinite(numbers)]
    if numbers.empty:
        raise ChartError(
            f"There are no numbers to count{f' in {title!r}' if title else ''}.", hint="choose a column of numbers."
        )
    low, high = float(numbers.min()), float(numbers.max())
    buckets = whole(settings.get("buckets"), MAX_BUCKETS)
    is_whole = bool((numbers % 1 == 0).all())
    edges: Any = buckets
    if is_whole and high - low < buckets:
        edges = np.arange(low, high + 2) - 0.5
    counts, bounds = np.histogram(numbers, bins=edges)
    return {
        "kind": "histogram",
        "edges": [float(edge) for edge in bounds],
        "counts": [int(count) for count in counts],
        "x_title": title,
    }


def pie(values: Any, settings: Settings, *, title: str = "") -> Picture:
    """Return the most frequent values and their counts; the rest is one slice more."""
    import pandas as pd

    counts = pd.Series(values).dropna().astype(str).value_counts()
    buckets = whole(settings.get("buckets"), MAX_BUCKETS)
    kept = counts.head(buckets)
    labels, numbers = [text(label) for label in kept.index], [int(count) for count in kept]
    rest = int(counts.sum() - kept.sum())
    if rest:
        labels.append(f"({len(counts) - len(kept)} others)")
        numbers.append(rest)
    return {"kind": "pie", "labels": labels, "values": numbers, "x_title": title}


def _table(frame: Any, columns: list[str], settings: Settings) -> Picture:
    order = settings.get("order_by")
    names = [str(name) for name in (order if isinstance(order, list) else [order]) if name]
    check_columns(frame, names)
    if names:
        frame = frame.sort_values(names, ascending=settings.get("y_sort_order") != "descending", kind="stable")
    shown = frame[columns] if columns else frame
    return rows(shown.head(whole(settings.get("limit"), DEFAULT_ROWS)), total=len(frame))


def rows(frame: Any, *, total: int | None = None) -> Picture:
    """Return a table's rows as they are."""
    shown = frame.head(MAX_ROWS)
    cells = [[_shown(value) for value in row] for row in shown.itertuples(index=False, name=None)]
    count = len(frame) if total is None else total
    return {"kind": "table", "columns": [text(name) for name in shown.columns], "rows": cells, "total": count}


def _grouped(frame: Any, columns: list[str], settings: Settings, *, is_line: bool) -> Picture:
    metrics = metrics_of(settings)
    if not columns or not metrics:
        raise ChartError(
            "A bar or line chart needs a column to group by and a metric.", hint="set both in the chart's settings."
        )
    groups = frame.groupby(columns if len(columns) > 1 else columns[0], observed=True)
    values = {title_of(metric): _aggregated(groups, metric) for metric in metrics}
    keys = list(groups.groups)
    picture = series(
        _labels(frame, columns, keys, is_line=is_line),
        {name: [cell(number) for number in found.reindex(keys)] for name, found in values.items()},
        settings,
        is_line=is_line,
    )
    is_time = is_line and len(columns) == 1 and _has_times(frame[columns[0]])
    return {**picture, **({"is_time": True} if is_time else {}), "x_title": ", ".join(columns)}


def _labels(frame: Any, columns: list[str], keys: Sequence[Any], *, is_line: bool) -> list[Any]:
    """Return what stands below each bar or point: a line of times gets an axis of time, bars get short texts."""
    if len(columns) == 1 and _has_times(frame[columns[0]]):
        import pandas as pd

        moments = pd.Series(list(keys)).dt.tz_localize(None)  # as a clock there shows them, and as tables do
        if is_line:
            return [cell(moment) for moment in moments]
        whole_days = bool((moments == moments.dt.normalize()).all())
        return [str(moment.date()) if whole_days else str(moment) for moment in moments]
    return [", ".join(text(part) for part in key) if isinstance(key, tuple) else cell(key) for key in keys]


def _has_times(column: Any) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_datetime64_any_dtype(column))


def _over_time(frame: Any, column: str, settings: Settings, *, is_line: bool) -> Picture:
    metrics = metrics_of(settings)
    if not metrics:
        raise ChartError("A time series needs a metric.", hint="set one in the chart's settings.")
    moments = times(frame[column])
    known = moments.notna()
    if not known.any():
        raise ChartError(f"The column '{column}' has no times.", hint="choose a column of dates or times.")
    starts, interval = _floored(moments[known], str(settings.get("time_interval") or "original"))
    groups = frame[known].groupby(starts.to_numpy())
    keys = sorted(groups.groups)
    picture = series(
        [cell(key) for key in keys],
        {
            title_of(metric): [cell(number) for number in _aggregated(groups, metric).reindex(keys)]
            for metric in metrics
        },
        {**settings, "chart_style": "vertical"},
        is_line=is_line,
    )
    title = column if interval == "original" else f"{column}, by {interval}"
    return {**picture, "is_time": True, "x_title": title}


def times(values: Any) -> Any:
    """Return a column as times without a zone; ten-digit numbers are seconds since 1970, as mage reads them."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values):
        return pd.to_datetime(values, unit="s", errors="coerce")
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.to_datetime(values, utc=True).dt.tz_localize(None)
    found = pd.to_datetime(values, errors="coerce", utc=True, format="ISO8601")
    if found.isna().all():
        found = pd.to_datetime(values, errors="coerce", utc=True, format="mixed")
    return found.dt.tz_localize(None)


def _floored(moments: Any, interval: str) -> tuple[Any, str]:
    """Return the start of the interval of each time; a finer interval than can be drawn becomes a coarser one."""
    steps = [interval] if interval in _PERIODS else ["original"]
    steps += [step for step in _COARSER if interval not in _PERIODS or _COARSER.index(step) > _COARSER.index(interval)]
    found = moments
    for step in steps:
        found = moments if step == "original" else moments.dt.to_period(_PERIODS[step]).dt.start_time
        if found.nunique() <= MAX_POINTS // 4:
            return found, step
    return found, steps[-1]


def _aggregated(groups: Any, metric: Mapping[str, str]) -> Any:
    """Return a group's number; texts of blanks alone count as missing, as in mage."""
    method = _METHODS.get(metric["aggregation"])
    if method is None:
        known = ", ".join(_METHODS)
        raise ChartError(f"'{metric['aggregation'][:40]}' is no aggregation.", hint=f"use one of {known}.")
    column = groups[metric["column"]]
    if method == "mode":
        return column.agg(lambda values: next(iter(values.mode()), None))
    if method in {"count", "nunique"}:
        return column.agg(lambda values: getattr(values.replace(r"^\s*$", None, regex=True), method)())
    try:
        return column.agg(method)
    except (TypeError, ValueError) as cause:
        raise ChartError(
            f"The {metric['aggregation']} of '{metric['column']}' cannot be computed: {str(cause)[:200]}.",
            hint="choose a column of numbers, or count instead.",
            column=metric["column"],
        ) from cause


def series(x: Sequence[Any], named: Mapping[str, Sequence[Any]], settings: Settings, *, is_line: bool) -> Picture:
    """Return bars or lines; bars are sorted by the first series when `y_sort_order` says so."""
    positions = list(range(len(x)))
    order = settings.get("y_sort_order")
    first = next(iter(named.values()), [])
    if order in {"ascending", "descending"} and not is_line:
        positions.sort(key=lambda n: _rank(first[n]), reverse=order == "descending")
    kept = positions[:MAX_POINTS]
    picture: Picture = {
        "kind": "lines" if is_line else "bars",
        "x": [x[n] for n in kept],
        "series": [{"name": name, "values": [values[n] for n in kept]} for name, values in named.items()],
        "is_horizontal": settings.get("chart_style") == "horizontal",
        "is_sorted": order in {"ascending", "descending"},
    }
    if len(kept) < len(positions):
        picture["note"] = f"The first {len(kept):,} of {len(positions):,} points."
    return picture


def _rank(value: Any) -> float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else -math.inf


def title_of(metric: Mapping[str, str]) -> str:
    """Return `average(Fare)`, mage's name of a metric."""
    return f"{metric['aggregation']}({metric['column']})"


def whole(value: Any, default: int) -> int:
    """Return a setting as a positive whole number; files hold numbers, texts and empty texts."""
    try:
        number = int(float(value))
    except (TypeError, ValueError):
        return default
    return min(max(number, 1), MAX_ROWS)


def cell(value: Any) -> str | int | float | bool | None:
    """Return a value as JSON holds it: numbers as they are, times as ISO text, anything else as short text."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (datetime, date)):
        return None if value != value else value.isoformat()  # NaT is a datetime that differs from itself
    if isinstance(value, timedelta):
        return str(value)
    if hasattr(value, "dtype") and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        if value.dtype.kind == "M":
            return str(value)[:19]
        return cell(value.item())
    return None if type(value).__name__ in {"NAType", "NaTType"} else text(value)


def _shown(value: Any) -> str | int | float | bool | None:
    """Return a value as a table shows it: as `cell`, times as the tables of outputs write them."""
    found = cell(value)
    return found.replace("T", " ", 1) if isinstance(value, datetime) and isinstance(found, str) else found


def text(value: Any) -> str:
    """Return short text of anything."""
    try:
        found = str(value)
    except Exception:  # noqa: BLE001  # the person's own class may fail in its __str__
        found = f"<{type(value).__name__}>"
    return found if len(found) <= _MAX_TEXT else f"{found[:_MAX_TEXT]}…"
