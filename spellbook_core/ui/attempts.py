"""The earlier attempts of a block run: which one a page shows, and why it failed."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from spellbook_core.model.block import BlockType
from spellbook_core.model.run import BlockRun, Status
from spellbook_core.runs.records import AttemptEnd
from spellbook_core.services import runs
from spellbook_core.ui import state, text


def choose(block_run: BlockRun, *, key: str) -> BlockRun:
    """Draw the attempts of a block run when there are several, with the error of the one that is chosen.

    Returns:
        The block run as it was in the chosen attempt: what reads its log or metrics then reads those of that attempt.
    """
    may_have = block_run.attempt > 1 or (block_run.attempt and block_run.waiting_for is not None)
    earlier = runs.earlier_attempts(state.context(), block_run) if may_have else []
    if not earlier:
        return block_run
    ends = {end.attempt: end for end in earlier}
    numbers = sorted({*ends, block_run.attempt})
    if st.session_state.get(key) not in numbers:
        st.session_state[key] = block_run.attempt
    chosen = st.pills(
        "Attempt",
        numbers,
        key=key,
        required=True,
        label_visibility="collapsed",
        format_func=lambda number: _label(number, ends.get(number), block_run),
    )
    number = chosen or block_run.attempt
    end = ends.get(number)
    if end is not None and end.error is not None:
        headline = text.escape(end.error.exception or end.error.message, max_chars=600)
        line = f" · line {end.error.line}" if end.error.line else ""
        st.markdown(f":red[:material/error:] **{headline}**{line}")
    return replace(block_run, attempt=number)


def _label(number: int, end: AttemptEnd | None, block_run: BlockRun) -> str:
    word = "Look" if block_run.block_type == BlockType.SENSOR else "Attempt"
    if end is not None:
        return f"{word} {number} {':red[✗]' if end.error is not None else ':gray[not yet]'}"
    signs = {Status.COMPLETED: ":green[✓]", Status.FAILED: ":red[✗]", Status.RUNNING: ":blue[runs]"}
    return f"{word} {number} {signs.get(block_run.status, '')}".rstrip()
