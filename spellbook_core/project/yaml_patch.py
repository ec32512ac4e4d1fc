"""Changing a YAML text where a document differs, and nowhere else: comments, quotes and layout of the rest stay.

For files that people wrote or touched. It works on whole lines of block style; what it cannot change finely, such as a
`{a: b}` on one line, is written anew from the key above it on. The result is read back before it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import yaml

Dump = Callable[[object], str]
_ODD_BREAKS = ("\x85", "\u2028", "\u2029")


@dataclass(frozen=True, slots=True)
class _Edit:
    """Lines `start` up to `end` (not included) become `lines`; places count from 0."""

    start: int
    end: int
    lines: tuple[str, ...]


class _CoarseError(Exception):
    """A node cannot be changed finely: whoever holds it writes it anew."""


def patch(text: str, root: yaml.Node, before: object, after: object, dump: Dump) -> str | None:
    """Return `text`, read as `before`, changed to say `after`; None when it cannot be done finely.

    Args:
        text: YAML, with the ends of lines of Unix or of Windows.
        root: Its node tree.
        before: What it was read as.
        after: What it shall be read as; the caller checks that it is.
        dump: Writes a value in block style, as a document of its own.
    """
    plain = text.replace("\r\n", "\n")
    if "\r" in plain or any(mark in text for mark in _ODD_BREAKS):
        return None  # YAML counts these as ends of lines too
    lines = plain.split("\n")
    try:
        edits = _Patch(lines, dump).node(root, before, after)
        changed = "\n".join(_applied(lines, 0, len(lines), edits))
    except _CoarseError:
        return None
    return changed.replace("\n", "\r\n") if "\r\n" in text else changed


class _Patch:
    def __init__(self, lines: list[str], dump: Dump) -> None:
        self._lines, self._dump = lines, dump

    def node(self, node: yaml.Node, before: object, after: object) -> list[_Edit]:
        """Return the edits that make of a node's value another one. Raises _CoarseError."""
        if is_same(before, after):
            return []
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, after)
        is_block = isinstance(node, yaml.CollectionNode) and not node.flow_style
        if (
            is_block
            and isinstance(node, yaml.MappingNode)
            and isinstance(before, Mapping)
            and isinstance(after, Mapping)
        ):
            return self._mapping(node, before, after)
        if is_block and isinstance(node, yaml.SequenceNode) and isinstance(before, list) and isinstance(after, list):
            return self._sequence(node, before, after)
        raise _CoarseError

    def _scalar(self, node: yaml.ScalarNode, after: object) -> list[_Edit]:
        start, end = node.start_mark, node.end_mark
        if isinstance(after, (Mapping, list)) or start.line != end.line or node.value == "":
            raise _CoarseError
        written = self._dump(after).removesuffix("\n").removesuffix("\n...")
        if "\n" in written:
            raise _CoarseError
        line = self._lines[start.line]
        return [_Edit(start.line, start.line + 1, (line[: start.column] + written + line[end.column :],))]

    def _mapping(
        self, node: yaml.MappingNode, before: Mapping[object, object], after: Mapping[object, object]
    ) -> list[_Edit]:
        entries = {key.value: (key, value) for key, value in node.value}
        if not after or [key for key in before if key in after] != [key for key in after if key in before]:
            raise _CoarseError
        column = node.start_mark.column
        first = node.value[0][0].start_mark.line
        shares_line = bool(self._lines[first][:column].strip())  # with the dash of a list
        edits: list[_Edit] = []
        for key, (name, value) in entries.items():
            start, end = name.start_mark.line, self._end(value, name)
            if key not in after:
                if start == first and shares_line:
                    raise _CoarseError
                edits.append(_Edit(start, end, ()))
                continue
            try:
                edits += self.node(value, before[key], after[key])
            except _CoarseError:
                written = self._written({key: after[key]}, column)
                edits.append(_Edit(start, end, (self._lines[start][:column] + written[0][column:], *written[1:])))
        place = None
        for key in after:
            if key in entries:
                name, value = entries[key]
                place = self._end(value, name)
            elif place is None and shares_line:
                raise _CoarseError
            else:
                at = first if place is None else place
                edits.append(_Edit(at, at, tuple(self._written({key: after[key]}, column))))
        return edits

    def _sequence(self, node: yaml.SequenceNode, before: Sequence[object], after: Sequence[object]) -> list[_Edit]:
        """Rebuild the list of its items' lines, so that a moved item takes its comments along."""
        column = node.start_mark.column
        starts = [item.start_mark.line for item in node.value]
        if not after or any(self._lines[line][column : column + 1] != "-" for line in starts):
            raise _CoarseError
        if self._lines[starts[0]][:column].strip():
            raise _CoarseError  # a list that begins on the line of another one
        ends = [self._end(item) for item in node.value]
        begins = [starts[0], *ends[:-1]]
        made: list[str] = []
        for index, place in enumerate(_paired(before, after)):
            if place is None:
                made += self._written([after[index]], column)
                continue
            try:
                edits = self.node(node.value[place], before[place], after[index])
                made += _applied(self._lines, begins[place], ends[place], edits)
            except _CoarseError:
                made += [*self._lines[begins[place] : starts[place]], *self._written([after[index]], column)]
        return [_Edit(starts[0], ends[-1], tuple(made))]

    def _written(self, value: object, column: int) -> list[str]:
        lines = self._dump(value).removesuffix("\n").split("\n")
        return [" " * column + line if line else line for line in lines]

    def _end(self, node: yaml.Node, name: yaml.Node | None = None) -> int:
        """Return the line after the last one of a node; comments and empty lines below are not its own."""
        if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
            end = node.end_mark.line + (node.end_mark.column > 0 or node.end_mark.line == node.start_mark.line)
            if isinstance(node, yaml.ScalarNode) and node.value == "" and not node.style and name is not None:
                end = name.end_mark.line + 1
        else:
            last = node.value[-1]
            key, value = last if isinstance(node, yaml.MappingNode) else (None, last)
            end = self._end(value, key)
        least = (name or node).start_mark.line + 1
        while end > least and not self._lines[end - 1].strip():
            end -= 1
        return int(end)


def is_same(one: object, other: object) -> bool:
    """Whether two values are written alike: `1`, `1.0` and `true` are equal in Python only, and NaN is itself here."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return list(one) == list(other) and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return type(one) is type(other) and (one == other or repr(one) == repr(other))


def _paired(before: Sequence[object], after: Sequence[object]) -> list[int | None]:
    """Return for each item of `after` the place in `before` of the one that it was, None for a new one."""
    waiting: dict[str, list[int]] = {}
    for place, item in enumerate(before):
        waiting.setdefault(_name_of(item), []).append(place)
    found = [places.pop(0) if (places := waiting.get(_name_of(item))) else None for item in after]
    taken = set(found)
    if len(before) == len(after):  # what kept its place under another name was renamed
        found = [place if place is not None or index in taken else index for index, place in enumerate(found)]
    return found


def _name_of(item: object) -> str:
    name = item.get("uuid", item.get("name")) if isinstance(item, Mapping) else None
    return f"uuid {name}" if isinstance(name, str) else repr(item)


def _applied(lines: Sequence[str], start: int, end: int, edits: Sequence[_Edit]) -> list[str]:
    """Return the lines from `start` to `end`, changed. Raises _CoarseError when two edits meet in a line."""
    made: list[str] = []
    place = start
    for edit in sorted(edits, key=lambda each: (each.start, each.end)):
        if edit.start < place:
            raise _CoarseError
        made += [*lines[place : edit.start], *edit.lines]
        place = edit.end
    return [*made, *lines[place:end]]
