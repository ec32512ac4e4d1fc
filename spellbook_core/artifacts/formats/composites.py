"""Lists, tuples and dicts that hold tables or arrays: a JSON skeleton, and each table or array stored by itself.

Equal tables are then stored once, whichever values hold them, and each is shown like any table. What JSON cannot hold
beside them (a model, a date) goes into one pickle, the rest, so that objects which share others still do.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from spellbook_core.artifacts.formats import json_values, npy
from spellbook_core.artifacts.formats.encoded import Encoded, count
from spellbook_core.artifacts.sketch import describe_shortly, type_name
from spellbook_core.model.output import ArtifactRef, OutputInfo, OutputKind
from spellbook_core.model.values import JsonValue

FORMAT = "parts"
SUFFIX = "parts"
VERSION = 1

MAX_PARTS = 200
"""Tables and arrays of one value that are stored by themselves; a value with more is one pickle.

Each costs 1.5 ms to write, 0.7 ms to read and four files: 1,000 small tables take 20 times as long as their pickle, and
300 of 1 MB four times, which nobody gets back who only hands them on."""

_LEAST_ARRAY_BYTES = 4_096
_MAX_LOOKED_AT = 10_000
_MAX_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Part:
    """A table or array inside a value, and where: `['train'][0]`."""

    place: str
    value: object


@dataclass(slots=True)
class Apart:
    """A value taken apart.

    Attributes:
        node: Its skeleton: pairs of a letter and what that stands for; see `_Walk`.
        rest: What neither JSON nor a part of its own holds.
    """

    value: object
    node: JsonValue
    parts: list[Part]
    rest: list[object] = field(default_factory=list)

    def encoded(self, stored: Sequence[OutputInfo], rest: ArtifactRef | None) -> Encoded:
        """Return how to store the skeleton.

        Args:
            stored: The parts as they were stored, in their order.
            rest: Where the rest lies, if there is one.
        """
        document = {
            "version": VERSION,
            "node": self.node,
            "parts": [[info.artifact.digest, info.artifact.format] for info in stored],
            "rest": None if rest is None else [rest.digest, rest.format],
        }
        told: list[JsonValue] = [
            {"place": part.place, "digest": info.artifact.digest, "format": info.artifact.format}
            for part, info in zip(self.parts, stored, strict=True)
        ]
        arrays = sum(info.kind is OutputKind.ARRAY for info in stored)
        held = [count(number, noun) for number, noun in ((len(stored) - arrays, "table"), (arrays, "array")) if number]
        return Encoded(
            format=FORMAT,
            suffix=SUFFIX,
            kind=OutputKind.OBJECT,
            type_name=type_name(self.value),
            summary=f"{json_values.summarise(self.value)} with {' and '.join(held)}",
            write=lambda file: file.write(json.dumps(document, separators=(",", ":")).encode()),
            preview=lambda folder: json_values.write_preview(folder, self.value),
            warnings=tuple(
                f"{part.place}: {warning}"
                for part, info in zip(self.parts, stored, strict=True)
                for warning in info.warnings
            ),
            facts={"parts": told},
        )


def take_apart(value: object) -> Apart | None:
    """Return the parts of a list, tuple or dict that holds tables or arrays; None for any other value."""
    if type(value) not in {list, tuple, dict} or not _holds_parts(value):
        return None
    walk = _Walk()
    try:
        node = walk.node(value, "", 0)
    except _TooMuchError:
        return None
    return Apart(value, node, walk.parts, walk.rest)


class _TooMuchError(Exception):
    """The value is too deep (or holds itself), has too many parts, or keys of odd types."""


class _Walk:
    """One way through a value. Nodes: j JSON, d pairs of key and node, l list, t tuple, p part, r entry of the rest."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.rest: list[object] = []
        self._numbers: dict[int, int] = {}
        self._seen = 0

    def node(self, value: object, place: str, depth: int) -> JsonValue:
        self._seen += 1
        if depth > _MAX_DEPTH or self._seen > _MAX_LOOKED_AT * 10:
            raise _TooMuchError
        if _is_part(value):
            return ["p", self._part(value, place)]
        if json_values.is_exact(value):
            return ["j", value]  # type: ignore[list-item]  # JSON, as was just found
        if isinstance(value, dict) and type(value) is dict:
            return [
                "d",
                [
                    [_key(key), self.node(item, f"{place}[{describe_shortly(key, 60)}]", depth + 1)]
                    for key, item in value.items()
                ],
            ]
        if type(value) in {list, tuple}:
            items: Sequence[object] = value  # type: ignore[assignment]  # one of the two
            nodes = [self.node(item, f"{place}[{number}]", depth + 1) for number, item in enumerate(items)]
            return ["l" if type(value) is list else "t", nodes]
        self.rest.append(value)
        return ["r", len(self.rest) - 1]

    def _part(self, value: object, place: str) -> int:
        """Return the part's number; an object that is held twice is one part, and one object again when it is read."""
        known = self._numbers.get(id(value))
        if known is None:
            if len(self.parts) >= MAX_PARTS:
                raise _TooMuchError
            known = self._numbers[id(value)] = len(self.parts)
            self.parts.append(Part(place, value))
        return known


