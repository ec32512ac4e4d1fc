"""Figures: those a block logged while it ran, and the specification of one that it returned."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from spellbook_core.runs.metrics import Figure
from spellbook_core.services import figures as figure_service
from spellbook_core.services.wiring import Context
from spellbook_core.ui import text

_MOST = 12
"""Most figures drawn at once; the newest of each name, oldest name first."""


def draw(ctx: Context, figures: Sequence[Figure], *, key: str) -> None:
    """Draw the newest figure of each name, two side by side."""
    cells = st.columns(2) if len(figures) > 1 else [st.container()]
    for number, figure in enumerate(figures[:_MOST]):
        picture = figure_service.picture(ctx, figure)
        with cells[number % len(cells)], st.container(border=True):
            step = "" if picture.step is None else f" :gray[step {picture.step}]"
            st.markdown(f"**{text.escape(picture.name, max_chars=60)}**{step}")
            if picture.png is not None:
                st.image(picture.png)
            elif picture.spec is not None:
                specification(picture.spec, picture.language, key=f"{key}_{number}")
            else:
                st.caption(text.escape(picture.text))
    if len(figures) > _MOST:
        st.caption(f"{len(figures) - _MOST} more figures lie in the attempt's folder.")


def specification(spec: object, language: str, *, key: str | None = None) -> None:
    """Draw a plot from its specification, from which all addresses were taken before."""
    if language == "vega-lite":
        st.vega_lite_chart(spec, key=key)
        return
    try:
        import plotly.graph_objects as go
    except ImportError:
        st.info("Install plotly beside Spellbook to see this figure; its data is below.", icon=":material/bar_chart:")
        st.json(spec, expanded=1)
        return
    st.plotly_chart(go.Figure(spec), key=key)
