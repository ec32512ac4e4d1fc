"""What a block run waits for, since when and how long still, in the words that every page uses."""

from __future__ import annotations

from datetime import datetime

from spellbook_core.model.run import BlockRun
from spellbook_core.ui import state, text


def words(block_run: BlockRun, now: datetime | None = None) -> str:
    """Return a sentence as markdown, empty when it waits for nothing that is known.

    With `now` it tells how long still, for places that are drawn every second; otherwise at what time.
    """
    if block_run.waiting_for is None:
        return ""
    parts = [f"Waiting for {text.escape(block_run.waiting_for)}"]
    if block_run.due_at is not None:
        left_s = None if now is None else max(0, round((block_run.due_at - now).total_seconds()))
        parts.append(f"at {_clock(block_run.due_at)}" if left_s is None else _left(left_s))
    if block_run.waiting_since is not None:
        parts.append(f"since {_clock(block_run.waiting_since)}")
    return " · ".join(parts)


def plain(block_run: BlockRun) -> str:
    """Return the sentence as plain text, for a cell of a table."""
    due = "" if block_run.due_at is None else f", at {_clock(block_run.due_at)}"
    since = "" if block_run.waiting_since is None else f", since {_clock(block_run.waiting_since)}"
    return text.one_line(f"waiting for {block_run.waiting_for}{due}{since}")


def _left(seconds: int) -> str:
    if not seconds:
        return "now"
    return f"in {seconds} s" if seconds < 60 else f"in {text.duration(seconds)}"


def _clock(at: datetime) -> str:
    """Return the time of day, with the date when that is not today."""
    day, _, clock = text.moment(at, state.zone()).partition(" ")
    today = text.moment(state.context().clock.now(), state.zone()).partition(" ")[0]
    return clock if day == today else f"{day} {clock}"
