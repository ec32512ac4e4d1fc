"""The charts of runs, drawn with Altair. It is imported when a chart is drawn: it costs about as much as pandas."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import streamlit as st

from spellbook_core.ui import state
from spellbook_core.ui.runs.chart_data import ChartRow, block_order
from spellbook_core.ui.status import STATUSES

_BAR_PX = 26
_SQUARE_PX = 34
"""Of a run in the grid: wide enough for its number, and 25 of them fit beside the names."""

_LEAST_PX = 3
"""Width of a bar's outline in its own colour, so that a run of a second is seen among hours."""


def _colors():
    import altair as alt

    looks = {look.word: look.hex for look in STATUSES.values()}
    return alt.Scale(domain=list(looks), range=list(looks.values()))


def _frame(rows: Sequence[ChartRow]):
    import altair as alt

    return alt.Data(values=[{key: _plain(value) for key, value in row.items()} for row in rows])


def _plain(value: object) -> object:
    return value.isoformat() if hasattr(value, "isoformat") else value


def grid(rows: Sequence[ChartRow], *, key: str) -> int | None:
    """Draw blocks x runs as coloured squares; return the run of a clicked square."""
    import altair as alt

    order = block_order(rows)
    pick = alt.selection_point(name="pick", fields=["run_id"], on="click", empty=False)
    chart = (
        alt.Chart(_frame(rows))
        .mark_rect(cornerRadius=3, stroke="transparent", strokeWidth=3, cursor="pointer")
        .encode(
            x=alt.X(
                "run:O",
                title=None,
                sort=alt.EncodingSortField("run_id", op="min"),
                scale=alt.Scale(paddingInner=0.18),
                axis=alt.Axis(labelAngle=0, labelOverlap=True),
            ),
            y=alt.Y("block:N", title=None, sort=order, scale=alt.Scale(paddingInner=0.18), axis=_names()),
            color=alt.Color("status:N", scale=_colors(), legend=None),
            tooltip=["block:N", "run:O", "status:N", "duration:N"],
        )
        .add_params(pick)
        .properties(height=alt.Step(_BAR_PX), width=alt.Step(_SQUARE_PX))
    )
    event = st.altair_chart(_readable(chart), key=key, on_select="rerun", selection_mode="pick", width="content")
    picked = event.selection.get("pick") if event else None
    return int(picked[0]["run_id"]) if picked else None


def _readable(chart):
    """Return the chart with letters as dark as captions: Streamlit's on white have a contrast of 3.7 to 1."""
    ink = "#a09dac" if state.is_dark() else "#666475"
    return chart.configure_axis(labelColor=ink, titleColor=ink)


def _names():
    import altair as alt

    return alt.Axis(labelLimit=220, domain=False, ticks=False, labelOverlap=False)


def spans(rows: Sequence[ChartRow], *, key: str) -> None:
    """Draw block runs as bars over the seconds since the first start."""
    import altair as alt

    # Streamlit hands the rows over after the first drawing; without a domain Vega warns that it found none.
    last = max((float(str(row["end"])) for row in rows), default=0.0) or 1.0
    chart = (
        alt.Chart(_frame(rows))
        .mark_bar(cornerRadius=3, height=12, strokeWidth=1)
        .encode(
            x=alt.X(
                "begin:Q",
                title="seconds",
                axis=alt.Axis(grid=True, tickCount=6),
                scale=alt.Scale(domain=[0, last], nice=True),
            ),
            x2="end:Q",
            y=alt.Y("block:N", title=None, sort=[row["block"] for row in rows], axis=_names()),
            color=alt.Color("status:N", scale=_colors(), legend=None),
            stroke=alt.Stroke("status:N", scale=_colors(), legend=None),
            tooltip=["block:N", "status:N", "duration:N"],
        )
        .properties(height=alt.Step(_BAR_PX))
    )
    st.altair_chart(_readable(chart), key=key)


def run_spans(rows: Sequence[ChartRow], *, key: str) -> int | None:
    """Draw pipeline runs as bars on the calendar; return the run of a clicked bar."""
    import altair as alt

    pick = alt.selection_point(name="pick", fields=["run_id"], on="click", empty=False)
    chart = (
        alt.Chart(_frame(rows))
        .mark_bar(cornerRadius=3, height=12, strokeWidth=_LEAST_PX, cursor="pointer")
        .encode(
            x=alt.X("begin:T", title=None, axis=alt.Axis(orient="top", tickCount=8, format=_clock(rows))),
            x2="end:T",
            y=alt.Y("run:N", title=None, sort=[row["run"] for row in rows], axis=_names()),
            color=alt.Color("status:N", scale=_colors(), legend=None),
            stroke=alt.Stroke("status:N", scale=_colors(), legend=None),
            tooltip=["run:N", "status:N", "duration:N", alt.Tooltip("begin:T", format="%Y-%m-%d %H:%M:%S")],
        )
        .add_params(pick)
        .properties(height=alt.Step(_BAR_PX))
    )
    event = st.altair_chart(_readable(chart), key=key, on_select="rerun", selection_mode="pick")
    picked = event.selection.get("pick") if event else None
    return int(picked[0]["run_id"]) if picked else None


def _clock(rows: Sequence[ChartRow]) -> str:
    """Return how the times below the bars are written: Vega's own way names an hour of twelve, or only a second."""
    moments = [datetime.fromisoformat(str(_plain(row[name]))) for row in rows for name in ("begin", "end")]
    span = max(moments) - min(moments)
    if span < timedelta(minutes=10):
        return "%H:%M:%S"
    return "%H:%M" if span < timedelta(days=1) else "%b %d, %H:%M" if span < timedelta(days=7) else "%b %d"


def legend(statuses: Sequence[str]) -> None:
    """Draw what the colours mean, with icons and words."""
    from spellbook_core.ui.parts import word
    from spellbook_core.ui.status import status_look

    st.caption("\u2003".join(word(status_look(status)) for status in statuses))
