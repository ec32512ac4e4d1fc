"""What ends without running: ready blocks whose stored outputs still hold, and blocks that can never run any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from spellbook_core.engine import state
from spellbook_core.engine.active import ActiveBlock, ActiveRun, Change
from spellbook_core.engine.kinds import end_of, unheard
from spellbook_core.engine.reuse import Reuse
from spellbook_core.model.block import BlockType
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.run import Status


def settle_unchanged(runs: Iterable[ActiveRun], reuse: Reuse) -> list[Change]:
    """End the ready blocks whose stored outputs still hold, and what becomes ready by that; none of them runs."""
    settled: list[Change] = []
    for run in runs:
        undecided = [run.blocks[name] for name in run.ready()]
        for block in undecided:  # grows
            if run.run.selection.tests_only:
                continue
            end = unheard(run, block) if block.block_type == BlockType.CALLBACK else None
            if end is None and not block.is_decided:
                end = reuse.decide(run, block)
            if end is None:
                continue
            before = run.state.statuses
            run.state = state.apply(run.state, state.BlockStarted(block.key))
            run.state = state.apply(run.state, state.BlockEnded(block.key, end.status))
            run.ended(block, end)
            ends = unrun(run, before, reuse, now=end.ended_at, but=block)
            settled += [(run, block, end), *ends]
            children = {name for _, ended, _ in settled[-len(ends) - 1 :] for name in run.state.children[ended.key]}
            undecided += [run.blocks[name] for name in run.ready() if name in children]
    return settled


def unrun(
    run: ActiveRun, before: Mapping[BlockUuid, Status], reuse: Reuse, *, now: datetime, but: ActiveBlock | None = None
) -> list[Change]:
    """Return the blocks that ended since `before` without an attempt, `but` for one, with how that is recorded.

    They never ran, or ran once per item and are as their children are.
    """
    found: list[Change] = []
    for name, status in run.state.statuses.items():
        if status is before.get(name) or not status.is_terminal:
            continue
        block = run.blocks[name]
        if block is but:
            continue
        end = end_of(run, name, status, now=now)
        if end.children is not None:
            end = reuse.sealed(run, block, end)
        run.ended(block, end)
        found.append((run, block, end))
    return found
