"""What a sensor's configuration asks for: how often it looks, for how long, and which files wake it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from spellbook_core.errors import SpellbookError
from spellbook_core.model.values import YamlValue
from spellbook_core.project.containment import OutsideProjectError, check_relative

POLL_INTERVAL_S = 60.0
"""Seconds between two looks of a sensor that says nothing, as in mage."""

SHORTEST_S = 0.5
"""Least seconds between two looks, whatever is written and however often a file changes."""


class BadSensorSettingError(SpellbookError, ValueError):
    """`poll_interval`, `timeout` or `watch` in a sensor's configuration cannot be used."""

    code = "SB-RUN-031"


@dataclass(frozen=True, slots=True)
class SensorPolicy:
    """How a sensor waits.

    Attributes:
        interval_s: Seconds from the end of a look to the next one.
        timeout_s: Seconds from its first look after which it fails; None for no limit.
        watch: Files whose change makes it look at once: paths relative to the project; `*`, `?` and `**` are known.
    """

    interval_s: float = POLL_INTERVAL_S
    timeout_s: float | None = None
    watch: tuple[str, ...] = ()

    def watches(self, relative: str) -> bool:
        """Return whether a change of this path is one to look at."""
        return any(_matches(written, relative) for written in self.watch)


def sensor_policy(configuration: Mapping[str, YamlValue]) -> SensorPolicy:
    """Return how a sensor with this configuration waits.

    Raises:
        BadSensorSettingError: Names the key. [SB-RUN-031]
    """
    interval = _seconds(configuration, "poll_interval")
    return SensorPolicy(
        interval_s=POLL_INTERVAL_S if interval is None else max(SHORTEST_S, interval),
        timeout_s=_seconds(configuration, "timeout"),
        watch=_watched(configuration.get("watch")),
    )


def _seconds(configuration: Mapping[str, YamlValue], key: str) -> float | None:
    value = configuration.get(key)
    if value is None or value == "":
        return None
    try:
        seconds = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else 0.0
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise BadSensorSettingError(
            f"'{key}: {str(value)[:40]}' of a sensor is no number of seconds.", hint=f"write '{key}: 30'."
        )
    return seconds


def _watched(value: YamlValue) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    names = value if isinstance(value, list) else [value]
    for name in names:
        try:
            check_relative(str(name) if isinstance(name, str) else "")
        except OutsideProjectError as cause:
            raise BadSensorSettingError(
                f"'watch: {str(name)[:80]}' of a sensor cannot be watched. {cause.message}",
                hint="write a path below the project's folder: data/ready.csv, data/*.csv.",
            ) from cause
    return tuple(str(name) for name in names)


def _matches(written: str, relative: str) -> bool:
    """Compare folder by folder, in time that grows with both lengths only: `**` stands for any number of folders."""
    parts = relative.split("/")
    reached = {0}
    for wanted in written.split("/"):
        if wanted == "**":
            reached = set(range(min(reached), len(parts) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(parts) and fnmatchcase(parts[at], wanted)}
        if not reached:
            return False
    return len(parts) in reached
