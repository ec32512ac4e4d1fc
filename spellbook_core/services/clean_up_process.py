"""The clean-up that an idle engine starts by itself: `python -m spellbook_core.services.clean_up_process WORKSPACE`.

A process of its own, so that the engine never waits for a disk; killed at any moment, the next one goes on.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from spellbook_core.errors import SpellbookError
from spellbook_core.services.housekeeping import clean, last_clean_up
from spellbook_core.services.wiring import Context, open_context

FIRST_AFTER_S = 600.0
"""Seconds of idleness before the engine cleans up: who comes back from a short pause shall not share the disk."""

_LOG = logging.getLogger("spellbook.engine")


class CleanUps:
    """Starts a clean-up when the engine has been idle for a while and the last one is long enough ago."""

    def __init__(self, ctx: Context) -> None:
        """Start nothing yet."""
        self._ctx = ctx
        self._idle_since = ctx.clock.monotonic()
        self._process: subprocess.Popen[bytes] | None = None

    def on_beat(self, workers: int) -> None:
        """Look at the time; call every few seconds with the number of block processes."""
        now = self._ctx.clock.monotonic()
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        if workers:
            self._idle_since = now
        elif now - self._idle_since >= FIRST_AFTER_S and self._process is None:
            self._idle_since = now
            if self.is_due():
                self._process = self._started()

    def is_due(self) -> bool:
        """Return whether the last clean-up is long enough ago."""
        hours, last = self._ctx.settings.clean_up_hours, last_clean_up(self._ctx)
        if hours <= 0:
            return False
        return last is None or self._ctx.clock.now() - last >= timedelta(hours=hours)

    def stop(self) -> None:
        """End a clean-up under way."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _started(self) -> subprocess.Popen[bytes] | None:
        command = [sys.executable, "-m", "spellbook_core.services.clean_up_process", str(self._ctx.workspace.root)]
        try:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL)
        except OSError as cause:
            _LOG.warning("cannot clean up: %s", cause)
            return None


def main(arguments: list[str]) -> int:
    """Clean up a workspace and log what was removed; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    with suppress(OSError):
        os.nice(10)
    try:
        ctx = open_context(Path(arguments[0]))
        report = clean(ctx)
        ctx.close()
    except (SpellbookError, OSError) as error:
        _LOG.warning("the clean-up ended early: %s", error)
        return 1
    told = ", ".join(f"{found.count} {found.kind}" for found in report.removed if found.count) or "nothing"
    _LOG.info("cleaned up: %s, %d bytes", told, report.size_bytes)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