def _key(key: object) -> JsonValue:
    if isinstance(key, tuple) and type(key) is tuple:
        return ["t", [_key(entry) for entry in key]]
    if isinstance(key, (dict, list)) or not json_values.is_exact(key):
        raise _TooMuchError
    return ["j", key]  # type: ignore[list-item]  # JSON, as was just found


def _holds_parts(value: object) -> bool:
    """Return whether a table or array is among the first things in `value`, the outer ones first."""
    level: list[object] = [value]
    looked_at = 0
    while level and looked_at < _MAX_LOOKED_AT:
        below: list[object] = []
        for item in level:
            for entry in islice(_entries(item), _MAX_LOOKED_AT - looked_at):
                looked_at += 1
                if _is_part(entry):
                    return True
                if type(entry) in {list, tuple, dict}:
                    below.append(entry)
        level = below
    return False


def _entries(item: Any) -> Iterator[object]:
    return iter(item.values() if type(item) is dict else item)


def _is_part(value: object) -> bool:
    kind = type(value)
    root = kind.__module__.partition(".")[0]
    if root == "numpy" and "numpy" in sys.modules:
        import numpy as np

        return kind is np.ndarray and _is_large(value)
    if root == "pandas" and "pandas" in sys.modules:
        import pandas as pd

        return kind is pd.DataFrame or kind is pd.Series
    return (root, kind.__qualname__) in {("pyarrow", "Table"), ("polars", "DataFrame")}


def _is_large(array: Any) -> bool:
    return array.nbytes >= _LEAST_ARRAY_BYTES and npy.is_exact(array.dtype)


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What `Apart.encoded` wrote: `refs` are those of the parts, then that of the rest if `has_rest`."""

    node: JsonValue
    refs: tuple[ArtifactRef, ...]
    has_rest: bool

    def rebuild(self, values: Sequence[object]) -> object:
        """Return the value; `values` are those of `refs`."""
        rest = values[-1] if self.has_rest else []
        return _rebuilt(self.node, values, rest)


def read(path: Path) -> Skeleton:
    """Return the skeleton in `path`.

    Raises:
        ValueError: It is not what was written.
        OSError: It cannot be read.
    """
    try:
        found = json.loads(path.read_bytes())
        rest = [found["rest"]] if found["rest"] is not None else []
        refs = tuple(ArtifactRef(str(digest), str(form)) for digest, form in [*found["parts"], *rest])
    except (KeyError, TypeError) as cause:
        raise ValueError(f"no skeleton of a value: {cause}") from cause
    return Skeleton(found["node"], refs, bool(rest))


def _rebuilt(node: Any, parts: Sequence[object], rest: Any) -> Any:
    letter, inner = node
    if letter == "j":
        return inner
    if letter == "d":
        return {_rebuilt(key, parts, rest): _rebuilt(item, parts, rest) for key, item in inner}
    if letter in {"l", "t"}:
        items = [_rebuilt(item, parts, rest) for item in inner]
        return items if letter == "l" else tuple(items)
    return parts[inner] if letter == "p" else rest[inner]
