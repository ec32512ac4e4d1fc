"""How a queued run begins: its plan and its code are stored, then it is under way."""

from __future__ import annotations

from datetime import datetime

from spellbook_core.engine.active import ActiveBlock, ActiveRun, initial_state
from spellbook_core.engine.environment import Environments
from spellbook_core.engine.intake import take_in
from spellbook_core.engine.recovery import stored_outputs
from spellbook_core.model.naming import RunId
from spellbook_core.project.layout import Workspace
from spellbook_core.runs.store import RunStore


def begin(
    workspace: Workspace, store: RunStore, environments: Environments, run_id: RunId, *, now: datetime
) -> ActiveRun:
    """Store the plan of a queued run, mark it as running and return it.

    Raises:
        SpellbookError: It cannot run; see `intake.take_in`. Nothing was stored.
    """
    asked = store.run(run_id)
    intake = take_in(workspace, store, asked.project, asked.pipeline, asked.selection)
    environment = environments.of(intake.project)
    numbers = store.begin_run(run_id, intake.blocks, now=now)
    blocks = {
        new.block: ActiveBlock(
            id=number,
            block=new.block,
            block_type=new.block_type,
            spec=new.spec,
            source=new.source,
            source_path=intake.paths[new.block],
            stored_outputs=stored_outputs(store, new.spec),
        )
        for number, new in zip(numbers, intake.blocks, strict=True)
    }
    return ActiveRun(
        run=store.run(run_id),
        project=intake.project,
        variables={**intake.pipeline.variables, **asked.variables},
        environment=environment,
        blocks=blocks,
        state=initial_state({name: block.spec for name, block in blocks.items()}),
    )
