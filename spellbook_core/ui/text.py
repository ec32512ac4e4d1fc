"""Text for screens: user text made inert for Streamlit's markdown, and figures as people read them.

Streamlit renders labels, badges, captions, tabs, toasts and metrics as markdown. A block called `![](http://host/x)`
would make the viewer's browser call out, and one called `:red[x]` or `a -> b` would not show its own name. Every user
text that reaches such a place goes through `escape`, or through `code_span` where it should look like code.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_PUNCTUATION = re.compile(r"[!-/:-@\\^-`{-~]")
_BRACKETS = str.maketrans({"[": "&#91;", "]": "&#93;"})
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")
_JOINER = "\u2060"
_AFTER_PARSING = re.compile(r"(:(?=\S)|(?<=[<~>-])(?=[-=>])|www(?=\.)|@(?=\S))", re.IGNORECASE)
"""Streamlit rewrites these in the parsed text, where a backslash no longer protects: `:smile:`, `:material_x:`, `->`,
and addresses, which it makes links. An invisible word joiner keeps each apart."""


def escape(text: object, *, max_chars: int = 400) -> str:
    """Return `text` so that Streamlit's markdown shows it letter for letter, on one line, cut at `max_chars`.

    Brackets become entities and not backslash pairs, because `st.badge` adds its own backslashes to brackets.
    """
    plain = one_line(text, max_chars=max_chars)
    apart = _AFTER_PARSING.sub(lambda match: match.group(0) + _JOINER, plain)
    return _PUNCTUATION.sub(lambda match: "\\" + match.group(0), apart).translate(_BRACKETS)


def code_span(text: object, *, max_chars: int = 400) -> str:
    """Return `text` as markdown inline code; a run of backticks inside cannot end it."""
    plain = one_line(text, max_chars=max_chars) or " "
    longest = max((len(run) for run in re.findall(r"`+", plain)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def prose(text: object, *, max_chars: int = 400) -> str:
    """Return a docstring's sentence or a hint as markdown: `words between backticks` as code, all else as it is."""
    parts = re.split(r"`([^`]+)`", one_line(text, max_chars=max_chars))
    return "".join(code_span(part) if number % 2 else _spaced(part) for number, part in enumerate(parts))


def _spaced(text: str) -> str:
    """Return escaped text with the blanks at its ends kept."""
    escaped = escape(text, max_chars=len(text) + 1)
    return " " * text.startswith(" ") + escaped + " " * (text.endswith(" ") and bool(escaped))


def one_line(text: object, *, max_chars: int = 400) -> str:
    """Return `text` on one line without control and direction-changing characters, cut with `…`. No markup is added."""
    plain = _INVISIBLE.sub(" ", str(text)).strip()
    return plain if len(plain) <= max_chars else plain[: max_chars - 1] + "…"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return `1 block`, `2 blocks`, `12,345 rows`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float | None) -> str:
    """Return a duration with two figures that matter: `4 ms`, `1.2 s`, `3 min 05 s`, `2 h 10 min`; `–` for None."""
    if seconds is None:
        return "–"
    if seconds < 0.9995:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def size(size_bytes: int | None) -> str:
    """Return `0 B`, `12.3 KB`, `4.0 GB` (powers of 1,000); `–` for None."""
    if size_bytes is None:
        return "–"
    value = float(size_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 999.5 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def ago(at: datetime | None, now: datetime) -> str:
    """Return how long before `now` something was: `just now`, `5 min ago`, `3 h ago`, `2 d ago`; `never` for None."""
    if at is None:
        return "never"
    seconds = (now - at).total_seconds()
    if seconds < 5:
        return "just now"
    if seconds < 60:
        return f"{seconds:.0f} s ago"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min ago"
    if seconds < 86400:
        return f"{seconds / 3600:.0f} h ago"
    return f"{seconds / 86400:.0f} d ago"


def moment(at: datetime | None, zone: str | None = None) -> str:
    """Return `2026-11-21 18:04:05` in the browser's IANA `zone` (UTC and so marked when unknown); `–` for None."""
    if at is None:
        return "–"
    place: tzinfo | None = None
    if zone:
        try:
            place = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            place = None
    if place is None:
        return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return at.astimezone(place).strftime("%Y-%m-%d %H:%M:%S")
