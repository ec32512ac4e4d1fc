"""Strict YAML: what could change meaning, run code or exhaust memory is an error with path, line and column.

PyYAML reads `uuid: no` as False, keeps the last of two equal keys, and lets 306 bytes of aliases grow to gigabytes
when written out again. Here: safe types only, text keys, no duplicate keys, and limits on size and nesting, of aliases
too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import yaml

from spellbook_core.errors import SpellbookError
from spellbook_core.project.containment import UnreadableFileError, decode
from spellbook_core.project.yaml_aliases import without_aliases
from spellbook_core.project.yaml_patch import is_same, patch
from spellbook_core.settings import MAX_YAML_BYTES

try:
    from yaml import CSafeDumper as _FastDumper
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML built without libyaml: seven times slower, the same result
    from yaml import SafeDumper as _FastDumper  # type: ignore[assignment]
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]


class _Fast(_FastDumper):
    """libyaml's writer. Values that occur twice are written twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


class _Exact(yaml.SafeDumper):
    """PyYAML's own writer, which is mage's."""

    def ignore_aliases(self, data: object) -> bool:
        return True


class _Sharing(yaml.SafeDumper):
    """PyYAML's own writer as it is: the second time, a list or mapping that occurs twice is an alias of the first."""


MAX_NESTING = 60
"""Deepest nesting that is read. mage's own files reach 6."""

_SAFE_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")
)
_TEXT_TAG = "tag:yaml.org,2002:str"
_CONFLICT = re.compile(r"^(?:<{7}|>{7}|\|{7})(?: .*)?$", re.MULTILINE)
_MAYBE_DEEP = re.compile(rb"^ {120}|(?:[-?][ \t]+){40}", re.MULTILINE)


class BadYamlError(SpellbookError, ValueError):
    """A YAML file cannot be read, or holds what Spellbook refuses; the message names path, line and column."""

    code = "SB-PRJ-004"


def fail(path: Path, node: yaml.Node | None, what: str, hint: str) -> NoReturn:
    """Raise BadYamlError (SB-PRJ-004) at the place of `node`."""
    fail_at(path, (node.start_mark.line + 1, node.start_mark.column + 1) if node else (1, 1), what, hint)


def fail_at(path: Path, place: tuple[int, int], what: str, hint: str) -> NoReturn:
    """Raise BadYamlError (SB-PRJ-004) at a 1-based line and column."""
    line, column = place
    shown = f"{path.parent.name}/{path.name}" if path.parent.name else path.name
    raise BadYamlError(f"{shown}:{line}:{column}: {what}.", hint=hint, path=str(path), line=line, column=column)


def read(data: bytes, path: Path) -> tuple[dict[str, object], str, yaml.MappingNode]:
    """Return the document of a strict YAML file, its text, and its node tree (for the places of later complaints).

    Raises:
        BadYamlError: With path, line and column. [SB-PRJ-004]
    """
    if len(data) > MAX_YAML_BYTES:
        fail_at(
            path, (1, 1), f"the file has {len(data):,} bytes, at most {MAX_YAML_BYTES:,} are read", "make it smaller"
        )
    try:
        text = decode(data, path)
    except UnreadableFileError as cause:
        line = cause.facts.get("line")
        fail_at(path, (line if isinstance(line, int) else 1, 1), "this is no UTF-8 text", cause.hint)
    conflict = _CONFLICT.search(text)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        fail_at(
            path,
            (line, 1),
            f"git left a merge conflict here ('{conflict.group()[:40]}')",
            "keep one of the two versions, remove the markers <<<<<<<, ======= and >>>>>>>, then save",
        )
    root = _compose(data, text, path)
    if not isinstance(root, yaml.MappingNode):
        what = "the file is empty" if root is None else "the file holds no keys"
        fail(path, root, what, "restore it from git, or make the pipeline anew")
    _check(root, path)
    try:
        document = _construct(root)
    except (ValueError, OverflowError, yaml.YAMLError) as cause:
        fail(path, root, f"a value cannot be read ({str(cause).splitlines()[0][:80]})", "put it in quotes")
    return document, text, root


def _compose(data: bytes, text: str, path: Path) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        # libyaml composes by recursion: a million open brackets would end the process, so depth is counted first.
        if _MAYBE_DEEP.search(data) or text.count("[") + text.count("{") - text.count("[]") - text.count("{}") > 60:
            _check_depth(text, path)
        return loader.get_single_node()
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        fail_at(
            path,
            place,
            f"this is no YAML ({cause.problem or cause.context})",
            "correct that line, or restore it from git",
        )
    except yaml.reader.ReaderError as cause:
        line = text.count("\n", 0, cause.position) + 1
        fail_at(
            path, (line, 1), "there is a character that YAML forbids", "remove it; control characters are not allowed"
        )
    except yaml.YAMLError as cause:
        fail_at(path, (1, 1), f"this is no YAML ({str(cause).splitlines()[0][:80]})", "restore it from git")
    finally:
        loader.dispose()


def _check_depth(text: str, path: Path) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_NESTING:
                mark = event.start_mark
                place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
                fail_at(path, place, f"nested more than {MAX_NESTING} levels deep", "flatten it")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check(root: yaml.MappingNode, path: Path) -> None:
    """Refuse foreign tags, duplicate keys, keys that are no text, deep nesting, and aliases that grow or go round."""
    weight, _ = _weigh(root, path, 1, {}, set())
    if weight > MAX_YAML_BYTES:
        fail(
            path,
            root,
            f"written out, its aliases (*name) make more than {MAX_YAML_BYTES:,} characters of it",
            "write the values out where they are needed, and fewer of them",
        )


