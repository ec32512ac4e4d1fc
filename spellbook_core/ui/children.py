"""The children of a block that runs once per item: how many are done, and a compact list to choose one from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import streamlit as st

from spellbook_core.model.run import BlockRun, Status
from spellbook_core.ui import state, text
from spellbook_core.ui.status import STATUSES, status_look

_ROWS_SHOWN = 6
"""Children up to which the list is as high as it needs; more scroll, and the browser draws only what is in view."""

_HEIGHT_PX = 248

_FIRST = {Status.FAILED: 0, Status.CANCELLED: 1, Status.UPSTREAM_FAILED: 2}
"""What a person looks for stands at the top; the others follow in their own order."""


def words(counts: Mapping[Status, int]) -> str:
    """Return how far the children are: `3 of 20`, `20 children`, `19 of 20, 1 failed`."""
    total = sum(counts.values())
    done = counts.get(Status.COMPLETED, 0)
    failed = counts.get(Status.FAILED, 0)
    if done == total:
        return text.count(total, "child", "children")
    skipped = counts.get(Status.CONDITION_FAILED, 0)
    rest = (f", {failed} failed" if failed else "") + (f", {skipped} skipped" if skipped else "")
    return f"{done} of {total}{rest}"


def name(block_run: BlockRun) -> str:
    """Return what a page calls a block run: its block, and what it hangs on or which child it is."""
    if block_run.hangs_on:
        of = f"{block_run.block} → {block_run.hangs_on}"
        return f"{of}:{block_run.child}" if block_run.child else of
    return block_run.key


def choose(children: Sequence[BlockRun], *, key: str) -> BlockRun | None:
    """Draw the children as counts by state and a list; return the one whose row is chosen, None while none is."""
    counts = Counter(child.status for child in children)
    if all(child.status.is_terminal for child in children):  # before that, the chosen row would become another child
        children = sorted(children, key=lambda child: _FIRST.get(child.status, len(_FIRST)))
    with st.container(key=f"{key}_counts", horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.caption(f"Runs once per item: {text.count(len(children), 'child', 'children')}", width="content")
        for status, number in counts.items():
            look = status_look(status)
            st.badge(f"{number} {look.word}", icon=look.icon, color=look.color)
    if not children:
        st.caption("There were no items, so nothing ran.")
        return None
    known = [*STATUSES.values(), *(status_look(child.status) for child in children)]
    looks = {look.word: look.fill_on(is_dark=state.is_dark()) for look in known}
    chosen = st.dataframe(
        {
            "State": [[status_look(child.status).word] for child in children],
            "Child": [child.child for child in children],
            "Item": [text.one_line(child.reason, max_chars=80) for child in children],
            "Duration": [text.duration(child.duration_s) for child in children],
            "Result": [_result(child) for child in children],
        },
        key=f"{key}_list",
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        height="auto" if len(children) <= _ROWS_SHOWN else _HEIGHT_PX,
        column_config={
            "State": st.column_config.MultiselectColumn(options=list(looks), color=list(looks.values()), width=130),
            "Child": st.column_config.TextColumn(width=70),
            "Duration": st.column_config.TextColumn(width=80),
            "Result": st.column_config.TextColumn(width="large"),
        },
    )
    rows = chosen.selection.rows
    return children[rows[0]] if rows and rows[0] < len(children) else None


def _result(child: BlockRun) -> str:
    if child.error is not None:
        return text.one_line(child.error.exception or child.error.message, max_chars=160)
    found = ", ".join(output.summary for output in child.outputs[:3])
    return text.one_line(f"reused · {found}" if child.reused else found, max_chars=160)


def caption(child: BlockRun) -> None:
    """Draw one line that says which child is shown below."""
    run = f" · run {child.run_id}"
    st.caption(
        f":material/subdirectory_arrow_right: Child **{text.escape(child.child)}** · "
        f"{text.escape(child.reason, max_chars=120)}{run}"
    )
