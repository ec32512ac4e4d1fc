"""How much of what may run at once: the limits of a pipeline, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
