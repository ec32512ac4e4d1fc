"""How many wrong tokens an address may send: ten a minute, then none is looked at until the oldest is a minute old."""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable

MAX_WRONG = 10
WINDOW_S = 60.0
MAX_CLIENTS = 1024
"""Addresses remembered; the one that failed longest ago is forgotten first, so memory stays bounded."""


class Attempts:
    """Wrong tokens of the last minute, by client address."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Count by `monotonic` seconds."""
        self._now = monotonic
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, client: str) -> int:
        """Return the whole seconds until `client` may try again; 0 for now."""
        wrong = self._wrong.get(client)
        if wrong is None or len(wrong) < MAX_WRONG:
            return 0
        return max(0, math.ceil(wrong[0] + WINDOW_S - self._now()))

    def failed(self, client: str) -> None:
        """Count one wrong token of `client`."""
        self._wrong.setdefault(client, deque(maxlen=MAX_WRONG)).append(self._now())
        self._wrong.move_to_end(client)
        while len(self._wrong) > MAX_CLIENTS:
            self._wrong.popitem(last=False)
