"""How a queued run begins: its plan and its code are stored, then it is under way."""

from __future__ import annotations

from datetime import datetime

from spellbook_core.engine.active import ActiveBlock, ActiveRun, initial_state
from spellbook_core.engine.environment import Environments
from spellbook_core.engine.recovery import stored_inputs
from spellbook_core.engine.repeating import prepare
from spellbook_core.model.naming import RunId
from spellbook_core.project import kept_modules
from spellbook_core.project.layout import Workspace
from spellbook_core.runs.store import RunStore


def begin(
    workspace: Workspace, store: RunStore, environments: Environments, run_id: RunId, *, now: datetime
) -> ActiveRun:
    """Store the plan of a queued run, mark it as running and return it.

    Raises:
        SpellbookError: It cannot run; see `repeating.prepare`. Nothing was stored.
    """
    asked = store.run(run_id)
    prepared = prepare(workspace, store, asked, now=now)
    intake, shared = prepared.intake, prepared.shared
    environment = environments.of(intake.project, intake.interpreter)
    if asked.again is not None and kept_modules.is_used(asked):
        kept_modules.hand_on(workspace, asked.again.run_id, run_id)
    keys = [new.key for new in intake.blocks]
    with store.transaction():
        numbers = store.begin_run(run_id, intake.blocks, now=now, variables=intake.pipeline.variables)
        for number, key in zip(numbers, keys, strict=True):
            if key in shared:
                store.end_block(number, shared[key])
    inputs = {key: stored_inputs(store, new.spec) for key, new in zip(keys, intake.blocks, strict=True)}
    blocks = {
        key: ActiveBlock(
            id=number,
            block=new.block,
            block_type=new.block_type,
            spec=new.spec,
            source=new.source,
            source_path=intake.paths[key],
            stored_outputs=inputs[key].outputs,
            stored_children=inputs[key].children,
            children=shared[key].children if key in shared else None,
        )
        for number, key, new in zip(numbers, keys, intake.blocks, strict=True)
    }
    return ActiveRun(
        run=asked,
        project=intake.project,
        variables={**intake.pipeline.variables, **asked.variables},
        environment=environment,
        block_limit=intake.block_limit,
        blocks=blocks,
        state=initial_state(
            {name: block.spec for name, block in blocks.items()},
            {name: end.status for name, end in shared.items()},
            [name for name, end in shared.items() if end.children is not None],
        ),
        outputs={name: end.outputs for name, end in shared.items()},
        ends=dict(shared),
    )
