"""What waits is told where people look: on the card and on the run's page, with its earlier attempts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spellbook_core.model.outcome import ErrorReport
from spellbook_core.model.run import NewRun
from spellbook_core.runs.records import AttemptEnd, BlockSpec, NewBlockRun, Waiting
from tests.conftest import chain, make_project


@pytest.fixture
def waiting_run(context, tmp_path):
    """A run whose first block failed once and waits 10 minutes for its first retry; its number."""
    make_project(tmp_path, blocks=chain(2))
    now = datetime.now(UTC)
    run = context.store.create_run(NewRun("demo", "main", "manual"), now=now)
    planned = [NewBlockRun(name, "transformer", "all", "x = 1", "h", BlockSpec()) for name in ("b0", "b1")]
    first, _ = context.store.begin_run(run.id, planned, now=now)
    context.store.start_attempt(first, now=now)
    error = ErrorReport("SB-WRK-001", "it failed", "mend it", {}, "ValueError: no rows [x](http://y)", line=3)
    ended = AttemptEnd(1, now, now, 0.5, error)
    due_at = now + timedelta(minutes=10)
    context.store.postpone_block(first, Waiting("retry 1 of 3", now, due_at, retried=1, attempt=ended))
    return run.id


def words(app):
    return " ".join(element.value for element in [*app.markdown, *app.caption])


def test_card_tells_what_it_waits_for_and_the_last_error(open_screen, waiting_run):
    app = open_screen("editor", project="demo", pipeline="main")
    assert not app.exception
    shown = words(app)
    assert "Waiting for retry 1 of 3 · in 9 min" in shown or "in 10 min" in shown
    assert "ValueError" in shown
    assert "[x](http" not in shown


def test_card_behind_it_waits_for_its_parents(open_screen, waiting_run):
    shown = words(open_screen("editor", project="demo", pipeline="main"))
    assert "Waiting for its parents" in shown
    assert "free process" not in shown


def test_run_page_tells_what_waits(open_screen, waiting_run):
    app = open_screen("run", project="demo", id=str(waiting_run))
    assert not app.exception
    assert "Waiting for retry 1 of 3 · at" in words(app)
    app = open_screen("run", project="demo", id=str(waiting_run), block="b0")
    assert "ValueError" in words(app)
