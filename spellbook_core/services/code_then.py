"""What of an earlier run's code is gone: a run keeps its blocks and the modules that their import statements reach."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from spellbook_core.errors import SpellbookError
from spellbook_core.model.naming import RunId
from spellbook_core.model.outcome import OUTCOME_FILE
from spellbook_core.model.run import BlockRun
from spellbook_core.project import kept_modules
from spellbook_core.project.closure import index_of
from spellbook_core.services import runs
from spellbook_core.services.wiring import Context

MAX_NAMED = 4
"""Most modules that a sentence lists."""


def modules_written_since(ctx: Context, run_id: RunId) -> tuple[str, ...]:
    """Return the modules that blocks of a run imported, that it did not keep and that were written since, sorted.

    Told by the times of the files: one that was written with the same text, or removed, counts too. Not kept is what
    no import statement names, what is too large, and all of a run of an earlier version, or whose files were removed.

    Raises:
        RunNotFoundError: There is no such run. [SB-RUN-001]
    """
    index = index_of(ctx.workspace.project(ctx.store.run(run_id).project))
    index.look()
    found: set[str] = set()
    kept = kept_modules.read(ctx.workspace.modules_file(run_id))
    for block_run in runs.block_runs(ctx, run_id):
        executed = block_run
        if block_run.reused_from is not None:
            try:
                executed = ctx.store.block_run(block_run.reused_from)
            except SpellbookError:  # its run was removed: what it imported is not known
                continue
        texts = kept.texts(ctx.workspace, block_run.block) or {}
        for path in _modules(ctx, executed):
            if path in texts:
                continue
            written = index.changed_at(f"{index.root}/{path}")
            if written is None or _is_after(written, executed.started_at):
                found.add(path)
    return tuple(sorted(found))


def sentence(run_id: RunId, modules: tuple[str, ...]) -> str:
    """Return for people that these modules are not those of the run; empty when there are none."""
    if not modules:
        return ""
    more = f" and {len(modules) - MAX_NAMED} more" if len(modules) > MAX_NAMED else ""
    was = "has been" if len(modules) == 1 else "have been"
    return (
        f"{', '.join(modules[:MAX_NAMED])}{more} {was} written since run {run_id}: blocks run with their code of then, "
        "and with these modules as they are today."
    )


def _modules(ctx: Context, block_run: BlockRun) -> Iterator[str]:
    folder: Path = runs.attempt_dir(ctx, block_run)
    try:
        told = json.loads((folder / OUTCOME_FILE).read_bytes())["modules"]
    except (OSError, ValueError, KeyError, TypeError):  # it never ended, or its files were removed
        return
    for path in told if isinstance(told, list) else []:
        if isinstance(path, str) and not path.startswith(("/", "..")):
            yield path


def _is_after(written: float, started_at: datetime | None) -> bool:
    return started_at is not None and written > started_at.timestamp()
