"""Replaces secret values in text by `***`: as they are, escaped, URL-encoded, and in base64 at any offset."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TypeVar
from urllib.parse import quote, quote_plus

MASK = "***"

MIN_CHARS = 4
"""Shortest value that is masked: replacing every `42` would spoil all other texts and hide nothing."""

MIN_ENCODED_CHARS = 6
"""Shortest encoded form that is looked for: shorter ones turn up in texts by chance."""

MAX_CHARS = 16 * 1024
"""Longest value that is masked whole; a longer one, and any of several lines, is masked line by line too."""

_BASE64_LEADS = (0, 2, 3)
"""Base64 characters that also depend on what stands before the value, by the offset of its first byte modulo 3."""

Value = TypeVar("Value")


class Masker:
    """Masks a fixed set of values; without values every call returns its argument at once.

    Args:
        values: Secrets. Those shorter than `MIN_CHARS` are left out.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = frozenset(value for value in values if len(value) >= MIN_CHARS)

    def __bool__(self) -> bool:
        return bool(self._values)

    def with_values(self, values: Iterable[str]) -> Masker:
        """Return a masker of these values too; the same one when it knows them all."""
        more = {value for value in values if len(value) >= MIN_CHARS} - self._values
        return Masker(self._values | more) if more else self

    def text(self, text: str) -> str:
        """Return `text` with every secret in it replaced by `***`."""
        if not self._values or not text:
            return text
        return self._pattern.sub(MASK, text)

    def part(self, text: str, *, begins_cut: bool = False, ends_cut: bool = False) -> str:
        """Return a masked piece of a longer text; what may be one half of a secret at a cut end goes too."""
        if not self._values:
            return text
        before = after = ""
        if ends_cut and (length := _overlap(text, self._forms, at_end=True)):
            text, after = text[: len(text) - length], MASK
        if begins_cut and (length := _overlap(text, self._forms, at_end=False)):
            text, before = text[length:], MASK
        return before + self.text(text) + after

    def value(self, value: Value, *, but: frozenset[str] = frozenset(), keys: bool = True) -> Value:
        """Return a JSON value with every string in it masked; below the keys `but` nothing changes.

        Args:
            value: Plain JSON.
            but: Keys whose values stay as they are.
            keys: Mask keys too, as of a dictionary that a block made. Not of a document of ours: with a password
                `test`, nobody would find its `tests`.
        """
        return self._value(value, but, keys) if self._values else value  # type: ignore[return-value]  # the same shape

    def _value(self, value: object, but: frozenset[str], keys: bool) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(key) if keys and isinstance(key, str) else key: (
                    item if key in but else self._value(item, but, keys)
                )
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._value(item, but, keys) for item in value]
        return value

    def names(self, names: Sequence[str]) -> list[str]:
        """Return names masked and still different from each other, as a table's column names must be."""
        if not self._values:
            return list(names)
        taken: set[str] = set()
        result = []
        for name in names:
            masked = shown = self.text(name)
            number = 1
            while masked != name and shown in taken:
                number += 1
                shown = f"{masked} {number}"
            taken.add(shown)
            result.append(shown)
        return result

    @cached_property
    def _forms(self) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for value in self._values:
            lines = [line.strip() for line in value.splitlines()] if "\n" in value else []
            for one in (value, *(line for line in lines if len(line) >= 2 * MIN_CHARS)):
                found.update(dict.fromkeys(_forms_of(one)))
        return tuple(found)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # The longest first: a secret that begins with another one must not leave its rest behind.
        return re.compile(_tree(sorted(self._forms, key=len, reverse=True)))


def _forms_of(value: str) -> Iterable[str]:
    """Yield how a value may stand in a text."""
    yield value
    data = value.encode("utf-8", "surrogatepass")
    text = value.encode("utf-8", "replace").decode()
    encoded = {
        repr(value)[1:-1],
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        html.escape(value),
        quote(text, safe=""),
        quote(text),
        quote_plus(text),
        re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), quote(text, safe="")),
        data.hex(),
    }
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded.add(encode(data).decode())
        encoded.add(encode(data).decode().rstrip("="))
        for offset, lead in enumerate(_BASE64_LEADS):
            whole = encode(b"\0" * offset + data).decode()
            uncertain = (offset + len(data)) % 3  # its last character also holds bits of what stands behind
            encoded.add(whole[lead : len(whole) - (4 - uncertain if uncertain else 0)])
    for form in encoded - {value}:
        if len(form) >= MIN_ENCODED_CHARS:
            yield form


def _tree(forms: Sequence[str]) -> str:
    """Return a pattern of alternatives, those of one beginning behind it: most positions fail at their first letter."""
    groups: dict[str, list[str]] = {}
    for form in forms:
        groups.setdefault(form[:1], []).append(form)
    branches = []
    for first, members in groups.items():
        if len(members) == 1:
            branches.append(re.escape(members[0]))
            continue
        common = _beginning(members)
        rests = [member[len(common) :] for member in members]
        behind = _tree([rest for rest in rests if rest])
        branches.append(re.escape(common or first) + f"(?:{behind})" + ("?" if "" in rests else ""))
    return "|".join(branches)


def _beginning(texts: Sequence[str]) -> str:
    low, high = min(texts), max(texts)
    return next((low[:n] for n, letter in enumerate(low) if n >= len(high) or high[n] != letter), low)


def _overlap(text: str, forms: Iterable[str], *, at_end: bool) -> int:
    """Return how many characters at one end of `text` are the beginning (or, at its start, the end) of a form."""
    longest = 0
    for form in forms:
        for length in range(min(len(form) - 1, len(text)), max(longest, MIN_CHARS - 1), -1):
            if text.endswith(form[:length]) if at_end else text.startswith(form[-length:]):
                longest = length
                break
    return longest
