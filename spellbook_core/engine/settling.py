"""What ends without running: ready blocks whose stored outputs still hold, and blocks that can never run any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from spellbook_core.engine import state
from spellbook_core.engine.active import ActiveBlock, ActiveRun, Change
from spellbook_core.engine.reuse import Reuse
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.run import Status
from spellbook_core.runs.records import BlockEnd


def settle_unchanged(runs: Iterable[ActiveRun], reuse: Reuse) -> list[Change]:
    """End the ready blocks whose stored outputs still hold, and what becomes ready by that; none of them runs."""
    settled: list[Change] = []
    for run in runs:
        undecided = [run.blocks[name] for name in state.ready(run.state, len(run.blocks))]
        for block in undecided:  # grows
            end = None if block.is_decided or run.run.selection.tests_only else reuse.decide(run, block)
            if end is None:
                continue
            run.state = state.apply(run.state, state.BlockStarted(block.block))
            run.state = state.apply(run.state, state.BlockEnded(block.block, end.status))
            run.outputs[block.block] = end.outputs
            settled.append((run, block, end))
            children = set(run.state.children[block.block])
            undecided += [run.blocks[name] for name in state.ready(run.state, len(run.blocks)) if name in children]
    return settled


def unrun(
    run: ActiveRun, before: Mapping[BlockUuid, Status], *, now: datetime, but: ActiveBlock | None = None
) -> list[Change]:
    """Return the blocks that ended since `before` without running, `but` for one, with how that is recorded."""
    return [
        (run, run.blocks[name], BlockEnd(status, now))
        for name, status in run.state.statuses.items()
        if status.is_terminal and status is not before[name] and run.blocks[name] is not but
    ]
