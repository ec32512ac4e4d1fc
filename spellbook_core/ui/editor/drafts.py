"""The text of a block in the editor and the file it belongs to: saved at once, never over someone else's change.

The file on disk is the truth. A draft remembers which content it was based on (`base_hash`), so every save is a
compare-and-swap; a file that changed meanwhile becomes `outside`, and the person decides.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace

from spellbook_core.errors import ChangedOnDiskError

Save = Callable[[str, str], str]
"""(text, expected hash) -> new hash. Raises ChangedOnDiskError when the file has another hash."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What someone else wrote into the file since the draft was based on it."""

    text: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class Draft:
    """One block's text as the browser has it.

    Attributes:
        text: Last text sent by, or given to, the editor.
        base_hash: Content hash of the file that `text` was read from or saved to.
        rev: Grows whenever the editor has to replace its text; the editor keeps its own text otherwise.
        outside: A change by someone else that waits for a decision.
    """

    text: str
    base_hash: str
    rev: int
    outside: Outside | None = None


def accept(draft: Draft, text: str, rev: int, save: Save, read: Callable[[], Outside]) -> Draft:
    """Return the draft after saving what the editor sent; a conflict keeps the text and records the other side.

    Args:
        draft: What was known before.
        text: The whole text in the editor.
        rev: The revision the person was editing. An older one was replaced meanwhile by the person's own *Reload*, so
            its text is dropped.
        save: Writes the file unless someone else changed it.
        read: Reads the file after a refused save.
    """
    if rev < draft.rev or (text == draft.text and draft.outside is None):
        return draft
    draft = replace(draft, text=text)
    if draft.outside is not None:
        return draft
    try:
        return replace(draft, base_hash=save(text, draft.base_hash))
    except ChangedOnDiskError:
        return noticed(draft, read())


def noticed(draft: Draft, disk: Outside) -> Draft:
    """Return the draft after looking at the file: unchanged, adopted when the texts agree, else with `outside` set."""
    if disk.content_hash == draft.base_hash:
        return replace(draft, outside=None) if draft.outside else draft
    if disk.text == draft.text:
        return replace(draft, base_hash=disk.content_hash, outside=None)
    return replace(draft, outside=disk)


def reload(draft: Draft) -> Draft:
    """Return the draft with the text of the other side, which the editor then shows."""
    if draft.outside is None:
        return draft
    disk = draft.outside
    return replace(draft, text=disk.text, base_hash=disk.content_hash, rev=draft.rev + 1, outside=None)


def keep_mine(draft: Draft, save: Save, read: Callable[[], Outside]) -> Draft:
    """Return the draft after writing it over the change of the other side that the person saw."""
    if draft.outside is None:
        return draft
    try:
        return replace(draft, base_hash=save(draft.text, draft.outside.content_hash), outside=None)
    except ChangedOnDiskError:
        return replace(draft, outside=read())


def diff(draft: Draft) -> str:
    """Return a unified diff from the text in the editor to the one on disk."""
    if draft.outside is None:
        return ""
    mine = draft.text.splitlines(keepends=True)
    theirs = draft.outside.text.splitlines(keepends=True)
    lines = difflib.unified_diff(mine, theirs, "in the editor", "on disk", n=3)
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)
