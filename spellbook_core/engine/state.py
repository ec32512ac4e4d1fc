"""The state machine of one run: what an event changes and what may start next. Pure, so every order can be tested.

An event that does not fit (a second end of the same block, an end of a block nobody started) changes nothing: after a
crash the same fact may be told twice, and the first one is the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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


Event: TypeAlias = "BlockStarted | BlockEnded | BlockPostponed | BlockDue | CancelRequested"


@dataclass(frozen=True, slots=True)
class RunState:
    """Where each block of a run stands.

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

    def running(self) -> list[BlockUuid]:
        """Return the blocks that have an attempt under way."""
        return [block for block, status in self.statuses.items() if status is Status.RUNNING]

    @property
    def is_ended(self) -> bool:
        """Whether every block has ended."""
        return all(status.is_terminal for status in self.statuses.values())


def begin(
    parents: Mapping[BlockUuid, Iterable[BlockUuid]], statuses: Mapping[BlockUuid, Status] | None = None
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
    )
    for block, status in list(state.statuses.items()):
        if status.is_terminal and status is not Status.COMPLETED:
            state = _close_descendants(state, block, status)
    return state


def apply(state: RunState, event: Event) -> RunState:
    """Return the state after `event`."""
    if isinstance(event, CancelRequested):
        waiting = {b: Status.CANCELLED for b, s in state.statuses.items() if s in {Status.INITIAL, Status.QUEUED}}
        return replace(state, statuses={**state.statuses, **waiting}, is_cancelling=True, waiting=frozenset())
    if isinstance(event, BlockDue):
        return replace(state, waiting=state.waiting - {event.block})
    if isinstance(event, BlockPostponed):
        return _postponed(state, event.block)
    status = state.statuses.get(event.block)
    if isinstance(event, BlockStarted):
        if event.block not in _startable(state):
            return state
        return replace(state, statuses={**state.statuses, event.block: Status.RUNNING})
    if status is not Status.RUNNING or not event.status.is_terminal:
        return state
    state = replace(state, statuses={**state.statuses, event.block: event.status})
    return state if event.status is Status.COMPLETED else _close_descendants(state, event.block, event.status)


def ready(state: RunState, free: int) -> list[BlockUuid]:
    """Return up to `free` blocks that may start now, in the order of the plan."""
    return _startable(state)[: max(0, free)]


def outcome(state: RunState) -> Status | None:
    """Return the status of the whole run, or None while a block has not ended."""
    if not state.is_ended:
        return None
    found = set(state.statuses.values())
    if state.is_cancelling and found != {Status.COMPLETED}:
        return Status.CANCELLED
    if found & {Status.FAILED, Status.UPSTREAM_FAILED}:
        return Status.FAILED
    return Status.CANCELLED if Status.CANCELLED in found else Status.COMPLETED


def _startable(state: RunState) -> list[BlockUuid]:
    if state.is_cancelling:
        return []
    return [
        block
        for block, status in state.statuses.items()
        if status in {Status.INITIAL, Status.QUEUED}
        and block not in state.waiting
        and all(state.statuses[parent] is Status.COMPLETED for parent in state.parents[block])
    ]


def _postponed(state: RunState, block: BlockUuid) -> RunState:
    """Have a running block wait; in a run that is being cancelled nothing starts again, so there it is cancelled."""
    if state.statuses.get(block) is not Status.RUNNING:
        return state
    if state.is_cancelling:
        return apply(state, BlockEnded(block, Status.CANCELLED))
    statuses = {**state.statuses, block: Status.QUEUED}
    return replace(state, statuses=statuses, waiting=state.waiting | {block})


def _close_descendants(state: RunState, block: BlockUuid, status: Status) -> RunState:
    """End what can never run because `block` did not complete."""
    inherited = status if status in {Status.CONDITION_FAILED, Status.CANCELLED} else Status.UPSTREAM_FAILED
    closed = {
        name: inherited
        for name in graph.reachable(state.children, [block])
        if state.statuses[name] in {Status.INITIAL, Status.QUEUED}
    }
    return replace(state, statuses={**state.statuses, **closed})
