"""What binds the blocks of a run beside their links, and how a block grows that runs once per item. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import TypeAlias

from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.run import Status

Statuses: TypeAlias = "Mapping[BlockUuid, Status]"


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


NO_BONDS = Bonds()
"""Of a run of plain blocks."""


def is_whole(group: Group, bonds: Bonds, statuses: Statuses) -> bool:
    """Return whether all children of a group can be known."""
    groups = bonds.groups
    return all(statuses[parent] is Status.COMPLETED for parent in group.over) and not any(
        groups[parent].members is None or groups[parent].is_open for parent in group.like if parent in groups
    )


def leading(block: BlockUuid, bonds: Bonds, statuses: Statuses) -> tuple[BlockUuid, ...]:
    """Return the first children of a group, up to the one that has not ended well."""
    ended = {Status.COMPLETED, Status.CONDITION_FAILED}
    return tuple(takewhile(lambda name: statuses[name] in ended, bonds.groups[block].members or ()))


def leading_completed(group: Group, bonds: Bonds, statuses: Statuses) -> int:
    """Return how many children a group that grows could have the items of by now."""
    if not _grows(group, bonds) or statuses[group.over[0]] is not Status.RUNNING:
        return 0
    return sum(statuses[name] is Status.COMPLETED for name in leading(group.over[0], bonds, statuses))


def reopened(bonds: Bonds, statuses: Statuses) -> Bonds:
    """Return `bonds` with the groups open that had begun and may not have all their children."""
    if not bonds.groups:
        return bonds
    groups = {
        name: replace(group, is_open=True)
        if group.members is not None
        and statuses.get(name) is Status.RUNNING
        and _grows(group, bonds)
        and statuses.get(group.over[0]) is not Status.COMPLETED
        else group
        for name, group in bonds.groups.items()
    }
    return replace(bonds, groups=groups)


def closed(bonds: Bonds, names: Iterable[BlockUuid], fate: Status) -> Bonds:
    """Return `bonds` where no more children come to those of the groups `names` that are open."""
    groups = bonds.groups
    ended = {
        name: replace(groups[name], is_open=False, fate=fate)
        for name in names
        if name in groups and groups[name].is_open
    }
    return replace(bonds, groups={**groups, **ended}) if ended else bonds


def together_of(group: Group, statuses: Statuses) -> Status | None:
    """Return how a group ended, whose children are all known; None while one of them has not."""
    found = {statuses[member] for member in group.members or ()}
    if not all(status.is_terminal for status in found):
        return None
    return together(found if group.fate is None else {*found, group.fate})


def together(found: set[Status]) -> Status:
    """Return how a group ended; children whose condition did not hold are left out of it unless all are."""
    for status in (Status.FAILED, Status.CANCELLED, Status.UPSTREAM_FAILED):
        if status in found:
            return status
    return Status.CONDITION_FAILED if found == {Status.CONDITION_FAILED} else Status.COMPLETED


def _grows(group: Group, bonds: Bonds) -> bool:
    """Return whether a group grows by and by, with the children of another one of the run."""
    return group.grows and len(group.over) == 1 and not group.like and group.over[0] in bonds.groups
