"""Blocks that run once per item, in a run under way: their children are made when it is known how many there are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from spellbook_core.atomic import content_hash
from spellbook_core.engine import state
from spellbook_core.engine.active import ActiveBlock, ActiveRun, bonds_of, waits_for
from spellbook_core.engine.expansion import Child, Row, combine, rows_of
from spellbook_core.engine.groups import leading
from spellbook_core.model.block import BlockType
from spellbook_core.model.children import Over, node_key
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.output import OutputInfo
from spellbook_core.model.run import Status
from spellbook_core.runs.records import BlockSpec, NewBlockRun
from spellbook_core.runs.store import RunStore


@dataclass(slots=True)
class Growth:
    """What a run gains: stored already, but not yet part of the run.

    Attributes:
        state: The run's, with the children.
        children: Block as a whole -> the names of its children.
        blocks: The children.
    """

    state: state.RunState
    children: dict[BlockUuid, tuple[str, ...]] = field(default_factory=dict)
    blocks: list[ActiveBlock] = field(default_factory=list)

    def join(self, run: ActiveRun, *, now: datetime) -> None:
        """Make it part of the run, once it is sure to stay stored."""
        run.state = self.state
        for block in self.blocks:
            run.blocks[block.key] = block
        for key, names in self.children.items():
            run.blocks[key].children = names
            run.blocks[key].first_started_at = run.blocks[key].first_started_at or now


def grow(run: ActiveRun, store: RunStore, *, now: datetime) -> Growth | None:
    """Store the children that can be known now, in the caller's transaction; None when there is nothing to grow.

    In the same transaction as the end of the block that told how many there are: whoever takes the run over finds
    either both or neither.
    """
    growth = Growth(run.state)
    while groups := state.expandable(growth.state):
        for key in groups:
            _expand(run, growth, run.blocks[key], store, now)
    return growth if growth.children else None


def _expand(run: ActiveRun, growth: Growth, group: ActiveBlock, store: RunStore, now: datetime) -> None:
    earlier = growth.children.get(group.key) or group.children or ()
    every = _children(run, growth, group)
    children = every[len(earlier) :]
    names = tuple(child.name for child in every)
    specs = [_spec(group.spec, child) for child in children]
    new = [
        NewBlockRun(
            block=group.block,
            block_type=group.block_type,
            reason=_reason(run, group, child),
            source=group.source,
            code_hash=content_hash(group.source.encode("utf-8")),
            spec=spec,
        )
        for child, spec in zip(children, specs, strict=True)
    ]
    numbers = store.expand_block(group.id, names, new, now=now)
    made = [
        replace(group, id=number, spec=spec, index=index)
        for index, (number, spec) in enumerate(zip(numbers, specs, strict=True), len(earlier))
    ]
    by_key = {block.key: block.spec for block in made}
    bonds = bonds_of(by_key)
    if group.block_type == BlockType.CALLBACK:
        bonds = replace(bonds, after={block.key: block.hangs_on for block in made if block.hangs_on is not None})
    members = tuple(node_key(group.block, name, group.spec.hangs_on) for name in names)
    links = {key: waits_for(spec) for key, spec in by_key.items()}
    growth.state = state.apply(growth.state, state.BlockExpanded(group.key, members, links, bonds))
    growth.children[group.key] = names
    growth.blocks += made


def _spec(whole: BlockSpec, child: Child) -> BlockSpec:
    conditions = tuple(BlockUuid(f"{key}:{child.name}") for key in whole.conditions)
    return replace(whole, over=(), child=child.name, picks=child.picks, conditions=conditions)


def _children(run: ActiveRun, growth: Growth, group: ActiveBlock) -> list[Child]:
    if group.block_type == BlockType.CALLBACK:
        whole = node_key(group.spec.hangs_on)
        return [Child(name) for name in growth.children.get(whole) or run.blocks[whole].children or ()]
    return combine([(over, _rows(run, growth, group, over)) for over in group.spec.over])


def _rows(run: ActiveRun, growth: Growth, group: ActiveBlock, over: Over) -> list[Row]:
    parent, statuses = over.parent, growth.state.statuses
    names = growth.children.get(parent)
    if names is None:
        names = run.children_of(group, parent) or ()
    outputs = run.given(group, parent)
    if over.is_group and over.is_dynamic and statuses.get(parent) is Status.RUNNING:  # the first of them have ended
        names = names[: len(leading(parent, growth.state.bonds, statuses))]
        outputs = tuple(replace(each, child=name) for name in names for each in _of_child(run, group, parent, name))
    items = {output.child: len(output.items) for output in outputs if output.items is not None}
    return rows_of(over, children=names, items=items)


def _of_child(run: ActiveRun, group: ActiveBlock, parent: BlockUuid, child: str) -> tuple[OutputInfo, ...]:
    """Return what one child of a parent brought; the parent as a whole may not have ended yet."""
    inside = run.outputs.get(node_key(parent, child))
    return tuple(each for each in run.given(group, parent) if each.child == child) if inside is None else inside


def _reason(run: ActiveRun, group: ActiveBlock, child: Child) -> str:
    """Return what the child is for: the label of its item, and where that comes from."""
    told = []
    for parent, pick in child.picks.items():
        if pick.item is None:
            continue
        of = f"'{node_key(parent, pick.child)}'"
        items = next((o.items for o in _of_child(run, group, parent, pick.child) if o.items is not None), ())
        label = items[pick.item].label if items and pick.item < len(items) else ""
        told.append(f"{label}: item {pick.item} of {of}" if label else f"item {pick.item} of {of}")
    return "; ".join(told) or f"child {child.name}"
