"""Listeners get what they asked for, and never more than they can hold."""

from __future__ import annotations

import asyncio

import pytest

from spellbook_core.http.hub import QUEUE_EVENTS, EventHub, Listener, file_event


def taken(listener: Listener) -> list[dict[str, object] | None]:
    found = []
    while not listener._events.empty():
        found.append(listener._events.get_nowait())
    return found


def test_events_of_others_are_left_out():
    listener = Listener({"project": "titanic", "run_id": "3"})
    events = [
        {"kind": "run", "project": "titanic", "run_id": 3},
        {"kind": "run", "project": "titanic", "run_id": 4},
        {"kind": "run", "project": "other", "run_id": 3},
        {"kind": "file", "project": "titanic", "path": "a.py"},
        {"kind": "engine", "status": "connected"},
    ]
    for event in events:
        listener.offer(event)
    assert taken(listener) == [events[0], events[3], events[4]]


def test_slow_listener_is_told_to_read_again():
    listener = Listener({})
    for number in range(QUEUE_EVENTS + 3):
        listener.offer({"kind": "log", "block_run_id": number})
    assert taken(listener)[0] == {"kind": "resync"}


@pytest.mark.parametrize(
    ("path", "single", "event"),
    [
        ("titanic/custom/train.py", None, {"kind": "file", "project": "titanic", "path": "custom/train.py"}),
        ("titanic", None, {"kind": "file", "project": "titanic", "path": ""}),
        ("custom/train.py", "titanic", {"kind": "file", "project": "titanic", "path": "custom/train.py"}),
    ],
)
def test_file_events_name_project_and_path(path, single, event):
    assert file_event(path, single) == event


def test_closed_hub_ends_listeners_at_once():
    async def listen() -> object:
        hub = EventHub(lambda: pytest.fail("a closed hub must not open the workspace"))
        hub.close()
        async with hub.listen({}) as listener:
            return await listener.get(1.0)

    assert asyncio.run(listen()) is None
