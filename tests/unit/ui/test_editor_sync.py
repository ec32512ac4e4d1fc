"""What is drawn again, what a card is called in the page, and which cards are open."""

from __future__ import annotations

import re

from spellbook_core.ui.editor import keys, sync
from spellbook_core.ui.editor.session import OPEN_ALL_UP_TO, EditorSession


def test_only_what_differs_is_drawn_again() -> None:
    shown = {"toolbar": "1", "card_a": "queued", "card_b": "done"}
    truth = {"toolbar": "1", "card_a": "running", "card_b": "done"}
    assert sync.stale(shown, truth) == ["card_a"]


def test_parts_off_the_page_are_never_stale() -> None:
    assert sync.stale({}, {"card_a": "running"}) == []


def test_only_our_pipelines_prints_are_followed() -> None:
    here = {"kind": "log", "project": "p", "pipeline": "q", "block": "a"}
    events = [
        here,
        {**here, "kind": "metric"},
        {**here, "pipeline": "other", "block": "b"},
        {**here, "kind": "block_run", "block": "c"},
        {"kind": "open"},
    ]
    assert sync.progress_keys(events, project="p", pipeline="q") == ["live_a"]


def test_plain_names_stay_in_keys() -> None:
    assert keys.widget("run", "load_titanic") == "run_load_titanic"


def test_keys_are_css_safe_and_differ() -> None:
    names = ["api/load", "api_load", "api load", "타이타닉", "a.b", "a-b", "a__b", "_a", "a_"]
    slugs = [keys.slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9]+(_[A-Za-z0-9]+)*", slug) for slug in slugs)


def test_long_pipelines_open_the_selected_card_only() -> None:
    session = EditorSession(selected="a")
    assert session.is_open("b", OPEN_ALL_UP_TO)
    assert not session.is_open("b", OPEN_ALL_UP_TO + 1)
    assert session.is_open("a", OPEN_ALL_UP_TO + 1)


def test_a_clicked_card_stays_as_it_was_put() -> None:
    session = EditorSession(selected="a", opened={"a": False, "b": True})
    assert not session.is_open("a", 2)
    assert session.is_open("b", 30)


def test_removed_block_is_forgotten() -> None:
    session = EditorSession(selected="a", child="a", opened={"a": True}, pending={"a": 3})
    session.forget("a")
    assert session == EditorSession()


def test_revisions_grow_over_all_pipelines() -> None:
    revisions = [EditorSession().next_rev(), EditorSession().next_rev(), EditorSession().next_rev()]
    assert revisions == sorted(set(revisions))
