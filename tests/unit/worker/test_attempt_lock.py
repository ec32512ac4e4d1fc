from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from spellbook_core.engine.supervise import give_up
from spellbook_core.executors.inline import InlineExecutor
from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.outcome import OUTCOME_FILE, Outcome
from spellbook_core.model.task import LOCK_FILE, BlockTask
from spellbook_core.worker import api
from spellbook_core.worker.entry import run_task, seal
from spellbook_core.worker.failures import AttemptTakenError


def made(root, source):
    return BlockTask(
        RunId(1),
        BlockRunId(1),
        1,
        str(root),
        ProjectName("demo"),
        str(root),
        PipelineUuid("main"),
        BlockUuid("b"),
        "custom",
        "python",
        source,
        str(root / "b.py"),
        (),
        {},
        {},
        "2026-01-05T02:00:00.000000Z",
        "manual",
    )


@pytest.mark.parametrize("begun", [give_up, lambda folder: (folder / LOCK_FILE).write_text("4711")])
def test_attempt_runs_once_and_never_after_it_was_given_up(tmp_path, begun):
    """A worker that comes late (its engine died with the message unread) leaves user code alone."""
    task = made(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')\n@custom\ndef f(*args, **kwargs):\n    pass\n")
    begun(tmp_path)
    with pytest.raises(AttemptTakenError, match="begun before, or given up"):
        run_task(task, tmp_path)
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / OUTCOME_FILE).exists()


@pytest.mark.parametrize("umask", [0, 0o777])
def test_outcome_is_the_users_own_under_any_umask(tmp_path, umask):
    at = "2026-01-05T02:00:00.000000Z"
    kept = os.umask(umask)
    try:
        seal(Outcome((), (), None, at, at, 0.5, 0.1, 1000), tmp_path)
    finally:
        os.umask(kept)
    assert (tmp_path / OUTCOME_FILE).stat().st_mode & 0o777 == 0o600


def test_attempt_that_comes_to_no_outcome_leaves_no_run_current(tmp_path, workspace):
    """Outside of a main thread, which the end of a block needs."""
    executor = InlineExecutor()
    (tmp_path / "attempt").mkdir()
    executor.submit(made(tmp_path, "@custom\ndef f(*args, **kwargs):\n    pass\n"), tmp_path / "attempt")
    with ThreadPoolExecutor(1) as threads, pytest.raises(ValueError, match="main thread"):
        threads.submit(executor.poll, 0).result()
    executor.close()
    assert not (tmp_path / "attempt" / OUTCOME_FILE).exists()
    assert api.current_run() == api.CurrentRun()
