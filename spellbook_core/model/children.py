"""Runs of a block inside one pipeline run: its children when it runs once per item, and what hangs on it."""

from __future__ import annotations

from dataclasses import dataclass

from spellbook_core.model.naming import BlockUuid


def node_key(block: str, child: str = "", hangs_on: str = "") -> BlockUuid:
    """Return what names one execution in a run: `clean`, `clean:3`, `only_big@clean`, `only_big@clean:3`.

    Args:
        block: The uuid.
        child: Which child it is, or of which one the block that it hangs on is; empty when it runs once.
        hangs_on: Of a condition or callback: the uuid of the block it belongs to.
    """
    base = f"{block}@{hangs_on}" if hangs_on else block
    return BlockUuid(f"{base}:{child}" if child else base)


@dataclass(frozen=True, slots=True)
class Over:
    """A parent whose items or children a block runs once for.

    Attributes:
        sources: The dynamic blocks that its rows count, in the order of a child's name; itself last when it is one.
        is_dynamic: Whether its items are counted; otherwise its children are followed one by one.
        is_group: Whether it runs once per item itself.
    """

    parent: BlockUuid
    sources: tuple[BlockUuid, ...]
    is_dynamic: bool
    is_group: bool


@dataclass(frozen=True, slots=True)
class Pick:
    """What one child takes from one parent: the output of one of its children, one of its items, or both."""

    child: str = ""
    item: int | None = None
