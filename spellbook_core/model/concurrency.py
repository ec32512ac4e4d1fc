"""How much of what may run at once: the limits of a pipeline, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from spellbook_core.model.run import Selection

AWAITED = "notebook"
"""The trigger of runs that a person waits for, in front of the editor."""


def is_held(trigger: str, selection: Selection) -> bool:
    """Return whether the limits on runs count a run: it is of a whole pipeline, and nobody sits in front of it."""
    return trigger != AWAITED and selection.blocks is None and not selection.tests_only


class IfRunning(StrEnum):
    """What becomes of a new run of a pipeline that already has as many under way as it may have."""

    ALLOW = "allow"
    QUEUE = "queue"
    SKIP = "skip"
    CANCEL_RUNNING = "cancel_running"


@dataclass(frozen=True, slots=True)
class Concurrency:
    """What a pipeline says about its runs. They count whole runs; runs of single blocks are never held back.

    Attributes:
        block_limit: Blocks of one run that run at once; None for no limit of its own.
        run_limit: Runs at once, whoever started them; None for no limit.
        trigger_run_limit: Runs at once that were started in the same way; None for no limit.
        if_running: What happens to a run beyond a limit. With `ALLOW` both run limits are None.
        priority: Of its runs that name none; higher goes first.
    """

    block_limit: int | None = None
    run_limit: int | None = 1
    trigger_run_limit: int | None = None
    if_running: IfRunning = IfRunning.QUEUE
    priority: int = 0

    def limit_reached(self, trigger: str, under_way: Sequence[str]) -> int | None:
        """Return the limit that keeps a run from beginning beside others, None when there is a place.

        Args:
            trigger: How the run was started.
            under_way: How those were that it would run beside.
        """
        if self.run_limit is not None and len(under_way) >= self.run_limit:
            return self.run_limit
        if self.trigger_run_limit is not None and sum(each == trigger for each in under_way) >= self.trigger_run_limit:
            return self.trigger_run_limit
        return None
