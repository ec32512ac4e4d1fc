"""News of this process for whoever listens in it, such as the browsers of a page: a chart has been drawn.

News of runs come from the engine process; these are of work that belongs to no run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from spellbook_core.model.values import JsonObject

_listeners: list[Callable[[JsonObject], None]] = []


@contextmanager
def listening(listener: Callable[[JsonObject], None]) -> Iterator[None]:
    """Call `listener` with each piece of news inside the `with` block, from the thread that has it."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tell(event: JsonObject) -> None:
    """Hand an event, in the form of the engine's (`kind`, `project`, `pipeline`, ...), to all who listen."""
    for listener in tuple(_listeners):
        listener(event)
