"""Where the stored outputs of a reused block run come from, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from spellbook_core.errors import SpellbookError
from spellbook_core.model.run import BlockRun
from spellbook_core.services import runs
from spellbook_core.services.wiring import Context
from spellbook_core.ui import text

SIGN = "↺"


@dataclass(frozen=True, slots=True)
class Origin:
    """The run that made outputs, and when; both None when it was deleted since."""

    run_id: int | None = None
    made_at: datetime | None = None


def origin(ctx: Context, block_run: BlockRun) -> Origin | None:
    """Return where the outputs of a reused block run come from; None for one that was executed."""
    if not block_run.reused:
        return None
    if block_run.reused_from is None:
        return Origin()
    try:
        made = runs.block_run(ctx, block_run.reused_from)
    except SpellbookError:
        return Origin()
    return Origin(made.run_id, made.ended_at)


def words(found: Origin, now: datetime) -> str:
    """Return `↺ reused from run 12 · 3 min ago`."""
    if found.run_id is None:
        return f"{SIGN} reused from an earlier run"
    return f"{SIGN} reused from run {found.run_id} · {text.ago(found.made_at, now)}"
