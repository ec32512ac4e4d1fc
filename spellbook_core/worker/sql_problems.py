"""Why a SQL block failed, as errors with codes."""

from __future__ import annotations

from spellbook_core.errors import SpellbookError


class StatementError(SpellbookError):
    """The database refused or could not carry out a statement of a SQL block."""

    code = "SB-WRK-080"


class TemplateError(SpellbookError, ValueError):
    """An expression in `{{ }}` is wrong, or stands where a value cannot."""

    code = "SB-WRK-081"


class InputTableError(SpellbookError, TypeError):
    """A SQL block reads a parent whose output is no table."""

    code = "SB-WRK-082"


class NoTargetError(SpellbookError, ValueError):
    """A SQL data exporter has no database to write into."""

    code = "SB-WRK-083"


class UnknownProviderError(SpellbookError, ValueError):
    """The database that a SQL block names is not offered."""

    code = "SB-WRK-084"


class DatabaseBusyError(SpellbookError, TimeoutError):
    """A DuckDB file stayed in use by another process."""

    code = "SB-WRK-085"
