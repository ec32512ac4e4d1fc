"""Small pieces that several screens draw alike: titles, status words, empty views, page numbers."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from spellbook_core.model.run import PipelineRun
from spellbook_core.ui import text
from spellbook_core.ui.status import Look, status_look, type_look


def page_title(title: str, note: str = ""):
    """Draw a screen's title (plain text) and return the row's container, for actions at its right end."""
    row = st.container(key="page_title", horizontal=True, vertical_alignment="center")
    with row:
        st.markdown(f"## {text.escape(title)}", width="content", anchors=False)
        if note:
            st.caption(text.escape(note), width="content")
        st.space("stretch")
    return row


def word(look: Look) -> str:
    """Return markdown of a look: icon and word in its colour."""
    return f":{look.color}[{look.icon} {look.word}]"


def status_badge(status: object) -> None:
    """Draw a status as a badge: icon, word, colour."""
    look = status_look(status)
    st.badge(look.word, icon=look.icon, color=look.color)


def type_badge(block_type: object) -> None:
    """Draw a block type as a badge: icon, word, hue."""
    look = type_look(block_type)
    st.badge(text.escape(look.word), icon=look.icon, color=look.color)


def empty(icon: str, title: str, body: str) -> None:
    """Draw a calm empty view: what is not there, and what would bring it (plain texts)."""
    with st.container(horizontal_alignment="center", gap="xsmall"):
        st.space("medium")
        st.markdown(f"## :gray[:material/{icon}:]", width="content", anchors=False)
        st.markdown(f"**{text.escape(title)}**", width="content")
        st.caption(text.escape(body), width="content", text_alignment="center")
        st.space("small")


def list_head(widths: Sequence[float], heads: Sequence[str]) -> None:
    """Draw the column heads above rows of the same `widths`."""
    with st.container(key="list_head"):
        for cell, head in zip(st.columns(widths), heads, strict=True):
            cell.markdown(head)


def page_offset(total: int, per_page: int, *, key: str = "page", in_url: bool = True) -> int:
    """Return how many of `total` items come before the chosen page; draws the page numbers when needed."""
    pages = max(1, -(-total // per_page))
    if pages == 1:
        return 0
    if st.session_state.get(key, 1) > pages:
        st.session_state[key] = pages
    with st.container(key=f"{key}_bar", horizontal=True, vertical_alignment="center"):
        number = st.pagination(pages, key=key, bind="query-params" if in_url else None)
        first = (number - 1) * per_page
        st.caption(f"{first + 1:,}–{min(total, first + per_page):,} of {total:,}", width="content")
    return (number - 1) * per_page


def bars(runs: Sequence[PipelineRun], slots: int = 14) -> str:
    """Return HTML of the last runs as bars, oldest left: colour says the status, height the duration.

    Holds nothing but our own words and numbers, never a user's text.
    """
    shown = list(runs[:slots])[::-1]
    longest = max((run.duration_s or 0.0 for run in shown), default=0.0) or 1.0
    pieces = ['<i class="none" style="height:5px"></i>'] * (slots - len(shown))
    for run in shown:
        share = min(1.0, (run.duration_s or longest) / longest)
        name = run.status.value if run.status.value in {"completed", "failed"} else ""
        name = name or ("running" if not run.status.is_terminal else "cancelled")
        label = f"Run {run.id}: {status_look(run.status).word}, {text.duration(run.duration_s)}"
        pieces.append(f'<i class="{name}" style="height:{6 + round(16 * share)}px" title="{label}"></i>')
    done = sum(run.status.value == "completed" for run in shown)
    summary = f"last {len(shown)} runs, {done} completed" if shown else "no runs yet"
    return f'<span class="spark" role="img" aria-label="{summary}">{"".join(pieces)}</span>'


def hours(by_hour: Sequence[int]) -> str:
    """Return HTML of the runs in each of the last hours as bars, oldest left."""
    most = max(by_hour, default=0) or 1
    pieces = [f'<i class="hour" style="height:{2 + round(26 * runs / most)}px"></i>' for runs in by_hour]
    return f'<span class="spark tall" role="img" aria-label="runs per hour, newest right">{"".join(pieces)}</span>'


def facts(values: dict[str, str]) -> None:
    """Draw names and values (plain texts) in two columns."""
    rows = [f"| {text.escape(name)} | {text.escape(value, max_chars=300)} |" for name, value in values.items()]
    st.markdown("\n".join(["| | |", "|:--|:--|", *rows]))
