"""Blocks that are not Python: which languages there are, and the modules that run them, loaded when one is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from spellbook_core.model.block import SHELL_LANGUAGES

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
    if task.language == "sql":
        from spellbook_core.worker.sql_block import run_sql

        value = run_sql(task, artifacts)
    else:
        from spellbook_core.worker.shell_block import run_shell

        value = run_shell(task, artifacts)
    return [] if value is None else [artifacts.put(value, origin=f"{task.pipeline}/{task.block}")]
