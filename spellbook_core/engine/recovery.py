"""A run as another runner left it, read back from the run store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from spellbook_core.engine.active import ActiveBlock, ActiveRun, completed_outputs, initial_state
from spellbook_core.engine.environment import Environments
from spellbook_core.errors import NotFoundError
from spellbook_core.model.naming import BlockUuid, RunId
from spellbook_core.model.run import BlockRun, Status
from spellbook_core.model.task import OutputInfo
from spellbook_core.project.layout import ProjectLayout, Workspace
from spellbook_core.project.metadata import load_pipeline
from spellbook_core.runs.records import BlockSpec
from spellbook_core.runs.store import RunStore


def restore(
    workspace: Workspace, store: RunStore, run_id: RunId, environments: Environments
) -> tuple[ActiveRun, Mapping[BlockUuid, Status]]:
    """Return a run under way, and the status of each block as it was stored.

    The plan, the code, the variables and the inputs are those the run began with, whatever the files say now.

    Raises:
        SpellbookError: The project is gone.
    """
    run = store.run(run_id)
    project = workspace.project(run.project)
    variables = store.pipeline_variables(run_id)
    if variables is None:  # begun by a version that did not store them
        variables = dict(load_pipeline(project.pipeline_file(run.pipeline)).pipeline.variables)
    block_runs = store.block_runs(run_id)
    specs = store.specs(run_id)
    statuses = {found.block: found.status for found in block_runs}
    blocks = {found.block: _block(store, project, found, specs[found.id]) for found in block_runs}
    active = ActiveRun(
        run=run,
        project=project,
        variables={**variables, **run.variables},
        environment=environments.of(project, run.pipeline),
        blocks=blocks,
        state=initial_state({found.block: specs[found.id] for found in block_runs}, statuses),
        outputs=completed_outputs(block_runs),
    )
    waiting = frozenset(found.block for found in block_runs if found.due_at is not None)
    active.state = replace(active.state, waiting=waiting)
    if not blocks:
        raise NotFoundError(f"Run {run_id} has no blocks stored.", hint="start the pipeline again.", run=run_id)
    return active, statuses


def _block(store: RunStore, project: ProjectLayout, found: BlockRun, spec: BlockSpec) -> ActiveBlock:
    return ActiveBlock(
        id=found.id,
        block=found.block,
        block_type=found.block_type,
        spec=spec,
        source=store.code(found.code_hash),
        source_path=project.contained(spec.relative_path),
        stored_outputs=stored_outputs(store, spec),
        attempt=found.attempt,
        retried=found.retried,
        first_started_at=found.first_started_at,
        due_at=found.due_at,
    )


def stored_outputs(store: RunStore, spec: BlockSpec) -> dict[BlockUuid, tuple[OutputInfo, ...]]:
    """Return what the parents outside the run hand over, as it was stored when the run began."""
    if not spec.stored_inputs:
        return {}
    found = store.block_runs_by_id(set(spec.stored_inputs.values()))
    return {name: found[number].outputs for name, number in spec.stored_inputs.items() if number in found}
