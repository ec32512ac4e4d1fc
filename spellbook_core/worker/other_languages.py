"""Blocks without a decorated function: SQL, shell, scratchpads; their modules are loaded when one is needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from spellbook_core.artifacts.formats.query_results import QueryResult, as_frame
from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.model.block import RUNNABLE_TYPES, SHELL_LANGUAGES, BlockType, is_dynamic
from spellbook_core.project.layout import Workspace
from spellbook_core.worker.items import put_items

if TYPE_CHECKING:
    from spellbook_core.model.output import ArtifactRef, OutputInfo
    from spellbook_core.model.task import BlockTask

_LANGUAGES = frozenset({"sql"}) | SHELL_LANGUAGES


class _Artifacts(Protocol):
    def put(self, value: object, *, index: int = 0, origin: str = "") -> OutputInfo:
        """Store a value."""

    def get(self, ref: ArtifactRef) -> object:
        """Read a stored value."""


def is_other(task: BlockTask) -> bool:
    """Whether a block is one that `run_other` runs."""
    if task.block_type == BlockType.SCRATCHPAD:
        return task.language == "python" or task.language in _LANGUAGES
    return task.language in _LANGUAGES and task.block_type in RUNNABLE_TYPES


def run_other(task: BlockTask, artifacts: _Artifacts) -> list[OutputInfo]:
    """Run a block for which `is_other` holds and return its stored outputs: one, or none; of a dynamic one its items.

    Raises:
        SpellbookError: Why it failed.
    """
    value: object
    store = LocalArtifactStore(Workspace.open(Path(task.workspace)).artifacts_dir)
    if task.language == "sql":
        from spellbook_core.worker.sql_block import run_sql

        value = run_sql(task, store)
    elif task.language == "python":
        from spellbook_core.worker.scratchpad import run_scratchpad

        value = run_scratchpad(task)
    else:
        from spellbook_core.worker.shell_block import run_shell

        value = run_shell(task, store)
    if is_dynamic(task.configuration):
        return put_items(task, as_frame(value.table) if isinstance(value, QueryResult) else value, artifacts)[0]
    return [] if value is None else [artifacts.put(value, origin=f"{task.pipeline}/{task.block}")]
