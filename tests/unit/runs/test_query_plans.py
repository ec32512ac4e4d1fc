"""What pages and the engine ask often is answered from an index, however many runs are stored."""

from __future__ import annotations

import pytest

from spellbook_core.model.naming import RunId
from spellbook_core.model.run import NewRun, Status
from spellbook_core.runs.records import BlockEnd, BlockSpec, Fingerprint, NewBlockRun, RunFilter
from spellbook_core.runs.sqlite import SqliteRunStore

TRIGGERS = ("manual", "schedule", "api", "cli")


@pytest.fixture
def asked(tmp_path, clock):
    """A store, and a function that returns the plans of every statement it has run since."""
    store = SqliteRunStore(tmp_path / "state.db")
    run = store.create_run(NewRun("demo", "main", "manual"), now=clock.now())
    store.end_run(run.id, Status.COMPLETED, None, now=clock.now())
    statements: list[str] = []
    store._database._connection().set_trace_callback(statements.append)

    def plans() -> list[str]:
        seen = [text for text in statements if text.startswith(("SELECT", "UPDATE", "DELETE"))]
        store._database._connection().set_trace_callback(None)
        rows = [row for text in seen for row in store._database.rows(f"EXPLAIN QUERY PLAN {text}")]
        assert rows
        return [row["detail"] for row in rows]

    yield store, plans
    store.close()


@pytest.mark.parametrize(
    "where",
    [
        RunFilter("demo", triggers=TRIGGERS),
        RunFilter("demo", "main", triggers=TRIGGERS),
        RunFilter("demo", "main", (Status.FAILED,), TRIGGERS),
        RunFilter("demo", None, (Status.RUNNING, Status.QUEUED), TRIGGERS),
        RunFilter("demo"),
        RunFilter(statuses=(Status.FAILED,)),
    ],
    ids=["project", "pipeline", "failed of a pipeline", "active of a project", "all of a project", "failed anywhere"],
)
def test_list_of_runs_is_indexed(asked, where):
    store, plans = asked
    store.runs(where, offset=0, limit=25)
    assert [plan for plan in plans() if plan.startswith("SCAN") and "USING" not in plan] == []


def test_woken_engine_reads_only_what_is_new(asked):
    store, plans = asked
    store.unended_runs(after=RunId(1))
    found = " ".join(plans())
    assert "SCAN pipeline_runs" not in found.replace("SCAN pipeline_runs USING INDEX pipeline_runs_asked_to_end", "")
    assert "pipeline_runs_unended" in found
    assert "pipeline_runs_asked_to_end" in found


def test_notebook_and_reuse_read_by_key(asked):
    store, plans = asked
    store.latest_block_runs("demo", "main")
    store.latest_outputs("demo", "main")
    store.latest_made("demo", "main")
    store.find_reusable("demo", "main", "b0", "f")
    store.block_runs_by_id([1, 2])
    assert [plan for plan in plans() if plan.startswith("SCAN")] == []


def test_what_is_written_per_block_is_found_by_key(asked, clock):
    store, plans = asked
    run = store.create_run(NewRun("demo", "main", "manual"), now=clock.now())
    new = NewBlockRun("b0", "custom", "it was chosen", "x = 1", "hash", BlockSpec())
    for number in store.begin_run(run.id, [new], now=clock.now()):
        attempt = store.start_attempt(number, now=clock.now())
        store.record_process(number, attempt, {}, None)
        store.end_block(number, BlockEnd(Status.COMPLETED, clock.now(), fingerprint=Fingerprint("f", "parts")))
    found = plans()
    assert len(found) > 8
    assert [plan for plan in found if plan.startswith("SCAN")] == ["SCAN sqlite_sequence"], "which has a row per table"