def _weigh(
    node: yaml.CollectionNode, path: Path, depth: int, known: dict[int, tuple[int, int]], above: set[int]
) -> tuple[int, int]:
    """Return how much a checked node is when its aliases are written out, in characters, and how many levels deep."""
    if id(node) in above:
        fail(path, node, "an alias (*name) points to what it is part of", "write the value out")
    if id(node) not in known:
        _check_tag(node, path)
        if depth > MAX_NESTING:
            fail(path, node, f"nested more than {MAX_NESTING} levels deep", "flatten it")
        above.add(id(node))
        children, weight = _children(node, path)
        deepest = 0
        for child in children:
            if isinstance(child, yaml.ScalarNode):  # most are, and 500 blocks have 10,000
                _check_tag(child, path)
                weight += 1 + len(child.value)
                continue
            if not isinstance(child, yaml.CollectionNode):
                raise AssertionError("a node is a scalar, a list or a mapping")
            more, deep = _weigh(child, path, depth + 1, known, above)
            weight, deepest = weight + more, max(deepest, deep)
        above.remove(id(node))
        known[id(node)] = (weight, deepest + 1)
    weight, deep = known[id(node)]
    if depth + deep - 1 > MAX_NESTING:
        fail(path, node, f"nested more than {MAX_NESTING} levels deep", "flatten it")
    return weight, deep


def _check_tag(node: yaml.Node, path: Path) -> None:
    if node.tag not in _SAFE_TAGS:
        shown = node.tag.replace("tag:yaml.org,2002:", "!!")
        fail(path, node, f"the tag '{shown[:80]}' is refused", "use plain text, numbers, lists and mappings")


def _children(node: yaml.CollectionNode, path: Path) -> tuple[list[yaml.Node], int]:
    """Return the values of a list or mapping, and how much its keys are."""
    if isinstance(node, yaml.SequenceNode):
        return node.value, 1
    keys: set[str] = set()
    weight = 1
    for key, _ in node.value:
        if key.tag != _TEXT_TAG:
            fail(path, key, f"the key '{str(key.value)[:40]}' is no text", "put it in quotes")
        if key.value in keys:
            fail(path, key, f"the key '{key.value[:80]}' is there twice", "remove one of the two")
        keys.add(key.value)
        weight += 1 + len(key.value)
    return [value for _, value in node.value], weight


def _construct(root: yaml.MappingNode) -> dict[str, object]:
    constructor = yaml.constructor.SafeConstructor()
    document = constructor.construct_document(root)
    return dict(document)


def node_at(root: yaml.Node, where: Sequence[str | int]) -> yaml.Node:
    """Return the node at a path of keys and indexes; the nearest one above when it is absent."""
    node = root
    for step in where:
        if isinstance(node, yaml.MappingNode):
            found = next((value for key, value in node.value if key.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = node.value[step]
        else:
            found = None
        if found is None:
            return node
        node = found
    return node


def write(document: dict[str, object], *, like: tuple[dict[str, object], str] | None = None) -> str:
    """Return the document as YAML, keys in their order, in the style of the text that it came from.

    `yaml.safe_dump` with its defaults reproduces 352 of 370 public mage files byte for byte. Text with raw Korean is
    written raw, text with escapes escaped; a new file is written raw, so that people can read its differences in git.
    Of a text that no dumper writes, with comments or quotes of a person, only the lines that differ are changed.

    Args:
        document: What to write.
        like: The document as it was read, and its text; None for a new file.
    """
    if like is None:
        return _dump(document, _Fast, raw=True)
    before, text = like
    for dumper, raw in _styles(text):
        if _dump(before, dumper, raw=raw) == text:
            return _dump(document, dumper, raw=raw)
    return _patched(text, before, document) or _dump(document, _Fast, raw=_is_raw(text))


def _patched(text: str, before: dict[str, object], document: dict[str, object]) -> str | None:
    """Return a text that a person wrote, changed where the document differs; None when that fails.

    What an edit takes an alias from is written out there: a change of one place would be one of all.
    """
    made = _patched_as_it_is(text, before, document)
    if made is None and re.search(r"(?:^|[\s\[{,])\*\w", text):
        with suppress(yaml.YAMLError):
            made = _patched_as_it_is(without_aliases(text), before, document)
    return made


def _patched_as_it_is(text: str, before: dict[str, object], document: dict[str, object]) -> str | None:
    place, raw = Path("metadata.yaml"), _is_raw(text)
    try:
        root = _compose(text.encode("utf-8"), text, place)
        if root is None:
            return None
        made = patch(text, root, before, document, lambda value: _dump(value, _Fast, raw=raw))
        again = None if made is None else read(made.encode("utf-8"), place)[0]
    except BadYamlError:
        return None
    return made if is_same(again, document) else None


def _is_raw(text: str) -> bool:
    return not text.isascii() or re.search(r"\\[uUx]", text) is None


def _styles(text: str) -> list[tuple[type, bool]]:
    order = [True, False] if _is_raw(text) else [False, True]
    # libyaml and PyYAML differ on a few texts (emoji, some folds); mage writes with PyYAML.
    dumpers = (_Sharing, _Fast, _Exact) if "&id" in text else (_Fast, _Exact)
    return [(dumper, raw) for dumper in dumpers for raw in order]


def _dump(document: object, dumper: type, *, raw: bool) -> str:
    return str(yaml.dump(document, Dumper=dumper, allow_unicode=raw, sort_keys=False))
