from __future__ import annotations

from typing import Any

import pytest
from streamlit.runtime.scriptrunner import RerunData, RerunException

from spellbook_core.ui.components.editor.component import deliver
from spellbook_core.ui.components.editor.events import (
    EditorEvent,
    EditorState,
    handle_editor_event,
    handle_editor_events,
)


def message(seq: int, name: str = "run", *, text: str = "x = 1", nonce: str = "a1", rev: int = 3) -> dict[str, Any]:
    return {"name": name, "text": text, "rev": rev, "seq": seq, "nonce": nonce}


def test_message_counts_once() -> None:
    state = EditorState()
    assert handle_editor_event(state, message(1)) == EditorEvent("run", "x = 1", 3, 1, "a1")
    assert handle_editor_event(state, message(1)) is None
    assert handle_editor_event(state, message(2)) is not None


def test_older_message_is_ignored() -> None:
    state = EditorState()
    handle_editor_event(state, message(5))
    assert handle_editor_event(state, message(4, "draft", text="older")) is None


def test_each_mount_counts_for_itself() -> None:
    state = EditorState()
    handle_editor_event(state, message(9, nonce="first"))
    assert handle_editor_event(state, message(1, nonce="second")) is not None
    assert handle_editor_event(state, message(9, nonce="first")) is None


def test_repeated_batch_brings_only_news_in_order() -> None:
    state = EditorState()
    assert [event.name for event in handle_editor_events(state, [message(1, "run")])] == ["run"]
    batch = [message(3, "draft"), message(1, "run"), message(2, "save")]
    assert [event.name for event in handle_editor_events(state, batch)] == ["save", "draft"]
    assert handle_editor_events(state, batch) == ()


def test_two_runs_of_one_batch_are_both_delivered() -> None:
    events = handle_editor_events(EditorState(), [message(1, text="a"), message(2, text="b")])
    assert [event.text for event in events] == ["a", "b"]
    assert len({event.request_id for event in events}) == 2


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "run",
        [],
        {},
        {**message(1), "name": "erase"},
        {**message(1), "text": None},
        {**message(1), "seq": "1"},
        {**message(1), "seq": True},
        {**message(1), "seq": -1},
        {**message(1), "nonce": ""},
        {**message(1), "rev": None},
    ],
)
def test_malformed_message_is_ignored(broken: object) -> None:
    state = EditorState()
    assert handle_editor_event(state, broken) is None
    assert handle_editor_events(state, broken) == ()
    assert handle_editor_events(state, [broken]) == ()
    assert state.handled == {}


def test_memory_of_mounts_is_bounded() -> None:
    state = EditorState()
    for number in range(100):
        handle_editor_event(state, message(1, nonce=f"mount{number}"))
    assert len(state.handled) == 16
    assert handle_editor_event(state, message(1, nonce="mount99")) is None


def asking_for(*fragments: str):
    def ask(event: EditorEvent) -> None:
        raise RerunException(RerunData(fragment_id_queue=list(fragments), is_fragment_scoped_rerun=bool(fragments)))

    return ask


def drawn_after(events: list[EditorEvent], callbacks: dict[str, Any]) -> RerunData:
    with pytest.raises(RerunException) as drawing:
        deliver(events, callbacks, {})
    return drawing.value.rerun_data


def test_text_typed_behind_a_run_of_the_same_message_is_not_lost() -> None:
    events = handle_editor_events(EditorState(), [message(1, "run"), message(2, "draft", text="x = 2")])
    drafts: list[str] = []
    drawing = drawn_after(events, {"run": asking_for("card"), "draft": lambda event: drafts.append(event.text)})
    assert drafts == ["x = 2"]
    assert drawing.fragment_id_queue == ["card"]


def test_all_that_the_events_of_a_message_ask_for_is_drawn() -> None:
    events = handle_editor_events(EditorState(), [message(1, "run"), message(2, "run_next")])
    callbacks = {"run": asking_for("card", "side"), "run_next": asking_for("side", "dialogs")}
    drawing = drawn_after(events, callbacks)
    assert drawing.fragment_id_queue == ["card", "side", "dialogs"]
    assert drawing.is_fragment_scoped_rerun
    whole = drawn_after(events, callbacks | {"run_next": asking_for()})
    assert whole.fragment_id_queue == []
    assert not whole.is_fragment_scoped_rerun
