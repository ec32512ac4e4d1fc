"""The editor as a Streamlit screen uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, TypeAlias

import streamlit as st
from streamlit.runtime.scriptrunner import RerunData, RerunException

from spellbook_core.ui.components.assets import renderer
from spellbook_core.ui.components.editor.events import EditorEvent, EditorState, handle_editor_events

Language: TypeAlias = Literal["python", "sql", "yaml", "markdown", "json", "shell", "text"]
OnEvent: TypeAlias = Callable[[EditorEvent], None]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A mark on a line: red line, sign in the gutter, and the message behind the line's text.

    Attributes:
        line: Counted from 1; a line beyond the end marks the last one.
        message: Shown as plain text.
        severity: Decides the colour and the sign.
    """

    line: int
    message: str
    severity: Literal["error", "warning", "info"] = "error"


@dataclass(frozen=True, slots=True)
class Completion:
    """A word that the editor offers besides the language's own, such as a column of an upstream table.

    Attributes:
        label: What is inserted.
        type: Chooses the icon: variable, property, function, class, keyword, constant, text ...
        detail: Shown beside the label, such as the column's type.
    """

    label: str
    type: str = "variable"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class EditorResult:
    """What the person did since the last run of the script, as far as no callback took it.

    Attributes:
        draft: Typing paused or the editor was left.
        run: Ctrl/Cmd+Enter.
        run_next: Shift+Enter.
        save: Ctrl/Cmd+S.
    """

    draft: EditorEvent | None = None
    run: EditorEvent | None = None
    run_next: EditorEvent | None = None
    save: EditorEvent | None = None


def code_editor(
    text: str,
    *,
    key: str,
    rev: int,
    language: Language = "python",
    height_px: int = 560,
    min_height_px: int = 64,
    readonly: bool = False,
    diagnostics: Sequence[Diagnostic | Mapping[str, object]] = (),
    completions: Sequence[Completion | Mapping[str, object]] = (),
    placeholder: str = "",
    label: str = "Code",
    on_draft: OnEvent | None = None,
    on_run: OnEvent | None = None,
    on_run_next: OnEvent | None = None,
    on_save: OnEvent | None = None,
) -> EditorResult:
    """Show `text` in an editor that grows with it, and report what the person does, each act exactly once.

    The editor takes `text` when it first appears and whenever `rev` changes, never otherwise: what a person types is
    not disturbed by reruns. Pass the newest text always (a draft just received included), so that an editor which is
    drawn anew starts from it; raise `rev` only when the text changed from outside (file on disk, undo, template).
    Unsaved typing is sent as a draft, with the old `rev`, before a new `rev` replaces it.

    Args:
        text: The whole text.
        key: Unique on the page and stable; the element gets the class `st-key-<key>`.
        rev: Changes exactly when `text` must replace what the browser shows.
        language: Decides colours, indentation and built-in completions.
        height_px: Greatest height; longer texts scroll inside.
        min_height_px: Least height.
        readonly: Text can be selected and searched, not changed; run keys still work.
        diagnostics: Marked lines, as `Diagnostic` or mappings of line, message and severity. They move with the text.
        completions: Words offered besides the language's own.
        placeholder: Shown in grey while the text is empty.
        label: The editor's name for screen readers.
        on_draft: Called 800 ms after the last change, and when the editor is left or removed.
        on_run: Called on Ctrl/Cmd+Enter.
        on_run_next: Called on Shift+Enter.
        on_save: Called on Ctrl/Cmd+S.

    Returns:
        The acts without a callback. Callbacks run before the script's body, in the order of the acts.
    """
    state: EditorState = st.session_state.setdefault(f"{key}:messages", EditorState())
    unclaimed: dict[str, EditorEvent] = st.session_state.setdefault(f"{key}:unclaimed", {})
    callbacks = {"draft": on_draft, "run": on_run, "run_next": on_run_next, "save": on_save}

    def receive() -> None:
        sent = st.session_state.get(key) or {}
        deliver(handle_editor_events(state, sent.get("messages")), callbacks, unclaimed)

    st.session_state[f"{key}:receive"] = receive
    renderer("editor")(
        key=key,
        data={
            "id": key,
            "doc": text,
            "rev": rev,
            "lang": language,
            "readonly": readonly,
            "diagnostics": [_plain(entry) for entry in diagnostics],
            "completions": [_plain(entry) for entry in completions],
            "minHeight": min_height_px,
            "maxHeight": height_px,
            "placeholder": placeholder,
            "label": label,
            "acknowledged": dict(state.handled),
        },
        on_messages_change=receive,
    )
    result = EditorResult(**{name: unclaimed.get(name) for name in callbacks})
    unclaimed.clear()
    return result


def deliver(
    events: Sequence[EditorEvent], callbacks: Mapping[str, OnEvent | None], unclaimed: MutableMapping[str, EditorEvent]
) -> None:
    """Hand each event to its callback, or keep it in `unclaimed`; then draw what the callbacks asked for.

    A callback that asks for a drawing ends there. The events behind it were sent together with its own on a busy
    machine (text typed after a run, a second run), are told as handled to the browser, and would be lost.
    """
    asked: list[RerunData] = []
    for event in events:
        callback = callbacks[event.name]
        if callback is None:
            unclaimed[event.name] = event
            continue
        try:
            callback(event)
        except RerunException as drawing:
            asked.append(drawing.rerun_data)
    if asked:
        is_whole_page = not all(drawing.fragment_id_queue for drawing in asked)
        fragments = [] if is_whole_page else [name for drawing in asked for name in drawing.fragment_id_queue]
        kept = dict.fromkeys(fragments)
        raise RerunException(
            replace(asked[-1], fragment_id_queue=list(kept), is_fragment_scoped_rerun=not is_whole_page)
        )


def collect(key: str) -> None:
    """Deliver what the editor `key` has sent and not delivered yet, to its callbacks.

    Streamlit does not say in which order the callbacks of one message run. Call this first in the callback of a button
    that uses the editor's text (Run, Save), so that a draft in the same message comes before.
    """
    receive: Callable[[], None] | None = st.session_state.get(f"{key}:receive")
    if receive is not None:
        receive()


def _plain(entry: Diagnostic | Completion | Mapping[str, object]) -> dict[str, object]:
    return dict(entry) if isinstance(entry, Mapping) else asdict(entry)
