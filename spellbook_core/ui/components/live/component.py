"""An invisible element that reruns the script when the server has news."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import streamlit as st

from spellbook_core.ui.components.assets import renderer

_MOUNTS_REMEMBERED = 16


@dataclass(slots=True)
class LiveState:
    """Highest batch number handled, per mount of one listener; newest mount last."""

    handled: dict[str, int] = field(default_factory=dict)


def take_batch(state: LiveState, batch: object) -> list[dict[str, object]]:
    """Return the events of a batch that was not handled before, oldest first, and note it as handled; else nothing.

    Args:
        state: Of this listener; changed in place.
        batch: What the browser sent: a mapping of nonce and events, each event with its own `seq` and `event`.
    """
    if not isinstance(batch, Mapping) or not isinstance(batch.get("nonce"), str):
        return []
    nonce, entries = batch["nonce"], batch.get("events")
    seen = state.handled.pop(nonce, 0)
    fresh: list[dict[str, object]] = []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, Mapping) and isinstance(entry.get("seq"), int) and entry["seq"] > seen:
            seen = entry["seq"]
            if isinstance(entry.get("event"), dict):
                fresh.append(entry["event"])
    state.handled[nonce] = seen
    while len(state.handled) > _MOUNTS_REMEMBERED:
        state.handled.pop(next(iter(state.handled)))
    return fresh


def live(
    *,
    key: str,
    path: str = "/api/events",
    query: Mapping[str, str] | None = None,
    on_event: Callable[[list[dict[str, object]]], None] | None = None,
) -> list[dict[str, object]] | None:
    """Listen to a stream of server-sent events and rerun the script (or the fragment around it) when there are any.

    At most five reruns a second, and none before the last one has arrived: bursts come as one list. Of events that
    are equal, or differ only in their status, the newest is kept. Each time the stream opens (first, after a
    break, and when the tab is shown again, since a hidden tab does not listen) the list holds `{"kind": "open"}`:
    read the truth anew, because events may have been missed.

    Args:
        key: Unique on the page and stable.
        path: Of our own server, beginning with one slash.
        query: Added to the path.
        on_event: Called with the events before the script's body runs; then the events are not returned.

    Returns:
        The events since the last run of the script, oldest first; None when there are none.

    Raises:
        ValueError: The path names another server.
    """
    if not path.startswith("/") or path.startswith(("//", "/\\")):
        raise ValueError(f"The path of an event stream must begin with one slash, not be {path!r}.")
    state: LiveState = st.session_state.setdefault(f"{key}:batches", LiveState())
    waiting: list[dict[str, object]] = st.session_state.setdefault(f"{key}:waiting", [])

    def receive() -> None:
        sent = st.session_state.get(key) or {}
        events = take_batch(state, sent.get("batch"))
        if not events:
            return
        if on_event is None:
            waiting.extend(events)
        else:
            on_event(events)

    renderer("live")(
        key=key,
        height=1,
        data={"path": path, "query": dict(query or {}), "acknowledged": dict(state.handled)},
        on_batch_change=receive,
    )
    events = list(waiting)
    waiting.clear()
    return events or None
