"""Dynamic blocks, on the side of the worker: from what one returns to one item per child, and back to values.

Rules of mage-ai 0.9.80: a dynamic block returns `[items]` or `[items, metadata]`; a child gets one item as the argument
of that parent and the item's metadata as keyword arguments; of a table it gets one row as a dictionary; of a block that
ran once per item and reduces its output, a list with an entry per child.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, cast

from spellbook_core.artifacts.formats import json_values
from spellbook_core.atomic import content_hash
from spellbook_core.errors import SpellbookError
from spellbook_core.model.output import ArtifactRef, Item, OutputInfo
from spellbook_core.model.task import BlockInput, BlockTask
from spellbook_core.model.values import YamlValue
from spellbook_core.worker import api

if TYPE_CHECKING:
    from pandas import DataFrame

MAX_ITEMS = 10_000
"""Most children of one dynamic block where it sets no `max_child_block_runs`: more is a mistake, or a loop."""


class ItemsError(SpellbookError, TypeError):
    """What a dynamic block returned is no list of items, or has more of them than it may."""

    code = "SB-WRK-070"


class _Artifacts(Protocol):
    def put(self, value: object, *, index: int = 0, origin: str = "") -> OutputInfo:
        """Store a value."""

    def get(self, ref: ArtifactRef) -> object:
        """Read a stored value."""


def put_items(task: BlockTask, value: object, artifacts: _Artifacts) -> tuple[list[OutputInfo], list[object]]:
    """Store what a dynamic block returned; return its outputs, items and metadata, and their values for the tests.

    The first output says what each child gets. Items that are plain data are read out of the stored list; any other
    item, a table or a model, is stored by itself too, so that no child reads those of the others.

    Raises:
        ItemsError: There are no items in it, or too many. [SB-WRK-070]
    """
    items, metadata = _parted(value)
    given, metadata = _limited(task, items, metadata)
    origin = f"{task.pipeline}/{task.block}"
    whole = artifacts.put(given, index=0, origin=origin)
    entries = []
    is_plain = whole.artifact.format == "json" or _is_frame(given)
    for number, about in zip(range(_length(given)), metadata, strict=True):
        item = _item_of(given, number)
        own = None if is_plain else artifacts.put(item, origin=origin).artifact
        known = _content(item) if own is None else f"{own.digest}.{own.format}".encode()
        label = about.get("block_uuid")
        digest = content_hash(known + b"\n" + _content(about))
        entries.append(Item(digest, own, "" if label is None else str(label)))
    outputs = [replace(whole, items=tuple(entries))]
    values: list[object] = [given]
    if any(metadata):
        outputs.append(artifacts.put(metadata, index=1, origin=origin))
        values.append(metadata)
    return outputs, values


def _content(value: object) -> bytes:
    """Return bytes that differ wherever two values do.

    JSON does not where it changes them (`1` and `"1"` as keys), nor does the text of an array, whose middle is cut.
    """
    if json_values.is_exact(value):
        return json.dumps(value).encode()
    try:
        return pickle.dumps(value, protocol=5)
    except Exception:  # noqa: BLE001  # a pickle runs the value's own code; the store knows more of them
        import cloudpickle

        return bytes(cloudpickle.dumps(value))


def _parted(value: object) -> tuple[object, list[Mapping[str, object]] | None]:
    """Return the items and their metadata, as they were returned."""
    if isinstance(value, (tuple, list)) and len(value) == 2 and _is_items(value[0]) and _is_metadata(value[1]):
        return value[0], list(value[1] or ())
    if isinstance(value, (tuple, list)) and len(value) == 1 and _is_items(value[0]):
        return value[0], None
    return ([] if value is None else value), None


def _is_items(value: object) -> bool:
    return isinstance(value, (list, tuple)) or _is_frame(value)


def _is_metadata(value: object) -> bool:
    return value is None or (isinstance(value, (list, tuple)) and all(isinstance(entry, Mapping) for entry in value))


def _is_frame(value: object) -> bool:
    return type(value).__name__ == "DataFrame" and hasattr(value, "iloc")


def _limited(
    task: BlockTask, items: object, metadata: list[Mapping[str, object]] | None
) -> tuple[object, list[Mapping[str, object]]]:
    """Return the items as a list or table, no more than may be, and one metadata mapping for each."""
    if hasattr(items, "to_dicts"):  # a table of polars, whose iteration brings columns
        items = items.to_dicts()
    if not _is_frame(items):
        if isinstance(items, (str, bytes, Mapping)) or not hasattr(items, "__iter__"):
            raise ItemsError(
                f"Dynamic block '{task.block}' returned a {type(items).__name__}, which has no items for children.",
                hint="return [items] or [items, metadata]: a list of items, and a list of one dictionary for each.",
            )
        items = list(items)
    number, most, cuts = _length(items), *_most(task.configuration)
    if number > most and not cuts:
        raise ItemsError(
            f"Dynamic block '{task.block}' returned {number:,} items, and at most {most:,} children may run.",
            hint="return fewer, or raise max_child_block_runs under 'dynamic' in the block's configuration.",
        )
    if number > most:
        api.notice(f"{number:,} items were returned; the first {most:,} get a child, as max_child_block_runs says.")
        items = cast("DataFrame", items).iloc[:most] if _is_frame(items) else cast("list[object]", items)[:most]
        number = most
    told = list(metadata or ())[:number]
    return items, told + [{}] * (number - len(told))


def _most(configuration: Mapping[str, YamlValue]) -> tuple[int, bool]:
    """Return how many children may run, and whether further items are left out rather than refused."""
    given = configuration.get("dynamic")
    if not isinstance(given, Mapping):
        return MAX_ITEMS, False
    most = given.get("max_child_block_runs")
    what = next((value for name, value in given.items() if str(name).endswith("_exceeded")), "fail")
    is_number = isinstance(most, int) and not isinstance(most, bool) and most >= 0
    return (cast("int", most) if is_number else MAX_ITEMS), what == "limit"


def _length(items: object) -> int:
    return len(cast("Sequence[object]", items))


def _item_of(items: object, number: int) -> object:
    if _is_frame(items):
        return cast("DataFrame", items).iloc[number].to_dict()
    return cast("Sequence[object]", items)[number]


def handed_over(entry: BlockInput) -> int:
    """Return how many values a parent hands over."""
    return 1 if entry.item is not None or entry.children is not None else len(entry.outputs)


def read_input(entry: BlockInput, artifacts: _Artifacts) -> list[object]:
    """Return the values that a parent hands over: its outputs, one of its items, or a list over its children."""
    if entry.item is not None:
        return [_read_item(entry, artifacts)]
    if entry.children is not None:
        return [[_one(values) for values in read_children(entry, artifacts)]]
    return [artifacts.get(output.artifact) for output in entry.outputs]


def read_children(entry: BlockInput, artifacts: _Artifacts) -> list[list[object]]:
    """Return the values of the outputs of each child of a parent, in the children's order."""
    values: dict[str, list[object]] = {child: [] for child in entry.children or ()}
    for output in entry.outputs:
        values[output.child].append(artifacts.get(output.artifact))
    return list(values.values())


def _one(values: list[object]) -> object:
    return values[0] if len(values) == 1 else values or None


def _read_item(entry: BlockInput, artifacts: _Artifacts) -> object:
    first = entry.outputs[0]
    own = first.items[0].artifact if first.items else None
    if own is not None:
        return artifacts.get(own)
    return _item_of(artifacts.get(first.artifact), cast("int", entry.item))


def child_keywords(task: BlockTask, artifacts: _Artifacts) -> dict[str, object]:
    """Return the keyword arguments that only a child gets: its number, and the metadata of its items over all else."""
    if task.child_index is None:
        return {}
    found: dict[str, object] = {"dynamic_block_index": task.child_index}
    for entry in task.inputs:
        if entry.item is not None and len(entry.outputs) > 1:
            told = cast("Sequence[Mapping[str, object]]", artifacts.get(entry.outputs[1].artifact))
            found.update(told[entry.item])
    return found
