"""The state machine of one run: what an event changes and what may start next. Pure, so every order can be tested.

An event that does not fit (a second end of the same block, an end of a block nobody started) changes nothing: after a
crash the same fact may be told twice, and the first one is the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from spellbook_core.engine import groups
from spellbook_core.engine.groups import NO_BONDS, Bonds, Group
from spellbook_core.model import graph
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.record import record
from spellbook_core.model.run import Status


@record
class BlockStarted:
    """An attempt of a block is being made."""

    block: BlockUuid


@record
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
    bonds: Bonds = NO_BONDS


Event: TypeAlias = "BlockStarted | BlockEnded | BlockPostponed | BlockDue | BlockExpanded | CancelRequested"


@record
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
    bonds: Bonds = NO_BONDS

    def running(self) -> list[BlockUuid]:
        """Return the blocks that have an attempt under way."""
        groups = self.bonds.groups
        return [block for block, status in self.statuses.items() if status is Status.RUNNING and block not in groups]

    @property
    def is_ended(self) -> bool:
        """Whether every block has ended."""
        return _ENDED.issuperset(self.statuses.values())

    def with_status(self, block: BlockUuid, status: Status) -> RunState:
        """Return the state with another status of one block.

        Each block changes it twice, and `dataclasses.replace` costs as much as all the rest of such a change.
        """
        statuses = {**self.statuses, block: status}
        return RunState(self.parents, statuses, self.is_cancelling, self.children, self.waiting, self.bonds)


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
        bonds=groups.reopened(bonds or NO_BONDS, known),
    )
    for block, status in list(state.statuses.items()):
        if status.is_terminal and status is not Status.COMPLETED:
            state = _close_descendants(state, block, status)
        if status in _NEVER_HEARD:
            state = _silence(state, {block: status})
    return _end_groups(state)


def apply(state: RunState, event: Event) -> RunState:
    """Return the state after `event`."""
    if isinstance(event, BlockStarted):
        return state.with_status(event.block, Status.RUNNING) if _may_start(state, event.block) else state
    if isinstance(event, BlockEnded):
        return _ended(state, event)
    if isinstance(event, CancelRequested):
        return _cancelling(state)
    if isinstance(event, BlockExpanded):
        return _expanded(state, event)
    if isinstance(event, BlockDue):
        return replace(state, waiting=state.waiting - {event.block})
    return _postponed(state, event.block)


def _ended(state: RunState, event: BlockEnded) -> RunState:
    status = state.statuses.get(event.block)
    if status is not Status.RUNNING or not event.status.is_terminal or event.block in state.bonds.groups:
        return state
    state = state.with_status(event.block, event.status)
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
        if groups.is_whole(group, state.bonds, state.statuses) or _leading_completed(state, group) > group.seen
    ]


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


_ENDED = frozenset(status for status in Status if status.is_terminal)
_WAITS = frozenset({Status.INITIAL, Status.QUEUED})
_NEVER_HEARD = frozenset({Status.UPSTREAM_FAILED, Status.CONDITION_FAILED})
"""Ends of blocks that never ran: their callbacks are not called."""


def _startable(state: RunState) -> list[BlockUuid]:
    # By identity, and each name looked up once: this is asked at every event, of every block that has not begun.
    initial, queued, completed = Status.INITIAL, Status.QUEUED, Status.COMPLETED
    statuses, parents, after = state.statuses, state.parents, state.bonds.after
    found = []
    for block, status in statuses.items():
        if status is not initial and status is not queued:
            continue
        above = parents[block]
        if above and statuses[above[0]] is not completed and block not in after:
            continue  # as most of them: `_may_start` would say so too
        if _may_start(state, block):
            found.append(block)
    return found


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
    state = replace(state, bonds=groups.closed(state.bonds, state.bonds.groups, Status.CANCELLED))
    state = _silence(state, {block: status for block, status in closed.items() if block not in begun})
    return _end_groups(state)


def _leading_completed(state: RunState, group: Group) -> int:
    return 0 if state.is_cancelling else groups.leading_completed(group, state.bonds, state.statuses)


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
        is_open=not groups.is_whole(group, old, state.statuses),
        seen=_leading_completed(state, group),
    )
    grown = {**old.groups, event.block: group}
    known = {**state.statuses, event.block: Status.RUNNING}
    state = replace(
        state,
        parents=inside,
        statuses={block: known.get(block, Status.INITIAL) for block in inside},
        children=graph.children_of(inside),
        bonds=Bonds({**old.guards, **new.guards}, {**old.after, **new.after}, grown),
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
        is_empty = not group.members and group.fate is None
        status = _end_of_empty(state, name) if is_empty else groups.together_of(group, state.statuses)
        if status is None:
            continue
        state = state.with_status(name, status)
        if status is not Status.COMPLETED:
            state = _close_descendants(state, name, status)
    return state


def _end_of_empty(state: RunState, name: BlockUuid) -> Status | None:
    """Return how a group without children ends: as one with children would, which wait for all its parents."""
    found = [state.statuses[parent] for parent in state.parents[name]]
    if not all(status.is_terminal for status in found):
        return None
    return next((_inherited(status) for status in found if status is not Status.COMPLETED), Status.COMPLETED)


def _inherited(status: Status) -> Status:
    """Return how a block ends that can never run because one above it ended like this."""
    return status if status in {Status.CONDITION_FAILED, Status.CANCELLED} else Status.UPSTREAM_FAILED


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
    inherited = _inherited(status)
    closed: dict[BlockUuid, Status] = {
        name: inherited for name in graph.reachable(state.children, [block]) if state.statuses[name] in _WAITS
    }
    guarded = state.bonds.guards.get(block)
    if guarded in closed and status is Status.FAILED:
        closed[guarded] = Status.FAILED
    state = replace(state, statuses={**state.statuses, **closed})
    if any(group.is_open for group in state.bonds.groups.values()):
        below = graph.reachable(state.children, [block])
        state = replace(state, bonds=groups.closed(state.bonds, below, inherited))
    return _silence(state, {name: ended for name, ended in closed.items() if ended is not Status.FAILED})
