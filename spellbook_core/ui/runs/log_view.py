"""The log of a block run, or of a whole run: level, search, live tail, download."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import streamlit as st

from spellbook_core.model.run import BlockRun
from spellbook_core.runs.logs import LogLine
from spellbook_core.services import runs
from spellbook_core.ui import parts, state, text

TAIL_LINES = 300
MATCHES = 1000
SHORT_LINES = 12
"""Up to this many lines are shown without a box that scrolls."""

LEVELS = ("All", "warning", "error")


def lines_of(
    block_runs: Sequence[BlockRun], *, level: str | None, search: str | None, tail: bool
) -> tuple[list[tuple[str, LogLine]], int]:
    """Return (block, line) of all block runs in time order, and the bytes that were dropped.

    Args:
        block_runs: One, or all of a run.
        level: Only lines of this level.
        search: Only lines with this text.
        tail: Only the last `TAIL_LINES`; without meaning when a level or text is asked for, which reads the first
            `MATCHES` that fit.
    """
    ctx = state.context()
    found: list[tuple[str, LogLine]] = []
    dropped = 0
    for block_run in block_runs:
        if tail and not level and not search:
            page = runs.log_tail(ctx, block_run, TAIL_LINES)
        else:
            page = runs.log(ctx, block_run, limit=MATCHES, level=level, search=search)
        dropped += page.dropped_bytes
        found.extend((block_run.key, line) for line in page.lines)
    found.sort(key=lambda pair: pair[1].at)
    return (found[-TAIL_LINES:] if tail else found[:MATCHES]), dropped


def as_text(found: Iterable[tuple[str, LogLine]], *, with_block: bool, zone: str | None = None) -> str:
    """Return log lines as plain text: time, level where it matters, block where several are mixed, text."""
    place = ZoneInfo(zone) if zone else None
    rows = []
    for block, line in found:
        clock = _clock(line.at, place)
        level = "" if line.level == "info" else f"{line.level.upper():<8}"
        name = f"{block} | " if with_block else ""
        rows.append(f"{clock}  {level}{name}{line.text}")
    return "\n".join(rows)


def _clock(at: datetime, place: ZoneInfo | None) -> str:
    return at.astimezone(place).strftime("%H:%M:%S.%f")[:-3] if place else at.strftime("%H:%M:%S.%f")[:-3]


def show_log(block_runs: Sequence[BlockRun], *, key: str) -> None:
    """Draw the log of one block run, or of several mixed in time order."""
    with st.container(horizontal=True, vertical_alignment="center"):
        level = st.segmented_control(
            "Level", LEVELS, default="All", required=True, key=f"log_level_{key}", label_visibility="collapsed"
        )
        search = st.text_input(
            "Search the log",
            key=f"log_search_{key}",
            placeholder="Search the log",
            icon=":material/search:",
            label_visibility="collapsed",
            width=280,
        )
        tail = st.toggle("Follow", value=True, key=f"log_follow_{key}", help="Show the last lines, as they come.")
        st.space("stretch")
        st.download_button(
            "Download",
            data=lambda: as_text(
                lines_of(block_runs, level=None, search=None, tail=False)[0], with_block=len(block_runs) > 1
            ),
            file_name=f"run-{block_runs[0].run_id}-log.txt" if block_runs else "log.txt",
            key=f"log_download_{key}",
            icon=":material/download:",
            on_click="ignore",
        )
    wanted = None if level == "All" else level
    found, dropped = lines_of(block_runs, level=wanted, search=search or None, tail=tail)
    if not found:
        if wanted or search:
            parts.empty("search_off", "No line matches", "Change the level or the search.")
        else:
            parts.empty("notes", "Nothing was printed", "What a block prints appears here while it runs.")
        return
    if dropped:
        st.caption(f":orange[:material/content_cut: {text.size(dropped)} were left out: the log was full.]")
    shown = as_text(found, with_block=len(block_runs) > 1, zone=state.zone())
    if len(found) <= SHORT_LINES:
        st.code(shown, language=None, wrap_lines=True)
        return
    with st.container(height=380, autoscroll=tail, border=False, key=f"log_{key}"):
        st.code(shown, language=None, wrap_lines=True)
