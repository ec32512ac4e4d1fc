"""What a block's process tells its zygote over their socket: single bytes, and short messages as JSON."""

from __future__ import annotations

import json
import os
import select
from contextlib import suppress
from dataclasses import dataclass, field

from spellbook_core.model.values import JsonObject

METRIC = b"m"
"""A metric was written."""

SEALED = b"S"
"""The outcome is in place."""

_MESSAGE = b"J"
_SEND_WAIT_S = 5.0


def send(descriptor: int, message: JsonObject) -> None:
    """Send a message; returns when the socket has taken it. A zygote that is gone is told nothing."""
    text = json.dumps(message).encode()
    left = _MESSAGE + len(text).to_bytes(4, "big") + text
    with suppress(OSError):
        while left:
            select.select([], [descriptor], [], _SEND_WAIT_S)
            left = left[os.write(descriptor, left) :]


@dataclass(slots=True)
class Heard:
    """What some bytes of the socket said."""

    has_metric: bool = False
    is_sealed: bool = False
    messages: list[JsonObject] = field(default_factory=list)


class ControlReader:
    """Puts the zygote's end together from bytes that come in any pieces."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> Heard:
        """Return what has arrived whole."""
        heard = Heard()
        data = self._pending + data
        at = 0
        while at < len(data):
            kind = data[at : at + 1]
            if kind == _MESSAGE:
                end = at + 5 + int.from_bytes(data[at + 1 : at + 5], "big")
                if len(data) < max(end, at + 5):
                    break
                heard.messages.append(json.loads(data[at + 5 : end]))
                at = end
                continue
            heard.has_metric |= kind == METRIC
            heard.is_sealed |= kind == SEALED
            at += 1
        self._pending = data[at:]
        return heard
