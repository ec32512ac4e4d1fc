"""A run as another runner left it, read back from the run store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from spellbook_core.engine.active import ActiveBlock, ActiveRun, completed_outputs, initial_state
from spellbook_core.engine.environment import Environments
from spellbook_core.errors import NotFoundError
from spellbook_core.model.naming import BlockUuid, RunId
from spellbook_core.model.output import OutputInfo
from spellbook_core.model.run import BlockRun, Status
from spellbook_core.project.concurrency import pipeline_block_limit
from spellbook_core.project.environment import interpreter_of
from spellbook_core.project.layout import ProjectLayout, Workspace
from spellbook_core.project.metadata import load_pipeline
from spellbook_core.runs.records import BlockEnd, BlockSpec
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
    statuses = {found.key: found.status for found in block_runs}
    blocks = {found.key: _block(store, project, found, specs[found.id]) for found in block_runs}
    number_children(blocks)
    active = ActiveRun(
        run=run,
        project=project,
        variables={**variables, **run.variables},
        environment=environments.of(project, interpreter_of(project, run.pipeline)),
        block_limit=pipeline_block_limit(project, run.pipeline),
        blocks=blocks,
        state=initial_state(
            {found.key: specs[found.id] for found in block_runs},
            statuses,
            [found.key for found in block_runs if found.children is not None],
        ),
        outputs=completed_outputs(block_runs),
        ends={found.key: _end(found) for found in block_runs if found.status.is_terminal},
    )
    waiting = frozenset(found.key for found in block_runs if found.due_at is not None)
    active.state = replace(active.state, waiting=waiting)
    if not blocks:
        raise NotFoundError(f"Run {run_id} has no blocks stored.", hint="start the pipeline again.", run=run_id)
    return active, statuses


def _block(store: RunStore, project: ProjectLayout, found: BlockRun, spec: BlockSpec) -> ActiveBlock:
    stored = stored_inputs(store, spec)
    return ActiveBlock(
        id=found.id,
        block=found.block,
        block_type=found.block_type,
        spec=spec,
        source=store.code(found.code_hash),
        source_path=project.contained(spec.relative_path),
        stored_outputs=stored.outputs,
        attempt=found.attempt,
        retried=found.retried,
        first_started_at=found.first_started_at,
        due_at=found.due_at,
        stored_children=stored.children,
        children=found.children,
    )


def _end(found: BlockRun) -> BlockEnd:
    return BlockEnd(
        status=found.status,
        ended_at=found.ended_at or found.queued_at or datetime.now(UTC),
        started_at=found.started_at,
        duration_s=found.duration_s,
        cpu_s=found.cpu_s,
        peak_memory_bytes=found.peak_memory_bytes,
        outputs=found.outputs,
        tests=found.tests,
        warnings=found.warnings,
        error=found.error,
        children=found.children,
    )


def number_children(blocks: Mapping[BlockUuid, ActiveBlock]) -> None:
    """Number the children of each block that runs once per item, in the order of the run."""
    counts: Counter[tuple[str, str]] = Counter()
    for block in blocks.values():
        if block.spec.child:
            block.index = counts[block.block, block.spec.hangs_on]
            counts[block.block, block.spec.hangs_on] += 1


@dataclass(frozen=True, slots=True)
class Stored:
    """What the parents outside a run hand over: their outputs, and the children of those that ran once per item."""

    outputs: Mapping[BlockUuid, tuple[OutputInfo, ...]] = field(default_factory=dict)
    children: Mapping[BlockUuid, tuple[str, ...]] = field(default_factory=dict)


def stored_inputs(store: RunStore, spec: BlockSpec) -> Stored:
    """Return what the parents outside the run hand over, as it was stored when the run began."""
    if not spec.stored_inputs:
        return Stored()
    found = store.block_runs_by_id(set(spec.stored_inputs.values()))
    inputs = {name: found[number] for name, number in spec.stored_inputs.items() if number in found}
    return Stored(
        {name: run.outputs for name, run in inputs.items()},
        {name: run.children for name, run in inputs.items() if run.children is not None},
    )
