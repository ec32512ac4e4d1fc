from __future__ import annotations

import pytest

from spellbook_core.engine.supervise import give_up
from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.task import LOCK_FILE, OUTCOME_FILE, BlockTask
from spellbook_core.worker.entry import run_task
from spellbook_core.worker.failures import AttemptTakenError


@pytest.mark.parametrize("begun", [give_up, lambda folder: (folder / LOCK_FILE).write_text("4711")])
def test_attempt_runs_once_and_never_after_it_was_given_up(tmp_path, begun):
    """A worker that comes late (its engine died with the message unread) leaves user code alone."""
    source = f"open({str(tmp_path / 'ran')!r}, 'w')\n@custom\ndef f(*args, **kwargs):\n    pass\n"
    task = BlockTask(
        RunId(1),
        BlockRunId(1),
        1,
        str(tmp_path),
        ProjectName("demo"),
        str(tmp_path),
        PipelineUuid("main"),
        BlockUuid("b"),
        "custom",
        "python",
        source,
        str(tmp_path / "b.py"),
        (),
        {},
        {},
        "2026-01-05T02:00:00.000000Z",
        "manual",
    )
    begun(tmp_path)
    with pytest.raises(AttemptTakenError, match="begun before, or given up"):
        run_task(task, tmp_path)
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / OUTCOME_FILE).exists()
