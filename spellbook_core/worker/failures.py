"""Why an attempt failed, as errors with codes; the worker turns them into the outcome's report."""

from __future__ import annotations

from spellbook_core.errors import SpellbookError


class UserCodeError(SpellbookError):
    """The block's own code raised an exception."""

    code = "SB-WRK-001"


class BlockSyntaxError(SpellbookError, ValueError):
    """The block's file is no Python."""

    code = "SB-WRK-002"


class NoFunctionError(SpellbookError, LookupError):
    """The block's file has no function with the decorator of the block's type."""

    code = "SB-WRK-003"


class ParameterMismatchError(SpellbookError, TypeError):
    """The function cannot take one positional argument per parent."""

    code = "SB-WRK-004"


class TestsFailedError(SpellbookError):
    """The block ran and its outputs are stored, but a `@test` failed."""

    __test__ = False  # pytest would collect the name otherwise
    code = "SB-WRK-005"


class BlockExitedError(SpellbookError):
    """The block called `sys.exit`, or was interrupted, instead of returning."""

    code = "SB-WRK-006"


class NoResultError(SpellbookError):
    """The process ended by itself without sealing a result, e.g. by `os._exit`."""

    code = "SB-WRK-007"


class CrashedError(SpellbookError):
    """The process was ended by a signal that nobody of ours sent."""

    code = "SB-WRK-008"


class TimedOutError(SpellbookError, TimeoutError):
    """The attempt took longer than its limit and was ended."""

    code = "SB-WRK-009"


class CancelledRunError(SpellbookError):
    """The attempt was cancelled by a person."""

    code = "SB-WRK-010"


class WorkerLostError(SpellbookError):
    """The process, or the one that watched it, was ended from outside, or never started."""

    code = "SB-WRK-011"


class UnsupportedBlockError(SpellbookError, NotImplementedError):
    """The block's language or type does not run here."""

    code = "SB-WRK-012"


class UnreadableSourceError(SpellbookError, OSError):
    """The block's file cannot be read."""

    code = "SB-WRK-013"


class AttemptTakenError(SpellbookError):
    """Another process holds this attempt's lock."""

    code = "SB-WRK-014"


class ChartError(SpellbookError, ValueError):
    """A chart has nothing to draw, or its settings do not fit its data."""

    code = "SB-WRK-045"
