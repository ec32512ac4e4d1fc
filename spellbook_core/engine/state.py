"""The state machine of one run: what an event changes and what may start next. Pure, so every order can be tested.

An event that does not fit (a second end of the same block, an end of a block nobody started) changes nothing: after a
crash the same fact may be told twice, and the first one is the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import TypeAlias

from spellbook_core.model import graph
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.run import Status


@dataclass(frozen=True, slots=True)
class BlockStarted:
    """An attempt of a block is being made."""

    block: BlockUuid


@dataclass(frozen=True, slots=True)
class BlockEnded:
    """The attempt of a block ended: completed, failed, cancelled or condition_failed."""

    block: BlockUuid
    status: Status


@dataclass(frozen=True, slots=True)
class BlockPostponed:
    """The attempt of a block ended, and the block will run again later: it waits until `BlockDue`."""

    block: BlockUuid


@dataclass(frozen=True, slots=True)
class BlockDue:
    """What a postponed block waited for has come: it may start again."""

    block: BlockUuid


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody wants the run to end. What runs may still complete; nothing new starts."""


@dataclass(frozen=True, slots=True)
class Group:
    """A block that runs once per item: by itself it never starts, it ends when its children have.

    Attributes:
        over: Blocks whose outputs tell how many children there are; they must have completed before.
        like: Groups whose children it follows one by one, so that it need not wait for their end.
        grows: Whether its children come in the order of those of the one block that it runs once per item of, so that
            it need not wait for the last of these.
        members: Its children; None until they are known.
        is_open: Whether more may come: it runs once per item of children, the last of which have not ended.
        seen: Of how many of these children it has the items.
        fate: How it ends at best, because no more can come: what it runs once per item of did not complete.
    """

    over: tuple[BlockUuid, ...] = ()
    like: tuple[BlockUuid, ...] = ()
    grows: bool = False
    members: tuple[BlockUuid, ...] | None = None
    is_open: bool = False
    seen: int = 0
    fate: Status | None = None


@dataclass(frozen=True, slots=True)
class Bonds:
    """What binds the blocks of a run beside their links.

    Attributes:
        guards: Condition -> the block it guards, which has it among its parents.
        after: Callback -> the block whose end it hears of.
        groups: Block that runs once per item -> what it consists of.
    """

    guards: Mapping[BlockUuid, BlockUuid] = field(default_factory=dict)
    after: Mapping[BlockUuid, BlockUuid] = field(default_factory=dict)
    groups: Mapping[BlockUuid, Group] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BlockExpanded:
    """The children of a group are known, all or the first ones; see `expandable`.

    Attributes:
        members: Its children so far, in order.
        parents: New child, or condition or callback of one -> what it waits for, in the order of the plan.
        bonds: Of these conditions and callbacks.
    """

    block: BlockUuid
    members: tuple[BlockUuid, ...]
    parents: Mapping[BlockUuid, tuple[BlockUuid, ...]]
    bonds: Bonds = Bonds()


Event: TypeAlias = "BlockStarted | BlockEnded | BlockPostponed | BlockDue | BlockExpanded | CancelRequested"


@dataclass(frozen=True, slots=True)
class RunState:
    """Where each block of a run stands: by key, which is the uuid, or `uuid:0` for a child, `name@key` for an add-on.

    Attributes:
        parents: Block -> parents that are in this run, blocks in the order of the plan.
        statuses: One entry per block.
        waiting: Queued blocks that were postponed and are not due yet.
    """

    parents: Mapping[BlockUuid, tuple[BlockUuid, ...]]
    statuses: Mapping[BlockUuid, Status]
    is_cancelling: bool = False
    children: Mapping[BlockUuid, tuple[BlockUuid, ...]] = field(default_factory=dict)
    waiting: frozenset[BlockUuid] = frozenset()
    bonds: Bonds = Bonds()

    def running(self) -> list[BlockUuid]:
        """Return the blocks that have an attempt under way."""
        groups = self.bonds.groups
        return [block for block, status in self.statuses.items() if status is Status.RUNNING and block not in groups]

    @property
    def is_ended(self) -> bool:
        """Whether every block has ended."""
        return all(status.is_terminal for status in self.statuses.values())


def begin(
    parents: Mapping[BlockUuid, Iterable[BlockUuid]],
    statuses: Mapping[BlockUuid, Status] | None = None,
    bonds: Bonds | None = None,
) -> RunState:
    """Return the state of a run that begins, or of one found in the run store with these statuses.

    Parents outside the run are ignored: their outputs are stored.
    """
    inside = {block: tuple(name for name in names if name in parents) for block, names in parents.items()}
    known = statuses or {}
    state = RunState(
        parents=inside,
        statuses={block: known.get(block, Status.INITIAL) for block in inside},
        children=graph.children_of(inside),
        bonds=_reopened(bonds or Bonds(), known),
    )
    for block, status in list(state.statuses.items()):
        if status.is_terminal and status is not Status.COMPLETED:
            state = _close_descendants(state, block, status)
        if status in _NEVER_HEARD:
            state = _silence(state, {block: status})
    return _end_groups(state)


