"""Why a name or function of mage cannot do its work here, as errors with codes."""

from __future__ import annotations

from spellbook_core.errors import SpellbookError


class OutsideOfRunError(SpellbookError):
    """A function of mage was called where no block runs."""

    code = "SB-WRK-030"


class MissingFromMageError(SpellbookError, ImportError):
    """A block imports a name of mage-ai that Spellbook does not offer."""

    code = "SB-WRK-031"


class ConfigurationFileError(SpellbookError, ValueError):
    """`io_config.yaml` or one of its profiles cannot be used."""

    code = "SB-WRK-033"


class DriverMissingError(SpellbookError, ImportError):
    """A client needs a Python package that is not installed; the hint is the line that installs it."""

    code = "SB-WRK-034"


class TriggeredRunError(SpellbookError, RuntimeError):
    """A pipeline that a block triggered failed, could not be started, or did not end in time."""

    code = "SB-WRK-035"


class UnsupportedActionError(SpellbookError, NotImplementedError):
    """A transformer action or export mode of mage that is not offered."""

    code = "SB-WRK-036"


class DataFileError(SpellbookError, ValueError):
    """A file's format is unknown, or cannot hold what is exported."""

    code = "SB-WRK-037"


class TableExistsError(SpellbookError, ValueError):
    """An export with the policy `fail` found a table of that name."""

    code = "SB-WRK-038"
