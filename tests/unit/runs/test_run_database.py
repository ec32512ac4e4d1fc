from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest

from spellbook_core.model.run import NewRun, Status
from spellbook_core.runs import database
from spellbook_core.runs.records import RunFilter
from spellbook_core.runs.run_file import RUN_FILE
from spellbook_core.runs.schema import migrations
from spellbook_core.runs.sqlite import SqliteRunStore
from spellbook_core.runs.store import NewerStoreError, StoreBusyError
from tests.conftest import wait_until

NOW = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)
NEW = NewRun("titanic", "torch_train", "manual")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


@pytest.fixture
def store(path):
    made = SqliteRunStore(path, runs_dir=path.parent / "runs")
    yield made
    made.close()


def count(store) -> int:
    return store.runs(RunFilter(), offset=0, limit=1).total


def test_files_are_private(store, path):
    store.create_run(NEW, now=NOW)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.glob("state.db*")}
    assert set(modes.values()) == {0o600}


def test_newer_schema_is_refused(store, path):
    store.create_run(NEW, now=NOW)
    store.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(NewerStoreError, match="has schema 999"):
        count(store)


def test_record_of_an_ended_run_is_private(store, path):
    run = store.create_run(NEW, now=NOW)
    store.end_run(run.id, Status.CANCELLED, None, now=NOW)
    (record,) = (path.parent / "runs" / str(run.id)).iterdir()
    assert record.name == RUN_FILE
    assert [stat.S_IMODE(found.stat().st_mode) for found in (record, record.parent)] == [0o600, 0o700]


def test_refused_record_costs_no_more_than_itself(store, path):
    run = store.create_run(NEW, now=NOW)
    taken = path.parent / "runs" / str(run.id) / RUN_FILE
    taken.mkdir(parents=True)
    store.end_run(run.id, Status.CANCELLED, None, now=NOW)
    assert store.run(run.id).status is Status.CANCELLED
    assert list(taken.parent.iterdir()) == [taken], "no draft is left"


@pytest.mark.guarantee("F25")
def test_damaged_file_is_moved_aside(store, path):
    store.create_run(NEW, now=NOW)
    store.close()
    path.write_bytes(b"garbage" * 4000)
    assert count(store) == 0
    assert [file.name.rpartition("-")[0] for file in path.parent.glob("*.corrupt-*")] == ["state.db.corrupt"]
    assert "was damaged" in store.warnings()[0]
    store.create_run(NEW, now=NOW)
    assert count(store) == 1


@pytest.mark.guarantee("F25")
def test_file_damaged_while_open_is_replaced(store, path):
    for _ in range(200):
        store.create_run(NEW, now=NOW)
    other = sqlite3.connect(path)
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    with path.open("r+b") as file:
        file.write(b"garbage!" * 2000)
    with pytest.raises((sqlite3.DatabaseError, AssertionError)):
        assert count(SqliteRunStore(path)) == 200
    assert count(store) == 0


@pytest.mark.guarantee("F25")
def test_deleted_file_is_made_anew(store, path):
    store.create_run(NEW, now=NOW)
    path.unlink()
    assert count(store) == 0
    store.create_run(NEW, now=NOW)
    assert count(store) == 1
    assert "deleted" in store.warnings()[0]


def test_fresh_store_counts_on_from_old_runs(store, path):
    """A run of a fresh store must not find the outcome files of an old run with its number."""
    (path.parent / "runs" / "41").mkdir(parents=True)
    assert store.create_run(NEW, now=NOW).id == 42


WRITERS = """
import os, sys, traceback
from datetime import UTC, datetime
from pathlib import Path
from spellbook_core.model.run import NewRun
from spellbook_core.runs.records import RunFilter
from spellbook_core.runs.sqlite import SqliteRunStore

ready, begin = os.pipe(), os.pipe()
writers = []
for writer in range(20):
    writers.append(os.fork())
    if not writers[-1]:
        os.close(begin[1])
        own = SqliteRunStore(Path(sys.argv[1]))
        os.write(ready[1], b"x")
        os.read(begin[0], 1)
        try:
            for number in range(25):
                with own.transaction():
                    own.runs(RunFilter(), offset=0, limit=1)
                    own.create_run(NewRun("demo", "main", "manual"), now=datetime.now(UTC))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        own.close()
        os._exit(0)
os.close(ready[1])
for _ in writers:
    os.read(ready[0], 1)
os.close(begin[1])
sys.exit(any(os.waitpid(writer, 0)[1] for writer in writers))
"""