def apply(state: RunState, event: Event) -> RunState:
    """Return the state after `event`."""
    if isinstance(event, CancelRequested):
        return _cancelling(state)
    if isinstance(event, BlockExpanded):
        return _expanded(state, event)
    if isinstance(event, BlockDue):
        return replace(state, waiting=state.waiting - {event.block})
    if isinstance(event, BlockPostponed):
        return _postponed(state, event.block)
    status = state.statuses.get(event.block)
    if isinstance(event, BlockStarted):
        if not _may_start(state, event.block):
            return state
        return replace(state, statuses={**state.statuses, event.block: Status.RUNNING})
    if status is not Status.RUNNING or not event.status.is_terminal or event.block in state.bonds.groups:
        return state
    state = replace(state, statuses={**state.statuses, event.block: event.status})
    if event.status is not Status.COMPLETED:
        state = _close_descendants(state, event.block, event.status)
    return _end_groups(state)


def expandable(state: RunState) -> list[BlockUuid]:
    """Return the groups whose children, or more of them, can be known now, in the order of the plan.

    One that runs once per item of children need not wait for all of these: it grows with the leading ones that have
    ended, so that the place of a child among the others is known when it starts.
    """
    return [
        name
        for name, group in state.bonds.groups.items()
        if group.is_open or (group.members is None and state.statuses[name] is Status.INITIAL)
        if _is_whole(state, group) or _leading_completed(state, group) > group.seen
    ]


def leading(state: RunState, block: BlockUuid) -> tuple[BlockUuid, ...]:
    """Return the first children of a group, up to the one that has not ended well."""
    ended = {Status.COMPLETED, Status.CONDITION_FAILED}
    return tuple(takewhile(lambda name: state.statuses[name] in ended, state.bonds.groups[block].members or ()))


def ready(state: RunState, free: int) -> list[BlockUuid]:
    """Return up to `free` blocks that may start now, in the order of the plan."""
    return _startable(state)[: max(0, free)]


def outcome(state: RunState) -> Status | None:
    """Return the status of the whole run, or None while a block has not ended."""
    if not state.is_ended:
        return None
    found = {status for block, status in state.statuses.items() if block not in state.bonds.after}
    if state.is_cancelling and found != {Status.COMPLETED}:
        return Status.CANCELLED
    if found & {Status.FAILED, Status.UPSTREAM_FAILED}:
        return Status.FAILED
    return Status.CANCELLED if Status.CANCELLED in found else Status.COMPLETED


def _is_whole(state: RunState, group: Group) -> bool:
    """Return whether all children of a group can be known."""
    groups = state.bonds.groups
    return all(state.statuses[parent] is Status.COMPLETED for parent in group.over) and not any(
        groups[parent].members is None or groups[parent].is_open for parent in group.like if parent in groups
    )


def _grows(group: Group, groups: Mapping[BlockUuid, Group]) -> bool:
    """Return whether a group grows by and by, with the children of another one of the run."""
    return group.grows and len(group.over) == 1 and not group.like and group.over[0] in groups


def _leading_completed(state: RunState, group: Group) -> int:
    if state.is_cancelling or not _grows(group, state.bonds.groups):
        return 0
    if state.statuses[group.over[0]] is not Status.RUNNING:
        return 0
    return sum(state.statuses[name] is Status.COMPLETED for name in leading(state, group.over[0]))


def _reopened(bonds: Bonds, statuses: Mapping[BlockUuid, Status]) -> Bonds:
    """Return `bonds` with the groups open that had begun and may not have all their children."""
    groups = {
        name: replace(group, is_open=True)
        if group.members is not None
        and statuses.get(name) is Status.RUNNING
        and _grows(group, bonds.groups)
        and statuses.get(group.over[0]) is not Status.COMPLETED
        else group
        for name, group in bonds.groups.items()
    }
    return replace(bonds, groups=groups)


_WAITS = frozenset({Status.INITIAL, Status.QUEUED})
_NEVER_HEARD = frozenset({Status.UPSTREAM_FAILED, Status.CONDITION_FAILED})
"""Ends of blocks that never ran: their callbacks are not called."""


def _startable(state: RunState) -> list[BlockUuid]:
    initial, queued = Status.INITIAL, Status.QUEUED  # identity, and looked up once: this is asked at every event
    return [
        block
        for block, status in state.statuses.items()
        if (status is initial or status is queued) and _may_start(state, block)
    ]


def _may_start(state: RunState, block: BlockUuid) -> bool:
    statuses, bonds = state.statuses, state.bonds
    if statuses.get(block) not in _WAITS or block in state.waiting or block in bonds.groups:
        return False
    if block in bonds.after:
        return statuses[bonds.after[block]].is_terminal
    if state.is_cancelling:
        return False
    completed = Status.COMPLETED
    for parent in state.parents[block]:  # noqa: SIM110 - `all` over a generator costs four times as much
        if statuses[parent] is not completed:
            return False
    return True


