"""How often and when a failed attempt of a block is followed by another one: mage's `retry_config`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from spellbook_core.errors import SpellbookError
from spellbook_core.model.values import YamlValue

KEYS = ("retries", "delay", "max_delay", "exponential_backoff")
"""The keys of `retry_config`, as mage writes them."""

MAX_RETRIES = 1000
"""Most retries that are made, whatever is written."""


class BadRetryConfigError(SpellbookError, ValueError):
    """A value of `retry_config` cannot be used."""

    code = "SB-RUN-030"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """What follows a failed attempt; the defaults are mage's.

    Attributes:
        retries: Attempts after the first.
        delay_s: Seconds before the first retry; twice as long before each further one with `exponential_backoff`.
        max_delay_s: Seconds that all delays of a block run together stay below: the retry that would reach it is not
            made.
    """

    retries: int = 0
    delay_s: float = 5.0
    max_delay_s: float = 60.0
    exponential_backoff: bool = True

    def delays(self) -> list[float]:
        """Return the seconds before each retry that can be made, at most `retries` of them."""
        found: list[float] = []
        total, delay = 0.0, self.delay_s
        while len(found) < min(self.retries, MAX_RETRIES) and total + delay < self.max_delay_s:
            found.append(delay)
            total += delay
            delay *= 2 if self.exponential_backoff else 1
        return found


ONCE = RetryPolicy()
"""No attempt after the first."""


def merged(configs: Iterable[Mapping[str, YamlValue]]) -> RetryPolicy:
    """Return the policy of several `retry_config`, later ones over earlier ones, key by key; unknown keys are ignored.

    Raises:
        BadRetryConfigError: A value is no number, or is negative. [SB-RUN-030]
    """
    found: dict[str, YamlValue] = {}
    for config in configs:
        if config:
            found |= {key: value for key, value in config.items() if key in KEYS and value not in (None, "")}
    if not found:
        return ONCE
    return RetryPolicy(
        retries=int(_number(found, "retries", ONCE.retries)),
        delay_s=_number(found, "delay", ONCE.delay_s),
        max_delay_s=_number(found, "max_delay", ONCE.max_delay_s),
        exponential_backoff=_truth(found.get("exponential_backoff", ONCE.exponential_backoff)),
    )


def _number(config: Mapping[str, YamlValue], key: str, usual: float) -> float:
    value = config.get(key, usual)
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else -1.0
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise BadRetryConfigError(
            f"'{key}: {str(value)[:40]}' in retry_config is no number from 0 on.",
            hint="write a number: retries counts, delay and max_delay are seconds.",
        )
    return number


def _truth(value: YamlValue) -> bool:
    return value.strip().lower() not in {"false", "no", "off", "0"} if isinstance(value, str) else bool(value)
