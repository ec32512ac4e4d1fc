"""Which blocks run once per item of a dynamic block, and what each of their children takes. Pure.

A child is named by the items it stands for: `3` for item 3, `0:2` for item 2 of what child 0 returned, and also for
item 0 of one dynamic block with item 2 of another. Parents that go back to the same dynamic block meet item by item;
parents that go back to different ones are combined, each with each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from spellbook_core.model.block import Block
from spellbook_core.model.children import Over, Pick
from spellbook_core.model.naming import BlockUuid


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that a parent has to give: `position` has a number per source of its `Over`."""

    position: tuple[int, ...]
    pick: Pick


@dataclass(frozen=True, slots=True)
class Child:
    """One run of a block that runs once per item."""

    name: str
    picks: Mapping[BlockUuid, Pick] = field(default_factory=dict)


def spread_over(
    blocks: Mapping[BlockUuid, Block], parents: Mapping[BlockUuid, Sequence[BlockUuid]], order: Iterable[BlockUuid]
) -> dict[BlockUuid, tuple[Over, ...]]:
    """Return block -> the parents it runs once per item of; blocks that run once are left out.

    Args:
        blocks: All of the pipeline.
        parents: Block -> parents that hand over outputs.
        order: Every block, parents first.
    """
    found: dict[BlockUuid, tuple[Over, ...]] = {}
    for name in order:
        over = tuple(
            Over(parent, _sources(parent, blocks, found), blocks[parent].is_dynamic, parent in found)
            for parent in dict.fromkeys(parents[name])
            if (blocks[parent].is_dynamic or parent in found) and not blocks[parent].reduces_output
        )
        if over:
            found[name] = over
    return found


def _sources(
    parent: BlockUuid, blocks: Mapping[BlockUuid, Block], found: Mapping[BlockUuid, tuple[Over, ...]]
) -> tuple[BlockUuid, ...]:
    own = all_sources(found.get(parent, ()))
    return (*own, parent) if blocks[parent].is_dynamic else own


def all_sources(over: Iterable[Over]) -> tuple[BlockUuid, ...]:
    """Return the dynamic blocks that the name of a child counts, in its order."""
    return tuple(dict.fromkeys(source for entry in over for source in entry.sources))


def rows_of(over: Over, *, children: Sequence[str] = (), items: Mapping[str, int] | None = None) -> list[Row]:
    """Return what a parent has to give.

    Args:
        over: The parent.
        children: Of a parent that is a group: the names of those that count, in order.
        items: Of a dynamic parent: child -> how many items it returned; `""` for one that runs once.
    """
    rows = []
    for child in children if over.is_group else ("",):
        position = tuple(int(number) for number in child.split(":")) if child else ()
        if not over.is_dynamic:
            rows.append(Row(position, Pick(child)))
            continue
        rows += [Row((*position, number), Pick(child, number)) for number in range((items or {}).get(child, 0))]
    return rows


def combine(given: Sequence[tuple[Over, Sequence[Row]]]) -> list[Child]:
    """Return the children of a block, in the order of their numbers.

    Args:
        given: Every parent it runs once per item of, with what that has to give.
    """
    places: tuple[BlockUuid, ...] = ()
    made: list[tuple[tuple[int, ...], dict[BlockUuid, Pick]]] = [((), {})]
    for over, rows in given:
        shared = [source for source in over.sources if source in places]
        fresh = [number for number, source in enumerate(over.sources) if source not in places]
        held = [over.sources.index(source) for source in shared]
        by_shared: dict[tuple[int, ...], list[Row]] = {}
        for row in rows:
            by_shared.setdefault(tuple(row.position[number] for number in held), []).append(row)
        wanted = [places.index(source) for source in shared]
        made = [
            ((*position, *(row.position[number] for number in fresh)), {**picks, over.parent: row.pick})
            for position, picks in made
            for row in by_shared.get(tuple(position[number] for number in wanted), ())
        ]
        places = (*places, *(over.sources[number] for number in fresh))
    made.sort(key=lambda entry: entry[0])
    return [Child(":".join(map(str, position)), picks) for position, picks in made]
