"""Pictures of charts, drawn by Vega-Lite from their numbers. Nothing that a block made becomes HTML of our page."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from itertools import pairwise

import streamlit as st

from spellbook_core.model.output import OutputInfo
from spellbook_core.services import outputs as output_service
from spellbook_core.ui import text
from spellbook_core.ui.editor import tables
from spellbook_core.ui.editor.view import Editor

_HEIGHT_PX = 260
_ROW_PX = 35
_MOST_ROWS_SHOWN = 9
_MOST_LABELS = 60
"""Bars beyond this many get no label of their own."""

_CHARACTERS = 90
"""Characters of labels that have room in a row."""

_BAR_PART = 0.85
"""Of the time between two bars of a time series, what the bar takes."""

_MONTH, _YEAR = timedelta(days=28), timedelta(days=365)
_MOST_TICKS = 8
"""Marks on an axis of months or years."""

_COLOURS = [
    "#6d5ae6",
    "#f97316",
    "#16a34a",
    "#0ea5e9",
    "#e11d48",
    "#ca8a04",
    "#7c3aed",
    "#0d9488",
    "#64748b",
    "#db2777",
]


def draw(editor: Editor, picture) -> None:
    """Draw what a chart's process returned; see `worker.chart_data`."""
    kind = picture["kind"]
    if kind == "table":
        _table(picture)
    elif kind == "text":
        st.code(picture["text"], language=None, wrap_lines=True)
    elif kind == "image":
        st.image(base64.b64decode(picture["image"]))
    elif kind == "outputs":
        for output in picture["outputs"]:
            _output(editor, OutputInfo.from_json(output))
    else:
        drawers = {"bars": _series, "lines": _series, "histogram": _histogram, "pie": _pie}
        st.altair_chart(drawers[kind](picture))
    if picture.get("note"):
        st.caption(text.escape(picture["note"]))


def _output(editor: Editor, output: OutputInfo) -> None:
    if output_service.has_rows(editor.ctx, output):
        page = output_service.page(editor.ctx, output, limit=100)
        st.dataframe(page.table, hide_index=True, height=_table_height(len(page.rows)))
        if page.total_rows > len(page.rows):
            st.caption(f"The first {len(page.rows):,} of {page.total_rows:,} rows.")
    else:
        tables.preview(editor, output)


def _table_height(rows: int) -> int:
    return _ROW_PX * (min(rows, _MOST_ROWS_SHOWN) + 1) + 2


def _table(picture) -> None:
    import pyarrow as pa

    names: list[str] = []
    for name in picture["columns"]:  # the browser needs each once
        names.append(name if name not in names else f"{name} ({names.count(name) + len(names)})")
    columns = [_column(pa, [row[place] for row in picture["rows"]]) for place in range(len(names))]
    if not names:
        st.caption("The table has no columns.")
        return
    st.dataframe(pa.Table.from_arrays(columns, names), hide_index=True, height=_table_height(len(picture["rows"])))
    if picture["total"] > len(picture["rows"]):
        st.caption(f"{len(picture['rows']):,} of {picture['total']:,} rows.")


def _column(pa, cells):
    try:
        return pa.array(cells)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if cell is None else str(cell) for cell in cells])


def _series(picture):
    """Return bars or lines. Fields have made-up names: Vega reads dots and brackets in a field's name as syntax."""
    import altair as alt

    rows = [
        {"x": label, "s": series["name"], "v": value}
        for series in picture["series"]
        for label, value in zip(picture["x"], series["values"], strict=True)
    ]
    names = [series["name"] for series in picture["series"]]
    kind = _type_of(picture)
    is_line = picture["kind"] == "lines"
    is_lying = bool(picture.get("is_horizontal")) and not is_line and kind == "O"
    has_few = len(picture["x"]) <= _MOST_LABELS
    axis = {"labels": has_few, "labelLimit": 160, "labelAngle": _angle(picture["x"])} if kind == "O" else {}
    if kind == "T":
        axis = _calendar(picture)
    x_options = {"title": picture.get("x_title") or None, "sort": None, "axis": alt.Axis(grid=False, **axis)}
    v_options = {"title": names[0] if len(names) == 1 else None, "scale": alt.Scale(zero=not is_line)}
    across, up = (alt.Y, alt.X) if is_lying else (alt.X, alt.Y)
    encoding = {"y" if is_lying else "x": across(f"x:{kind}", **x_options)}
    encoding["x" if is_lying else "y"] = up("v:Q", stack=None, **v_options)
    encoding["tooltip"] = [alt.Tooltip(f"x:{kind}"), alt.Tooltip("s:N"), alt.Tooltip("v:Q", format=",.6~g")]
    encoding["color"] = alt.value(_COLOURS[0])
    if len(names) > 1:
        encoding["color"] = alt.Color("s:N", title=None, sort=names, scale=alt.Scale(range=_COLOURS))
        if not is_line and kind == "O":
            side, offset = ("yOffset", alt.YOffset) if is_lying else ("xOffset", alt.XOffset)
            encoding[side] = offset("s:N", sort=names)
    if kind == "T" and not is_line:
        rows = _spans(picture)
        encoding |= {"x2": alt.X2("e"), "y2": alt.Y2Datum(0)}
        encoding["tooltip"][0] = alt.Tooltip("t:T", title="x")
    base = alt.Chart(alt.Data(values=rows))
    mark = base.mark_line(point=has_few, strokeWidth=2) if is_line else base.mark_bar()
    tall = max(150, min(560, 70 + 26 * len(picture["x"]))) if is_lying else _HEIGHT_PX
    return mark.encode(**encoding).properties(height=tall)


