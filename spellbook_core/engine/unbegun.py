"""Attempts whose process was lost before it looked at user code: these are started anew, since nothing was done."""

from __future__ import annotations

from datetime import datetime

from spellbook_core.engine.active import ActiveBlock, ActiveRun
from spellbook_core.engine.ports import Exited
from spellbook_core.engine.supervise import give_up
from spellbook_core.engine.verdict import WORKER_LOST
from spellbook_core.runs.records import AttemptEnd, BlockEnd, Waiting

MAX_STARTS_ANEW = 3
"""How often one runner starts a block anew in this way; what is lost each time has a cause to be seen."""


def start_anew(run: ActiveRun, block: ActiveBlock, exited: Exited, end: BlockEnd, *, now: datetime) -> Waiting | None:
    """Return that a block waits for another start, or None when its attempt had begun, or ended on purpose.

    Call it for an attempt that left no outcome.

    An attempt that this returns something for can never begin any more: it was given up.
    """
    if run.state.is_cancelling or exited.reason not in {None, WORKER_LOST}:
        return None
    if block.starts_anew >= MAX_STARTS_ANEW or not give_up(run.attempt_dir(block)):
        return None
    block.starts_anew += 1
    return Waiting(
        what="another start: its process was lost before it began",
        since=now,
        due_at=now,
        retried=block.retried,
        attempt=AttemptEnd(block.attempt, now, now, None, end.error),
    )
