"""Due times of what waits: a heap, so that a thousand of them cost nothing until one is due."""

from __future__ import annotations

import heapq

from spellbook_core.clock import Clock
from spellbook_core.model.naming import BlockRunId


class Timers:
    """One due time per block run, by the monotonic clock: a change of the wall clock moves none."""

    def __init__(self, clock: Clock) -> None:
        """Have nothing armed."""
        self._clock = clock
        self._heap: list[tuple[float, BlockRunId]] = []
        self._armed: dict[BlockRunId, float] = {}

    def __len__(self) -> int:
        """Return how many are armed."""
        return len(self._armed)

    def arm(self, block_run_id: BlockRunId, delay_s: float) -> None:
        """Set when a block run is due, in place of an earlier time."""
        due = self._clock.monotonic() + max(0.0, delay_s)
        self._armed[block_run_id] = due
        heapq.heappush(self._heap, (due, block_run_id))
        if len(self._heap) > 2 * len(self._armed) + 64:  # what was disarmed stays in the heap until its time
            self._heap = [(due, number) for number, due in self._armed.items()]
            heapq.heapify(self._heap)

    def disarm(self, block_run_id: BlockRunId) -> None:
        """Forget a block run; without effect when it is not armed."""
        self._armed.pop(block_run_id, None)

    def next_due_s(self) -> float | None:
        """Return the seconds until the first one is due, 0 when it is; None when nothing is armed."""
        while self._heap and self._armed.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return max(0.0, self._heap[0][0] - self._clock.monotonic()) if self._heap else None

    def due(self) -> list[BlockRunId]:
        """Return and forget the block runs that are due, the longest due first."""
        found = []
        while self.next_due_s() == 0:
            number = heapq.heappop(self._heap)[1]
            del self._armed[number]
            found.append(number)
        return found