@pytest.mark.thorough
@pytest.mark.guarantee("F24")
def test_writers_wait_for_each_other(path):
    """20 processes, 25 read-then-write transactions each, all at once: none is lost or refused."""
    done = subprocess.run([sys.executable, "-c", WRITERS, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    store = SqliteRunStore(path)
    assert count(store) == 500
    store.close()


@pytest.mark.guarantee("F24")
def test_lock_held_too_long_is_named(store, path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    count(store)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreBusyError, match=r"state\.db was locked by another process"):
        store.create_run(NEW, now=NOW)
    other.execute("ROLLBACK")
    other.close()
    store.create_run(NEW, now=NOW)


def test_interrupt_while_waiting_for_the_lock_leaves_it_to_others(store, path):
    """Ctrl+C comes through as soon as the lock is held; the run is cancelled by the same thread then."""
    count(store)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")

    begun: list[str] = []
    store._database._connection().set_trace_callback(begun.append)

    def interrupt():
        wait_until(lambda: begun, 10.0, what="it waits")
        signal.raise_signal(signal.SIGINT)
        other.execute("ROLLBACK")

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        store.create_run(NEW, now=NOW)
    interrupter.join()
    other.execute("BEGIN IMMEDIATE")
    other.execute("ROLLBACK")
    other.close()
    store.create_run(NEW, now=NOW)
    assert count(store) == 1


@pytest.mark.thorough
@pytest.mark.guarantee("F24")
def test_lock_held_for_a_while_delays_and_fails_nothing(store, path):
    """For 10 s by hand, with SPELLBOOK_FULL_PROOF=1."""
    count(store)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(10.0 if os.environ.get("SPELLBOOK_FULL_PROOF") else 0.3, other.execute, ("ROLLBACK",))
    release.start()
    store.create_run(NEW, now=NOW)
    assert not other.in_transaction, "it was waited for"
    release.join()
    other.close()
    assert count(store) == 1


def test_threads_leave_no_open_file(store, path):
    threads = [threading.Thread(target=count, args=(store,)) for _ in range(10)]
    for thread in threads:
        thread.start()
        thread.join()
    assert len(list(store._database._open)) <= 2


OLD_DATA = """
INSERT INTO pipeline_runs (id, project, pipeline, status, is_ended, trigger_kind, selection, variables, execution_date,
    created_at, blocks_total, blocks_done) VALUES (4, 'titanic', 'torch_train', 'completed', 1, 'manual',
    '{"blocks":null,"upstream":"none","downstream":false,"tests_only":false}', '{}',
    '2026-01-05T02:00:00.000000Z', '2026-01-05T02:00:00.000000Z', 1, 1);
INSERT INTO block_runs (id, run_id, block, block_type, status, position, attempt, reason, code_hash, spec, ended_at,
    outputs) VALUES (9, 4, 'fill', 'transformer', 'completed', 0, 1, 'it was chosen', 'h',
    '{"language":"python","path":"x.py","parents":[],"stored":{},"configuration":{},"timeout_s":null}',
    '2026-01-05T02:00:01.000000Z',
    '[{"index":0,"digest":"aa","format":"json","kind":"json","type_name":"int","rows":null,"columns":[],
       "size_bytes":1,"summary":"1","warnings":[]}]');
INSERT INTO attempts (block_run_id, attempt, created_at, pid) VALUES (9, 1, '2026-01-05T02:00:00.500000Z', 4711);
INSERT INTO block_heads (project, pipeline, block, newest_id, completed_id)
    VALUES ('titanic', 'torch_train', 'fill', 9, 9);
"""


def test_store_of_the_first_schema_is_brought_up_to_date(store, path):
    first = next(text for number, text in migrations() if number == 1)
    connection = sqlite3.connect(path)
    connection.executescript(first + OLD_DATA + "PRAGMA user_version = 1;")
    connection.close()
    (run,) = store.runs(RunFilter(), offset=0, limit=9).runs
    assert run.selection.is_fresh is False
    (block_run,) = store.block_runs(run.id)
    assert (block_run.reused, block_run.reused_from, block_run.reason) == (False, None, "it was chosen")
    (attempt,) = store.attempts(run.id)
    assert (attempt.block_run_id, attempt.attempt, attempt.created_at.microsecond) == (9, 1, 500_000)
    made = store.latest_made("titanic", "torch_train")["fill"]
    assert (made.parts, made.outputs[0].digest, made.made_at) == (None, "aa", block_run.ended_at)
    assert store.find_reusable("titanic", "torch_train", "fill", "any") is None
