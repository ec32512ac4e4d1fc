"""What the browser tells the server about an editor, and the rule that each message counts once.

Streamlit keeps only the newest unprocessed message of a component, so a *run* could be lost behind a *draft* that
follows it while a script is busy. The browser therefore repeats every message until the server has acknowledged it,
and the server recognises repeats by the number of the mount (`nonce`) and the message (`seq`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast, get_args

EventName: TypeAlias = Literal["draft", "run", "run_next", "save"]

_NAMES = frozenset(get_args(EventName))
_MOUNTS_REMEMBERED = 16
"""Mounts per key whose numbers are kept: a page reload makes a new one, and older ones are silent by then."""


@dataclass(frozen=True, slots=True)
class EditorEvent:
    """One act of the person in an editor, with the whole text as it was at that moment.

    Attributes:
        name: draft (paused typing or left the editor), run, run_next or save.
        text: The whole text.
        rev: The `rev` whose text the person was editing. Lower than the current one: the text was replaced from
            outside meanwhile, and this is what the person had.
        seq: Rises by one per message within a mount.
        nonce: Names the mount.
    """

    name: EventName
    text: str
    rev: int
    seq: int
    nonce: str

    @property
    def request_id(self) -> str:
        """A name for this act that is the same on every repeat; fits the run store's request id."""
        return f"editor-{self.nonce}-{self.seq}"


@dataclass(slots=True)
class EditorState:
    """Highest message number handled, per mount of one editor; newest mount last."""

    handled: dict[str, int] = field(default_factory=dict)


def handle_editor_event(state: EditorState, event: object) -> EditorEvent | None:
    """Return the event when it is well formed and was not handled before, and note it as handled; else None.

    Args:
        state: Of this editor; changed in place.
        event: What the browser sent: a mapping of name, text, rev, seq and nonce.
    """
    parsed = _parse(event)
    if parsed is None or parsed.seq <= state.handled.get(parsed.nonce, 0):
        return None
    state.handled.pop(parsed.nonce, None)
    state.handled[parsed.nonce] = parsed.seq
    while len(state.handled) > _MOUNTS_REMEMBERED:
        state.handled.pop(next(iter(state.handled)))
    return parsed


def handle_editor_events(state: EditorState, payload: object) -> tuple[EditorEvent, ...]:
    """Return the events of one browser message that were not handled before, in the order in which they happened."""
    if not isinstance(payload, Iterable) or isinstance(payload, str | bytes | Mapping):
        return ()
    entries = [entry for entry in payload if isinstance(entry, Mapping)]
    entries.sort(key=lambda entry: entry["seq"] if _is_count(entry.get("seq")) else 0)
    handled = (handle_editor_event(state, entry) for entry in entries)
    return tuple(event for event in handled if event is not None)


def _parse(event: object) -> EditorEvent | None:
    if not isinstance(event, Mapping):
        return None
    name, text, nonce = event.get("name"), event.get("text"), event.get("nonce")
    seq, rev = event.get("seq"), event.get("rev")
    if name not in _NAMES or not isinstance(text, str) or not isinstance(nonce, str) or not nonce:
        return None
    if not _is_count(seq) or not isinstance(rev, int):
        return None
    return EditorEvent(name=cast("EventName", name), text=text, rev=rev, seq=cast("int", seq), nonce=nonce)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
