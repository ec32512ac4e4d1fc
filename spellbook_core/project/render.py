"""Merging a changed pipeline into the document of its file: only what differs is touched. Pure functions."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import cast

from spellbook_core.model.block import Block
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.pipeline import Pipeline

Entry = dict[str, object]


def render(document: Mapping[str, object], old: Pipeline | None, new: Pipeline) -> Entry:
    """Return `document` with the differences between `old` (as read from it) and `new` applied.

    Args:
        document: Never changed; the result shares the parts that stay.
        old: None for a new file.
        new: What the result says.
    """
    result: Entry = dict(document)
    for key, was, now in (
        ("uuid", old and old.uuid, new.uuid),
        ("name", old and old.name, new.name),
        ("type", old and old.type, new.type),
        ("description", old and old.description, new.description),
        ("tags", old and list(old.tags), list(new.tags)),
    ):
        if was != now:
            put(result, key, plain(now))
    if (old is None and new.variables) or (old is not None and dict(old.variables) != dict(new.variables)):
        put(result, "variables", _merged(document.get("variables"), new.variables))
    if dict(old.retry_config if old is not None else {}) != dict(new.retry_config):
        put(result, "retry_config", _merged(document.get("retry_config"), new.retry_config))
    if dict(old.concurrency_config if old is not None else {}) != dict(new.concurrency_config):
        put(result, "concurrency_config", _merged(document.get("concurrency_config"), new.concurrency_config))
    for key in ("blocks", "callbacks", "conditionals", "widgets"):
        was_blocks = getattr(old, key) if old is not None else None
        now_blocks = getattr(new, key)
        if was_blocks is None and not now_blocks and key != "blocks":
            continue
        if was_blocks != now_blocks:
            entries = cast("list[Entry]", document.get(key) or [])
            put(result, key, _entries(entries, was_blocks or (), now_blocks))
    gone = {block.uuid for block in old.blocks} - {block.uuid for block in new.blocks} if old is not None else set()
    entries = _with_downstream(cast("list[Entry]", result.get("blocks") or []), old, new, gone)
    if entries or "blocks" in result:
        put(result, "blocks", entries)
    return result


def put(entry: Entry, key: str, value: object) -> None:
    """Set `key`; a new one goes before the first key that sorts after it, which is where mage writes it."""
    if key in entry:
        entry[key] = value
        return
    items = list(entry.items())
    place = next((index for index, (name, _) in enumerate(items) if name > key), len(items))
    items.insert(place, (key, value))
    entry.clear()
    entry.update(items)


def plain(value: object) -> object:
    """Return the value made of plain dicts, lists and texts, which is all that a safe dumper writes."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return plain(value.value)
    return value


def _entries(entries: Sequence[Entry], old: Sequence[Block], new: Sequence[Block]) -> list[Entry]:
    """Pair every new block with the entry it came from: by uuid, else by place when it was renamed."""
    waiting: dict[str, list[tuple[Block, Entry]]] = {}
    for block, entry in zip(old, entries, strict=True):
        waiting.setdefault(block.uuid, []).append((block, entry))
    now = {block.uuid for block in new}
    result = []
    for index, block in enumerate(new):
        pairs = waiting.get(block.uuid)
        if pairs:
            was, entry = pairs.pop(0)
        elif index < len(old) and old[index].uuid not in now and _is_renamed(old[index], block):
            was, entry = old[index], entries[index]
        else:
            result.append(_new_entry(block))
            continue
        result.append(entry if was == block else _edited(entry, was, block))
    return result


def _is_renamed(old: Block, new: Block) -> bool:
    return (old.type, old.language, len(old.upstream_blocks)) == (new.type, new.language, len(new.upstream_blocks))


def _edited(entry: Entry, was: Block, now: Block) -> Entry:
    result = dict(entry)
    for key in ("uuid", "name", "type", "language", "color", "replicated_block"):
        value = getattr(now, key)
        if getattr(was, key) != value:
            put(result, key, plain(value))
    if was.upstream_blocks != now.upstream_blocks:
        put(result, "upstream_blocks", _same_forms(entry.get("upstream_blocks"), now.upstream_blocks))
    if was.timeout_s != now.timeout_s:
        put(result, "timeout", _number(now.timeout_s))
    if dict(was.configuration) != dict(now.configuration):
        put(result, "configuration", _merged(entry.get("configuration"), now.configuration))
    if dict(was.retry_config) != dict(now.retry_config):
        put(result, "retry_config", _merged(entry.get("retry_config"), now.retry_config) or None)
    return result


def _new_entry(block: Block) -> Entry:
    """Return the keys that mage 0.9.80 writes for a block, in its order."""
    entry: Entry = {
        "all_upstream_blocks_executed": not block.upstream_blocks,
        "color": block.color,
        "configuration": plain(block.configuration),
        "downstream_blocks": [],
        "executor_config": None,
        "executor_type": "local_python",
        "has_callback": False,
        "language": block.language,
        "name": block.name,
        "retry_config": plain(block.retry_config) or None,
        "status": "not_executed",
        "timeout": _number(block.timeout_s),
        "type": str(block.type),
        "upstream_blocks": list(block.upstream_blocks),
        "uuid": block.uuid,
    }
    if block.replicated_block is not None:
        put(entry, "replicated_block", block.replicated_block)
    return entry


def _with_downstream(entries: list[Entry], old: Pipeline | None, new: Pipeline, gone: set[BlockUuid]) -> list[Entry]:
    """Return the entries with `downstream_blocks` in step; order and names from elsewhere stay.

    A block whose children are those it had keeps its list, even one that contradicts the others: an edit changes what
    it is about, and `upstream_blocks` is what counts.
    """
    before, children = old.children() if old is not None else {}, new.children()
    result = []
    for block, entry in zip(new.blocks, entries, strict=True):
        written = entry.get("downstream_blocks")
        listed = [name for name in written if isinstance(name, str)] if isinstance(written, list) else []
        wanted = children[block.uuid]
        if set(before.get(block.uuid, ())) == set(wanted) and block.uuid in before and not gone & {*map(_nfc, listed)}:
            result.append(entry)
            continue
        kept = [
            name for name in listed if _nfc(name) in wanted or (_nfc(name) not in children and _nfc(name) not in gone)
        ]
        known = {_nfc(name) for name in kept}
        names = [*kept, *(str(name) for name in wanted if name not in known)]
        if not isinstance(written, list) or names != listed:
            entry = dict(entry)
            put(entry, "downstream_blocks", names)
        result.append(entry)
    return result


def _merged(before: object, now: Mapping[str, object]) -> Entry:
    result: Entry = {}
    if isinstance(before, Mapping):
        result = {key: before[key] if before[key] == now[key] else plain(now[key]) for key in before if key in now}
    for key, value in now.items():
        if key not in result:
            put(result, key, plain(value))
    return result


def _same_forms(before: object, names: Sequence[str]) -> list[str]:
    """Return the names, each in the Unicode form that the file already uses for it."""
    forms = {_nfc(name): name for name in before if isinstance(name, str)} if isinstance(before, list) else {}
    return [forms.get(name, name) for name in names]


def _number(seconds: float | None) -> int | float | None:
    return int(seconds) if seconds is not None and seconds == int(seconds) else seconds


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
