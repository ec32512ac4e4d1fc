from __future__ import annotations

import pytest

from spellbook_core.ui.components.live.component import LiveState, live, take_batch


def batch(*seqs: int, nonce: str = "m") -> dict[str, object]:
    return {"nonce": nonce, "events": [{"seq": seq, "event": {"kind": "run", "run_id": seq}} for seq in seqs]}


def test_repeated_batch_brings_only_news() -> None:
    state = LiveState()
    assert [event["run_id"] for event in take_batch(state, batch(1, 2))] == [1, 2]
    assert [event["run_id"] for event in take_batch(state, batch(1, 2, 5))] == [5]
    assert take_batch(state, batch(5)) == []
    assert state.handled == {"m": 5}


def test_new_mount_starts_afresh() -> None:
    state = LiveState()
    take_batch(state, batch(7))
    assert len(take_batch(state, batch(1, nonce="other"))) == 1


@pytest.mark.parametrize("broken", [None, [], {}, {"nonce": 1}, {"nonce": "m", "events": [1, {"seq": "x"}]}])
def test_malformed_batch_is_ignored(broken: object) -> None:
    assert take_batch(LiveState(), broken) == []


@pytest.mark.parametrize("path", ["https://example.org/x", "//example.org/x", "/\\example.org", "api/events"])
def test_stream_of_another_server_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="begin with one slash"):
        live(key="k", path=path)
