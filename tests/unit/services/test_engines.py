"""The engine as others see it when none is there; real ones are tested in tests/engine."""

from __future__ import annotations

from spellbook_core.engine.leader import EngineInfo, Leadership
from spellbook_core.services import engines


def test_no_engine_is_said_and_none_is_started(context):
    status = engines.status(context)
    assert (status.is_running, status.pid) == (False, None)
    assert status.problem == "No engine is running; it starts with the next run."
    assert not context.workspace.engine_log_path.exists()


def test_killed_engine_is_seen(context):
    """The announcement of a killed engine stays; its socket does not answer."""
    leadership = Leadership.take(context.workspace)
    path = str(context.workspace.state_dir / "engine.sock")
    leadership.announce(EngineInfo(1, "2026-01-05T02:00:00.000000Z", "boot", path, "0.1", 1))
    status = engines.status(context)
    assert (status.is_running, status.problem) == (False, "The engine has ended; it starts with the next run.")
    leadership.release()


def test_stopping_nothing_is_fine(context):
    engines.stop(context)
