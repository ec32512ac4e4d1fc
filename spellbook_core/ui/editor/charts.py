"""Curves of logged metrics, and a chart of a table that the person configures."""

from __future__ import annotations

import streamlit as st

from spellbook_core.model.output import OutputInfo
from spellbook_core.services import outputs as output_service
from spellbook_core.ui import text
from spellbook_core.ui.editor import keys
from spellbook_core.ui.editor.view import Editor

_POINTS = 500
"""Points per curve: more than its pixels would only cost bytes."""

_CHART_ROWS = 1000
"""Rows of a table that a chart reads."""

_KINDS = ["Bar", "Line", "Scatter", "Histogram"]


def metrics(found, *, height: int = 230) -> None:
    """Draw each logged series as a curve over its steps, two beside each other."""
    names = list(found.series)
    columns = st.columns(2) if len(names) > 1 else [st.container()]
    for place, name in enumerate(names[:12]):
        with columns[place % len(columns)]:
            _curve(name, found.series[name], height)


def _curve(name: str, points, height: int) -> None:
    import altair as alt

    if not points:
        st.caption(f"{text.escape(name, max_chars=60)}: no value yet.")
        return
    every = max(1, len(points) // _POINTS)
    kept = [*points[::every], points[-1]] if every > 1 else list(points)
    rows = [{"step": step, "value": value} for step, value, _ in kept]
    st.markdown(f"**{text.escape(name, max_chars=60)}** :gray[{kept[-1][1]:.4g}]")
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(interpolate="monotone", strokeWidth=2)
        .encode(
            x=alt.X("step:Q", title="step", axis=alt.Axis(tickMinStep=1, grid=False)),
            y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
            tooltip=[alt.Tooltip("step:Q"), alt.Tooltip("value:Q", format=".5g")],
        )
        .properties(height=height)
    )
    st.altair_chart(chart)


def chart(editor: Editor, uuid: str, output: OutputInfo) -> None:
    """Draw the first rows of a table by the columns that the person picks."""
    names = [column.name for column in output.columns]
    if not names:
        st.caption("This output has no columns to draw.")
        return
    numbers = [column.name for column in output.columns if is_number(column.dtype)]
    kind_key, x_key, y_key, color_key = (keys.widget(f"chart_{part}", uuid) for part in ("kind", "x", "y", "color"))
    for key, allowed in ((x_key, names), (y_key, numbers), (color_key, ["", *names])):
        if key in st.session_state and st.session_state[key] not in allowed:
            del st.session_state[key]
    usual = 3 if numbers else 0
    has_y = bool(numbers) and st.session_state.get(kind_key, _KINDS[usual]) != "Histogram"
    kind_box, x_box, *y_box, color_box = st.columns(4 if has_y else 3)
    kind = kind_box.selectbox("Kind", _KINDS, key=kind_key, index=usual, persist_state="session")
    x = x_box.selectbox("X", names, key=x_key, index=names.index(numbers[0]) if numbers else 0, persist_state="session")
    y = None
    if has_y:
        y = y_box[0].selectbox("Y", numbers, key=y_key, index=min(1, len(numbers) - 1), persist_state="session")
    color = color_box.selectbox(
        "Colour", ["", *names], key=color_key, persist_state="session", format_func=lambda name: name or "none"
    )
    page = output_service.page(editor.ctx, output, offset=0, limit=_CHART_ROWS)
    if not page.rows:
        st.caption("There are no rows to draw.")
        return
    st.altair_chart(_table_chart(page, kind, x, y, color or None))
    if page.total_rows > _CHART_ROWS:
        st.caption(f"The first {_CHART_ROWS:,} of {page.total_rows:,} rows.")


def is_number(dtype: str) -> bool:
    """Return whether a pandas or Arrow dtype holds numbers."""
    return dtype.lower().startswith(("int", "uint", "float", "double", "decimal", "half"))


def _table_chart(page, kind: str, x: str, y: str | None, color: str | None):
    import altair as alt

    # Columns get made-up names: Vega reads dots, brackets and colons in a field's name as syntax.
    places = {column.name: f"c{place}" for place, column in enumerate(page.columns)}
    types = {column.name: "Q" if is_number(column.dtype) else "N" for column in page.columns}
    rows = [{f"c{place}": cell for place, cell in enumerate(row)} for row in page.rows]
    base = alt.Chart(alt.Data(values=rows))
    encoding: dict[str, object] = {}
    if kind == "Histogram":
        is_binned = types[x] == "Q"
        encoding["x"] = alt.X(f"{places[x]}:{types[x]}", title=x, bin=alt.Bin(maxbins=30) if is_binned else False)
        encoding["y"] = alt.Y("count():Q", title="rows")
        drawn = base.mark_bar()
    else:
        marks = {"Bar": base.mark_bar, "Line": base.mark_line, "Scatter": base.mark_circle}
        drawn = marks[kind]()
        encoding["x"] = alt.X(f"{places[x]}:{types[x]}", title=x)
        if y is not None:
            encoding["y"] = alt.Y(f"{places[y]}:Q", title=y)
    if color is not None:
        encoding["color"] = alt.Color(f"{places[color]}:N", title=color)
    return drawn.encode(**encoding).properties(height=260)
