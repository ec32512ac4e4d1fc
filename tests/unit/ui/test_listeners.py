"""What listens to events is drawn with what an event changes: else the browser holds the next ones back for 3 s."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from spellbook_core.model.naming import RunId
from spellbook_core.ui.editor import keys, page
from spellbook_core.ui.editor.session import EditorSession
from spellbook_core.ui.runs import overview
from spellbook_core.ui.screens import run


def test_editor_draws_its_listener_with_what_an_event_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(page, "_stale", lambda editor: ["top_load"])
    monkeypatch.setattr(page.scope, "redraw", lambda *names: asked.extend(names))
    editor = SimpleNamespace(session=EditorSession(), project="demo", uuid="main")
    page._on_events(editor, [{"kind": "block_run", "project": "demo"}])
    assert asked == ["top_load", keys.PAGE_LIVE]


@pytest.mark.parametrize("kind", ["block_run", "log"])
def test_run_page_draws_its_listener_with_what_an_event_changed(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    asked: list[str] = []
    monkeypatch.setattr(run.st, "rerun", asked.extend)
    run._react(RunId(7), [{"kind": kind, "run_id": 7}])
    assert overview.LISTENER in asked
