"""Whether a block's stored output is what running it again would bring, told without running anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Freshness(StrEnum):
    """What is known of a block's stored output."""

    NEVER_RUN = "never_run"
    FRESH = "fresh"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Staleness:
    """The state of one block's stored output.

    Attributes:
        reasons: Why it is stale, most direct first, e.g. `utils/variables.py changed: EPOCHS`; empty unless stale.
        since: When it became stale, where a file or a parent's output tells.
        made_at: When the output was made, by the run that executed the block; None when it never ran.
    """

    state: Freshness
    reasons: tuple[str, ...] = ()
    since: datetime | None = None
    made_at: datetime | None = None

    def age(self, now: datetime) -> timedelta | None:
        """Return how old the output is at `now`."""
        return None if self.made_at is None else now - self.made_at
