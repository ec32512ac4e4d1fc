"""The folder of volatile state in a workspace: run store, outputs, logs, environments. Nothing in it needs to be kept.

Nothing but numbers, digests and tokens is joined into its paths, and each is checked to be one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from spellbook_core.errors import BadNameError, SpellbookError, StorageError
from spellbook_core.model.naming import BlockRunId, RunId
from spellbook_core.project.containment import OutsideProjectError
from spellbook_core.settings import STATE_FOLDER

_RUNS = "runs"
_DIGEST = re.compile(r"[0-9a-f]{32}")
_TRASH_TOKEN = re.compile(r"[0-9a-f]{16,64}")


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Where each kind of state lies.

    Attributes:
        root: The workspace's folder, absolute, links resolved.
    """

    root: Path

    @property
    def state_dir(self) -> Path:
        """The folder of volatile state; `ensure_state_dir` makes it."""
        return self.root / STATE_FOLDER

    @property
    def database_path(self) -> Path:
        """The run store."""
        return self.state_dir / "state.db"

    @property
    def token_path(self) -> Path:
        """The access token."""
        return self.state_dir / "token"

    @property
    def engine_lock_path(self) -> Path:
        """The file whose lock the leading engine holds."""
        return self.state_dir / "engine.lock"

    @property
    def engine_info_path(self) -> Path:
        """What the leading engine says of itself."""
        return self.state_dir / "engine.json"

    @property
    def engine_log_path(self) -> Path:
        """The engine process's own log."""
        return self.state_dir / "engine.log"

    @property
    def artifacts_dir(self) -> Path:
        """Stored outputs, by content."""
        return self.state_dir / "artifacts"

    @property
    def runs_dir(self) -> Path:
        """One folder per run."""
        return self.root.joinpath(STATE_FOLDER, _RUNS)

    @property
    def charts_dir(self) -> Path:
        """Pictures of charts, by what they are drawn from; anything in it can be drawn again."""
        return self.state_dir / "charts"

    @property
    def trash_dir(self) -> Path:
        """What was deleted and can be restored."""
        return self.state_dir / "trash"

    @property
    def environments_dir(self) -> Path:
        """The Python environments that Spellbook made for blocks."""
        return self.state_dir / "environments"

    def environment_dir(self, digest: str) -> Path:
        """Return the folder of one of them; `digest` is 32 hexadecimal digits."""
        if not _DIGEST.fullmatch(digest):
            raise BadNameError(f"'{ascii(digest[:40])[1:-1]}' is no environment.", hint="choose one of the list.")
        return self.environments_dir / digest

    @property
    def housekeeping_path(self) -> Path:
        """What the last clean-up did; its lock lies beside it."""
        return self.state_dir / "housekeeping.json"

    def run_dir(self, run_id: RunId | int) -> Path:
        """Return the folder with the files of a run's attempts; the number is checked to be one."""
        return self.attempt_dir(run_id, 0, 0).parent

    @property
    def modules_dir(self) -> Path:
        """Texts of project modules as runs imported them, by content."""
        return self.state_dir / "modules"

    def module_file(self, digest: str) -> Path:
        """Return the file of such a text; `digest` is 32 hexadecimal digits."""
        if not _DIGEST.fullmatch(digest):
            raise BadNameError(f"'{ascii(digest[:40])[1:-1]}' is no module's text.", hint="run the pipeline again.")
        return self.modules_dir / digest[:2] / digest

    def modules_file(self, run_id: RunId | int) -> Path:
        """Return the file that says which modules the blocks of a run imported."""
        return self.run_dir(run_id) / "modules.jsonl"

    def ensure_state_dir(self) -> Path:
        """Return the state folder, made with mode 0700 and a `.gitignore` that hides everything in it.

        Raises:
            OutsideProjectError: Something else, such as a symbolic link, has its name. [SB-PRJ-002]
            StorageError: The disk is full, read-only or forbids it. [SB-SYS-006]
        """
        try:
            return self._made_state_dir()
        except OSError as cause:
            if isinstance(cause, SpellbookError):
                raise
            raise StorageError(
                f"Cannot make {self.state_dir}: {cause.strerror or cause}.",
                hint="free some disk space or make the workspace writable; looking at it needs neither.",
                path=str(self.state_dir),
            ) from cause

    def _made_state_dir(self) -> Path:
        folder = self.state_dir
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise OutsideProjectError(
                f"{folder} is no folder of its own.", hint=f"remove it; Spellbook makes {STATE_FOLDER}/ itself."
            )
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        return folder

    def attempt_dir(self, run_id: RunId | int, block_run_id: BlockRunId | int, attempt: int) -> Path:
        """Return the folder of one attempt of a block run; the numbers are checked to be numbers."""
        for number in (run_id, block_run_id, attempt):
            if type(number) is not int or number < 0:
                numbers = (run_id, block_run_id, attempt)
                raise BadNameError(f"{numbers!r} are no run numbers.", hint="give whole numbers from 0.")
        return self.root / f"{STATE_FOLDER}/{_RUNS}/{run_id}/{block_run_id}.{attempt}"

    def trash_entry(self, token: str) -> Path:
        """Return the folder of one undoable delete; `token` is 16 to 64 hexadecimal digits."""
        if not _TRASH_TOKEN.fullmatch(token):
            raise BadNameError(f"'{ascii(token[:40])[1:-1]}' is no undo token.", hint="undo from the same page.")
        return self.trash_dir / token


def environment_digest(python: str) -> str | None:
    """Return the digest of an environment that Spellbook makes, from its interpreter's path; None for another one."""
    *_, state, environments, digest, binaries, name = ["", "", "", "", "", *python.split("/")]
    is_ours = (state, environments, binaries, name) == (STATE_FOLDER, "environments", "bin", "python")
    return digest if is_ours else None
