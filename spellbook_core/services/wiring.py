"""The one place that chooses which stores and which executor a process uses.

Opening a context is cheap and makes nothing heavy: the screens, the command line and the engine process all do it.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from spellbook_core.clock import Clock, SystemClock
from spellbook_core.project.layout import Workspace
from spellbook_core.runs.sqlite import SqliteRunStore
from spellbook_core.runs.store import RunStore
from spellbook_core.settings import Settings, load_settings, workspace_path

if TYPE_CHECKING:
    from spellbook_core.artifacts.store import ArtifactStore
    from spellbook_core.engine.ports import Executor
    from spellbook_core.model.masking import Masker


class Context:
    """What every service takes first: one workspace and the parts that belong to it. Safe to share among threads."""

    def __init__(self, workspace: Workspace, settings: Settings, clock: Clock) -> None:
        """Remember the parts; the stores are opened when first used."""
        self.workspace = workspace
        self.settings = settings
        self.clock = clock

    @cached_property
    def store(self) -> RunStore:
        """The run store; the state folder is made with it."""
        self.workspace.ensure_state_dir()
        return SqliteRunStore(self.workspace.database_path, runs_dir=self.workspace.runs_dir)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """The store of block outputs."""
        from spellbook_core.artifacts.local import LocalArtifactStore

        return LocalArtifactStore(self.workspace.artifacts_dir, masker=self._masker)

    def _masker(self) -> Masker:
        from spellbook_core.project.secrets import masker_of

        workspace = self.workspace
        return masker_of((workspace.project(name).root for name in workspace.project_names()), workspace.root)

    def make_executor(self) -> Executor:
        """Return a new executor for a runner in this process, which owns it and closes it."""
        from spellbook_core.executors.process import ProcessExecutor

        return ProcessExecutor(self.workspace, self.settings)

    def close(self) -> None:
        """Close the run store's connections; the context opens them again when it is used."""
        if "store" in self.__dict__:
            self.store.close()


def open_context(path: Path | None = None, *, create: bool = False) -> Context:
    """Return the context of a workspace.

    Args:
        path: The folder; None for `SPELLBOOK_WORKSPACE`, else the working directory.
        create: Make an empty workspace when the folder is none.

    Raises:
        NotAWorkspaceError: The folder is no workspace and `create` is not set. [SB-PRJ-001]
        BadSettingError: A `SPELLBOOK_*` variable has an unusable value. [SB-SYS-005]
    """
    workspace = Workspace.open(path or workspace_path(), create=create)
    return Context(workspace, load_settings(), SystemClock())
