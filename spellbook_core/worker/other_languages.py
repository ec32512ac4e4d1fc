"""Blocks that are not Python: which languages there are, and the modules that run them, loaded when one is needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.model.block import SHELL_LANGUAGES
from spellbook_core.project.layout import Workspace

if TYPE_CHECKING:
    from spellbook_core.model.task import BlockTask, OutputInfo

OTHER_LANGUAGES = frozenset({"sql"}) | SHELL_LANGUAGES
"""Languages of `run_other`."""


class _Artifacts(Protocol):
    def put(self, value: object, *, index: int = 0, origin: str = "") -> OutputInfo:
        """Store a value."""


def run_other(task: BlockTask, artifacts: _Artifacts) -> list[OutputInfo]:
    """Run a block of one of `OTHER_LANGUAGES` and return its stored outputs: one, or none.

    Raises:
        SpellbookError: Why it failed.
    """
    value: object
    store = LocalArtifactStore(Workspace.open(Path(task.workspace)).artifacts_dir)
    if task.language == "sql":
        from spellbook_core.worker.sql_block import run_sql

        value = run_sql(task, store)
    else:
        from spellbook_core.worker.shell_block import run_shell

        value = run_shell(task, store)
    return [] if value is None else [artifacts.put(value, origin=f"{task.pipeline}/{task.block}")]
