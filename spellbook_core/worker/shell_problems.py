"""Why a shell block failed, as errors with codes."""

from __future__ import annotations

from spellbook_core.errors import SpellbookError


class CommandFailedError(SpellbookError):
    """A shell block's command ended with another exit code than 0, or by a signal."""

    code = "SB-WRK-090"


class CommandRefusedError(SpellbookError, ValueError):
    """A shell block's command cannot be started: no list of texts, or no such program."""

    code = "SB-WRK-091"


class CommandOutputError(SpellbookError, ValueError):
    """What a shell block wrote as its output cannot be read."""

    code = "SB-WRK-092"