def _spans(picture) -> list[dict[str, object]]:
    """Return the bars of a time series, each as wide as the time up to the next one, shared by the series."""
    starts, gaps = _moments(picture)
    usual = sorted(gaps)[len(gaps) // 2]
    rows: list[dict[str, object]] = []
    for number, series in enumerate(picture["series"]):
        for start, gap, value in zip(starts, [*gaps[: len(starts) - 1], usual], series["values"], strict=True):
            wide = min(gap, usual) * _BAR_PART / len(picture["series"])
            begin = start + number * wide
            span = {"x": begin.isoformat(), "e": (begin + wide).isoformat(), "t": start.isoformat()}
            rows.append({**span, "s": series["name"], "v": value})
    return rows


def _moments(picture) -> tuple[list[datetime], list[timedelta]]:
    """Return the moments of a time series and the time between each and the next."""
    moments = [datetime.fromisoformat(moment) for moment in picture["x"]]
    return moments, [after - before for before, after in pairwise(moments)] or [timedelta(days=1)]


def _calendar(picture) -> dict[str, object]:
    """Return the axis of a time series that goes by months or years: Vega would count it in days or halves of years."""
    moments, gaps = _moments(picture)
    usual = sorted(gaps)[len(gaps) // 2]
    unit = "year" if usual >= _YEAR else "month" if usual >= _MONTH else None
    if unit is None:
        return {}
    step = -(-len(moments) // _MOST_TICKS)
    return {"tickCount": {"interval": unit, "step": step}, "format": "%Y" if unit == "year" else "%b %Y"}


def _angle(labels) -> int:
    """Return how labels stand: lying while they have room."""
    return 0 if sum(len(str(label)) + 2 for label in labels) <= _CHARACTERS else -40


def _type_of(picture) -> str:
    if picture.get("is_time"):
        return "T"
    is_number = all(isinstance(label, (int, float)) and not isinstance(label, bool) for label in picture["x"])
    return "Q" if picture["kind"] == "lines" and is_number else "O"


def _histogram(picture):
    import altair as alt

    edges = picture["edges"]
    rows = [{"low": edges[n], "high": edges[n + 1], "count": count} for n, count in enumerate(picture["counts"])]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color=_COLOURS[0])
        .encode(
            x=alt.X("low:Q", bin="binned", title=picture.get("x_title") or None),
            x2="high:Q",
            y=alt.Y("count:Q", title="rows"),
            tooltip=[alt.Tooltip("low:Q"), alt.Tooltip("high:Q"), alt.Tooltip("count:Q")],
        )
        .properties(height=_HEIGHT_PX)
    )


def _pie(picture):
    import altair as alt

    pairs = list(zip(picture["labels"], picture["values"], strict=True))
    rows = [{"label": label, "count": count, "n": place} for place, (label, count) in enumerate(pairs)]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_arc(innerRadius=55)
        .encode(
            theta=alt.Theta("count:Q", stack=True),
            order=alt.Order("n:Q"),
            color=alt.Color(
                "label:N", title=picture.get("x_title") or None, sort=None, scale=alt.Scale(range=_COLOURS)
            ),
            tooltip=[alt.Tooltip("label:N"), alt.Tooltip("count:Q", format=",")],
        )
        .properties(height=_HEIGHT_PX)
    )
