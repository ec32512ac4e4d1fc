"""Housekeeping: what on the disk nobody needs any more, how much that is, and removing it.

`look` and `clean` decide by the same steps; `clean` looks again at each thing in the moment it removes it, since runs
go on meanwhile. Killed in the middle it leaves nothing half: what was moved aside goes the next time.

Kept whatever its age: runs that have not ended and what they take from others; of every block the newest run, the
newest outputs and the execution that they were reused from; every output that anything kept names; outputs touched
since the oldest block that runs right now began, or in the last hour; what is needed to undo a recent delete.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from spellbook_core.artifacts import sweep
from spellbook_core.atomic import write_atomically
from spellbook_core.clock import from_text, to_text
from spellbook_core.errors import SpellbookError
from spellbook_core.model.values import JsonObject
from spellbook_core.services.cleaning import GRACE, Plan, decide, forget_gone, remove
from spellbook_core.services.wiring import Context

Progress = Callable[[str], None]


class HousekeepingBusyError(SpellbookError):
    """Another process cleans up this workspace right now."""

    code = "SB-RUN-051"


@dataclass(frozen=True, slots=True)
class Found:
    """Things of one kind that go.

    Attributes:
        kind: `runs`, `outputs` (stored values), `logs` (files of runs that stay), `leftovers` (unfinished or
            ownerless files), `trash` (deletes that can no longer be undone) or `environments` (Pythons of ours that no
            project names any more).
    """

    kind: str
    count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a clean-up would remove, or removed.

    Attributes:
        removed: One entry per kind.
        used: Part of the state folder -> bytes, before.
        is_done: Whether it was removed.
    """

    removed: tuple[Found, ...]
    used: dict[str, int]
    is_done: bool

    @property
    def size_bytes(self) -> int:
        """Bytes that it frees."""
        return sum(found.size_bytes for found in self.removed)

    def to_json(self) -> JsonObject:
        """Return the JSON form."""
        return {
            "is_done": self.is_done,
            "frees_bytes": self.size_bytes,
            "removed": {found.kind: {"count": found.count, "bytes": found.size_bytes} for found in self.removed},
            "used_bytes": dict(self.used),
        }


def look(ctx: Context, progress: Progress = lambda stage: None) -> Report:
    """Return what the state folder holds and what a clean-up would remove; nothing is changed.

    Args:
        ctx: Of the workspace.
        progress: Told what is being done, for people. About a second per 100,000 files.
    """
    plan = decide(ctx, progress, GRACE)
    progress("Measuring")
    return _report(plan, _used(ctx, plan), is_done=False)


def clean(ctx: Context, progress: Progress = lambda stage: None, *, grace: timedelta = GRACE) -> Report:
    """Remove what nobody needs, while runs go on, and return what was removed.

    Args:
        ctx: Of the workspace.
        progress: As of `look`.
        grace: What is younger stays, needed or not.

    Raises:
        HousekeepingBusyError: Another process does so right now. [SB-RUN-051]
    """
    ctx.workspace.ensure_state_dir()
    with _alone(ctx):
        forget_gone(ctx)
        plan = decide(ctx, progress, grace)
        used = _used(ctx, plan)
        remove(ctx, plan, progress)
        report = _report(plan, used, is_done=True)
        record = {"at": to_text(ctx.clock.now()), **report.to_json()}
        write_atomically(ctx.workspace.housekeeping_path, json.dumps(record).encode(), mode=0o600)
    return report


def last_clean_up(ctx: Context) -> datetime | None:
    """Return when this workspace was cleaned up last; None when never."""
    try:
        return from_text(json.loads(ctx.workspace.housekeeping_path.read_bytes())["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _report(plan: Plan, used: dict[str, int], *, is_done: bool) -> Report:
    found = (
        Found("runs", len(plan.runs), sum(plan.run_sizes.get(run, 0) for run in plan.runs)),
        Found("outputs", len(plan.outputs), sum(plan.stored[digest].size_bytes for digest in plan.outputs)),
        Found("logs", len(plan.logs), sum(plan.run_sizes.get(run, 0) for run in plan.logs)),
        Found("leftovers", len(plan.leftovers), sum(left.size_bytes for left in plan.leftovers)),
        Found("trash", len(plan.trash), sum(entry.size_bytes for entry in plan.trash)),
        Found("environments", len(plan.environments), sum(found.size_bytes for found in plan.environments)),
    )
    return Report(found, used, is_done)


def _used(ctx: Context, plan: Plan) -> dict[str, int]:
    workspace = ctx.workspace
    folders = {
        "files of runs": (workspace.runs_dir, workspace.modules_dir),
        "charts": (workspace.charts_dir,),
        "environments": (workspace.environments_dir,),
        "trash": (workspace.trash_dir,),
    }
    measured = {name: [sweep.measure(folder) for folder in those] for name, those in folders.items()}
    store = workspace.database_path
    files = [store, store.with_name(f"{store.name}-wal")]
    return {
        "outputs": sum(found.size_bytes for found in plan.stored.values()),
        **{name: sum(each.size_bytes for each in found if each is not None) for name, found in measured.items()},
        "run store": sum(path.stat().st_size for path in files if path.exists()),
    }


@contextmanager
def _alone(ctx: Context) -> Iterator[None]:
    path = ctx.workspace.housekeeping_path.with_suffix(".lock")
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HousekeepingBusyError(
                "Another process cleans up this workspace right now.",
                hint="wait until it has finished, then look again.",
            ) from None
        yield
    finally:
        os.close(handle)
