"""When a block's stored output may stand in for running it: `cache` in the block's configuration. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from spellbook_core.errors import SpellbookError
from spellbook_core.model.block import SHELL_LANGUAGES, BlockType
from spellbook_core.model.record import record
from spellbook_core.model.values import YamlValue

REUSED_BY_DEFAULT = frozenset({BlockType.TRANSFORMER, BlockType.CUSTOM})
"""Types whose result comes from their inputs alone; the others reach outside and run in every pipeline run."""

_DATABASE_KEYS = ("data_provider", "data_provider_database")
"""With either, a SQL block works in a database that stays; without, in one of its own in memory."""

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_TTL = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


class BadCacheSettingError(SpellbookError, ValueError):
    """`cache` in a block's configuration is none of the values it can have."""

    code = "SB-RUN-020"


@record
class CachePolicy:
    """What a block allows.

    Attributes:
        allows: Whether stored outputs may be used at all.
        ttl_s: Oldest output that may be used, in seconds; None for any age.
        text: As it is written in the configuration.
    """

    allows: bool
    ttl_s: float | None = None
    text: str = "auto"

    def objection(self, made_at: datetime, now: datetime) -> str | None:
        """Return why an output of that time is too old, or None when it is not."""
        if self.ttl_s is None or timedelta(0) <= now - made_at <= timedelta(seconds=self.ttl_s):
            return None
        if now < made_at:
            return "its output was made at a time that is yet to come: the clock was set back"
        return f"its output is older than {self.text}"


def policy_of(block_type: str, configuration: Mapping[str, YamlValue], language: str = "python") -> CachePolicy:
    """Return the policy of a block; one that is there for what it does outside runs unless told otherwise.

    So is a shell script, and a SQL block that names a database: its tables may change without us, and are its work.

    Raises:
        BadCacheSettingError: `cache` is not `auto`, `always`, `never` or a time such as `30m`. [SB-RUN-020]
    """
    value = configuration.get("cache")
    if value is None or value is True or value == "auto":
        return CachePolicy(block_type in REUSED_BY_DEFAULT and not _is_outside(configuration, language))
    if value is False or value == "never":
        return CachePolicy(False, text="never")
    if value == "always":
        return CachePolicy(True, text="always")
    match = _TTL.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise BadCacheSettingError(
            f"'cache: {str(value)[:40]}' is not known.", hint="write auto, always, never, or a time: 30m, 1h, 2d."
        )
    return CachePolicy(True, float(match[1]) * _UNITS[match[2]], str(value).strip())


def _is_outside(configuration: Mapping[str, YamlValue], language: str) -> bool:
    if language == "sql":
        return any(configuration.get(key) for key in _DATABASE_KEYS)
    return language in SHELL_LANGUAGES
