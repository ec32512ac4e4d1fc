"""Where the block that runs stands: its project, its workspace, its variables. What every shim module asks first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spellbook_core.worker.mage_shim.failures import OutsideOfRunError

if TYPE_CHECKING:
    from spellbook_core.model.task import BlockTask
    from spellbook_core.project.layout import ProjectLayout, Workspace
    from spellbook_core.runs.store import RunStore

_task: BlockTask | None = None


def remember(task: BlockTask) -> None:
    """Say which block this process runs; before its source is executed."""
    global _task
    _task = task


def current() -> BlockTask:
    """Return the attempt that this process runs.

    Raises:
        OutsideOfRunError: No block runs here. [SB-WRK-030]
    """
    if _task is None:
        raise OutsideOfRunError(
            "This function of mage works only inside a block that Spellbook runs.",
            hint="call it in a block's function, and run the block from the page or with `spellbook run`.",
        )
    return _task


def repo_path() -> str:
    """Return the project's folder."""
    return current().project_root


def resolve(path: str | Path) -> Path:
    """Return where a relative path of a block points: from the working directory, the project's parent."""
    return Path(path).expanduser()


def workspace() -> Workspace:
    """Return the workspace that the project belongs to."""
    from spellbook_core.project.layout import Workspace

    return Workspace.open(Path(current().workspace))


def project() -> ProjectLayout:
    """Return the project's layout."""
    return workspace().project(current().project)


def open_store() -> RunStore:
    """Return a connection of our own to the run store; close it after use."""
    from spellbook_core.runs.sqlite import SqliteRunStore

    here = workspace()
    return SqliteRunStore(here.database_path, runs_dir=here.runs_dir)
