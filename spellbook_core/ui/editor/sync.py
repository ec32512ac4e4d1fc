"""Which parts of the page no longer show the truth. Events only wake this up; what differs is drawn again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from spellbook_core.ui.editor import keys


def stale(shown: Mapping[str, str], truth: Mapping[str, str]) -> list[str]:
    """Return the fragments that were drawn from another state than the true one, in the order of `truth`.

    Fragments that were never drawn (a closed card's editor) are not on the page and so never stale.
    """
    return [key for key, token in truth.items() if key in shown and shown[key] != token]


def progress_keys(events: Iterable[Mapping[str, object]], *, project: str, pipeline: str) -> list[str]:
    """Return the fragments that follow the blocks which printed or logged a metric."""
    found: dict[str, None] = {}
    for event in events:
        is_here = event.get("project") == project and event.get("pipeline") == pipeline
        if is_here and event.get("kind") in {"log", "metric"} and isinstance(event.get("block"), str):
            found[keys.live(str(event["block"]))] = None
    return list(found)
