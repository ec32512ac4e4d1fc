"""A file that is open in the files screen: what the disk had, what the person typed, and what to do when they part."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Buffer:
    """One open file.

    Attributes:
        saved: The text on disk that `text` started from.
        saved_hash: Its content hash, expected by the next save.
        text: What the editor shows.
        rev: Raised when `text` must replace what the browser shows.
        theirs: (text, hash) on disk when it changed under unsaved typing; None when there is no conflict.
    """

    saved: str
    saved_hash: str
    text: str
    rev: int = 0
    theirs: tuple[str, str] | None = None

    @property
    def is_dirty(self) -> bool:
        """Whether there is something to save."""
        return self.text != self.saved

    def see_disk(self, text: str, content_hash: str) -> None:
        """Take note of what the disk has now: shown at once when nothing is unsaved, else kept as a conflict."""
        if content_hash == self.saved_hash:
            self.theirs = None
        elif not self.is_dirty or text == self.text:
            self._show(text, content_hash)
        else:
            self.theirs = (text, content_hash)

    def take_theirs(self) -> None:
        """Drop what was typed and show the disk's text."""
        if self.theirs is not None:
            self._show(*self.theirs)

    def keep_mine(self) -> None:
        """Keep what was typed, so that the next save replaces the disk's text."""
        if self.theirs is not None:
            self.saved, self.saved_hash = self.theirs
            self.theirs = None

    def was_saved(self, text: str, content_hash: str) -> None:
        """Take note that `text` was written."""
        self.saved, self.saved_hash, self.theirs = text, content_hash, None

    def _show(self, text: str, content_hash: str) -> None:
        if text != self.text:
            self.rev += 1
        self.saved, self.saved_hash, self.text, self.theirs = text, content_hash, text, None