def _cancelling(state: RunState) -> RunState:
    """End what waits; the callbacks of what has begun are still called."""
    closed = {
        block: Status.CANCELLED
        for block, status in state.statuses.items()
        if status in _WAITS and block not in state.bonds.after
    }
    begun = state.waiting
    statuses = {**state.statuses, **closed}
    state = replace(state, statuses=statuses, is_cancelling=True, waiting=frozenset())
    state = _closed(state, state.bonds.groups, Status.CANCELLED)
    state = _silence(state, {block: status for block, status in closed.items() if block not in begun})
    return _end_groups(state)


def _silence(state: RunState, closed: Mapping[BlockUuid, Status]) -> RunState:
    """End the callbacks of blocks that never began as these ended."""
    silent = {
        name: closed[block]
        for name, block in state.bonds.after.items()
        if block in closed and state.statuses[name] in _WAITS
    }
    return replace(state, statuses={**state.statuses, **silent}) if silent else state


def _expanded(state: RunState, event: BlockExpanded) -> RunState:
    if event.block not in expandable(state):
        return state
    group = state.bonds.groups[event.block]
    last = group.members[-1] if group.members else event.block
    parents: dict[BlockUuid, tuple[BlockUuid, ...]] = {}
    for block, its_parents in state.parents.items():
        parents[block] = its_parents
        if block == last:
            parents.update(event.parents)
    inside = {block: tuple(name for name in names if name in parents) for block, names in parents.items()}
    old, new = state.bonds, event.bonds
    group = replace(
        group,
        members=event.members,
        is_open=not _is_whole(state, group),
        seen=_leading_completed(state, group),
    )
    groups = {**old.groups, event.block: group}
    known = {**state.statuses, event.block: Status.RUNNING}
    state = replace(
        state,
        parents=inside,
        statuses={block: known.get(block, Status.INITIAL) for block in inside},
        children=graph.children_of(inside),
        bonds=Bonds({**old.guards, **new.guards}, {**old.after, **new.after}, groups),
    )
    for block in {parent for name in event.parents for parent in inside[name]}:
        status = state.statuses[block]
        if status.is_terminal and status is not Status.COMPLETED:
            state = _close_descendants(state, block, status)
    return _end_groups(state)


def _end_groups(state: RunState) -> RunState:
    """End the groups whose children have all ended, and what can never run because of that."""
    for name in state.bonds.groups:
        group = state.bonds.groups[name]  # one above may just have closed it
        if state.statuses[name] is not Status.RUNNING or group.members is None or group.is_open:
            continue
        if not all(state.statuses[member].is_terminal for member in group.members):
            continue
        fate = {group.fate} if group.fate is not None else set()
        status = _together({state.statuses[member] for member in group.members} | fate)
        state = replace(state, statuses={**state.statuses, name: status})
        if status is not Status.COMPLETED:
            state = _close_descendants(state, name, status)
    return state


def _together(found: set[Status]) -> Status:
    """Return how a group ended; children whose condition did not hold are left out of it unless all are."""
    for status in (Status.FAILED, Status.CANCELLED, Status.UPSTREAM_FAILED):
        if status in found:
            return status
    return Status.CONDITION_FAILED if found == {Status.CONDITION_FAILED} else Status.COMPLETED


def _closed(state: RunState, names: Iterable[BlockUuid], fate: Status) -> RunState:
    """Let no more children come to those of the groups `names` that are open."""
    groups = state.bonds.groups
    closed = {name: replace(groups[name], is_open=False, fate=fate) for name in names if _is_open(groups, name)}
    return replace(state, bonds=replace(state.bonds, groups={**groups, **closed})) if closed else state


def _is_open(groups: Mapping[BlockUuid, Group], name: BlockUuid) -> bool:
    return name in groups and groups[name].is_open


def _postponed(state: RunState, block: BlockUuid) -> RunState:
    """Have a running block wait; in a run that is being cancelled nothing starts again, so there it is cancelled."""
    if state.statuses.get(block) is not Status.RUNNING or block in state.bonds.groups:
        return state
    if state.is_cancelling:
        return apply(state, BlockEnded(block, Status.CANCELLED))
    statuses = {**state.statuses, block: Status.QUEUED}
    return replace(state, statuses=statuses, waiting=state.waiting | {block})


def _close_descendants(state: RunState, block: BlockUuid, status: Status) -> RunState:
    """End what can never run because `block` did not complete; a condition that failed fails what it guards."""
    inherited = status if status in {Status.CONDITION_FAILED, Status.CANCELLED} else Status.UPSTREAM_FAILED
    closed: dict[BlockUuid, Status] = {
        name: inherited for name in graph.reachable(state.children, [block]) if state.statuses[name] in _WAITS
    }
    guarded = state.bonds.guards.get(block)
    if guarded in closed and status is Status.FAILED:
        closed[guarded] = Status.FAILED
    state = replace(state, statuses={**state.statuses, **closed})
    if any(group.is_open for group in state.bonds.groups.values()):
        state = _closed(state, graph.reachable(state.children, [block]), inherited)
    return _silence(state, {name: ended for name, ended in closed.items() if ended is not Status.FAILED})
