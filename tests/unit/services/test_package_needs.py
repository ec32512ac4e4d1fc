from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from spellbook_core.executors import process
from spellbook_core.model.task import LOG_FILE
from spellbook_core.runs.logs import LogLine, tail
from spellbook_core.services.package_needs import awaited_log


def test_attempt_names_the_log_of_the_environment_it_waits_for(tmp_path: Path) -> None:
    """The engine writes the notice, the screens read it."""
    process._say_waiting(SimpleNamespace(recipe=SimpleNamespace(digest="ab12")), tmp_path)
    (notice,) = tail(tmp_path / LOG_FILE, 1).lines
    assert awaited_log(notice) == "environments/ab12.log"


def test_print_of_a_block_names_no_log() -> None:
    said = "Waiting for the Python environment of this block, which is being made (environments/x.log)."
    assert awaited_log(LogLine(datetime.now(UTC), "stdout", "info", said)) is None
    assert awaited_log(LogLine(datetime.now(UTC), "engine", "info", "The attempt begins.")) is None
