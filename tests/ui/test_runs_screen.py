"""The list of runs: filters in the address, single blocks hidden, pages, acts."""

from __future__ import annotations

from spellbook_core.engine.run_queue import RunSkippedError
from spellbook_core.model.outcome import ErrorReport
from spellbook_core.model.run import NewRun, Status
from spellbook_core.services import engines, runs
from tests.conftest import chain, make_project
from tests.ui.conftest import texts


def rows_of(app) -> int:
    return sum((button.key or "").startswith(("again_", "cancel_")) for button in app.button)


def test_no_run_yet_says_how_to_get_one(open_screen, tmp_path):
    make_project(tmp_path)
    assert "Nothing has run yet" in texts(open_screen("runs"))


def test_single_blocks_are_hidden_until_asked_for(open_screen, tmp_path, seed_run):
    make_project(tmp_path, blocks=chain(1))
    seed_run("demo", "main", ["b0"])
    seed_run("demo", "main", ["b0"], trigger="notebook")
    app = open_screen("runs")
    assert rows_of(app) == 1
    app.toggle(key="single").set_value(True).run()
    assert rows_of(app) == 2


def test_runs_of_single_blocks_alone_are_told_of(open_screen, tmp_path, seed_run):
    make_project(tmp_path, blocks=chain(1))
    seed_run("demo", "main", ["b0"], trigger="notebook")
    shown = texts(open_screen("runs"))
    assert "No pipeline has run yet" in shown
    assert "switch on Single blocks" in shown
    assert "No run matches" in texts(open_screen("runs", trigger="api"))


def test_filters_come_from_the_address(open_screen, tmp_path, seed_run):
    make_project(tmp_path, blocks=chain(2))
    seed_run("demo", "main", ["b0", "b1"])
    failed = seed_run("demo", "main", ["b0", "b1"], failed="b1")
    app = open_screen("runs", status="failed")
    assert [button.key for button in app.button if (button.key or "").startswith("again_")] == [f"again_{failed}"]


def test_unknown_filter_in_the_address_is_ignored(open_screen, tmp_path, seed_run):
    make_project(tmp_path, blocks=chain(1))
    seed_run("demo", "main", ["b0"])
    app = open_screen("runs", status="<script>", pipeline="nope", page="99")
    assert not app.exception
    assert rows_of(app) == 1


def test_active_run_can_be_cancelled(open_screen, tmp_path, seed_run, context, monkeypatch):
    monkeypatch.setattr(engines, "wake", lambda ctx: None)  # the engine is another process, and another test's matter
    make_project(tmp_path, blocks=chain(1))
    active = seed_run("demo", "main", ["b0"], ended=False)
    app = open_screen("runs")
    app.button(key=f"cancel_{active}").click().run()
    assert not app.exception
    assert any(waiting.is_cancelled for waiting in context.store.unended_runs())


def test_queued_run_says_what_it_waits_for_and_skipped_one_why(open_screen, tmp_path, context):
    make_project(tmp_path, blocks=chain(1))
    now = context.clock.now()
    waiting = context.store.create_run(NewRun("demo", "main", "api", priority=3), now=now)
    context.store.wait_run(waiting.id, "its turn: limit 1 of pipeline main")
    skipped = context.store.create_run(NewRun("demo", "main", "api"), now=now)
    error = RunSkippedError("The run was skipped: pipeline 'main' was running already (run 1).", hint="wait")
    context.store.end_run(skipped.id, Status.CANCELLED, ErrorReport.from_json(error.to_dict()), now=now)
    shown = texts(open_screen("runs"))
    assert "its turn" in shown
    assert "was running already" in shown
    page = texts(open_screen("run", id=str(waiting.id)))
    assert "limit 1 of pipeline main" in page
    assert "priority 3" in page


def test_grid_and_timeline_draw(open_screen, tmp_path, seed_run):
    make_project(tmp_path, blocks=chain(2))
    seed_run("demo", "main", ["b0", "b1"], failed="b1")
    for view in ("Grid", "Timeline"):
        app = open_screen("runs", view=view)
        assert not app.exception
        assert "our fault" not in texts(app)
        assert "Click a" in texts(app)


def test_ten_thousand_runs_come_in_pages(open_screen, tmp_path, context):
    """F53: the list stays a page of 25, whatever the history."""
    make_project(tmp_path, blocks=chain(1))
    with context.store.transaction():
        for _ in range(10_000):
            run = context.store.create_run(NewRun("demo", "main", "schedule"), now=context.clock.now())
            context.store.end_run(run.id, Status.COMPLETED, None, now=context.clock.now())
    app = open_screen("runs", page="400")
    assert rows_of(app) == 25
    assert "9,976–10,000 of 10,000" in texts(app)
    assert runs.list_runs(context, limit=1).total == 10_000
