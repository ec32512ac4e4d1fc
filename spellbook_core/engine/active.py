"""A run under way, as the runner holds it in memory; all of it can be read back from the run store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from spellbook_core.clock import to_text
from spellbook_core.engine import state
from spellbook_core.engine.ports import Handle
from spellbook_core.model.naming import BlockRunId, BlockUuid
from spellbook_core.model.run import BlockRun, PipelineRun, Status
from spellbook_core.model.task import OUTCOME_FILE, BlockInput, BlockTask, Environment, Outcome, OutputInfo
from spellbook_core.model.values import YamlValue
from spellbook_core.project.layout import ProjectLayout
from spellbook_core.runs.records import BlockEnd, BlockSpec, Fingerprint, Waiting


@dataclass(slots=True)
class ActiveBlock:
    """A block of a run under way.

    Attributes:
        source: The text that runs.
        source_path: The file it was read from.
        stored_outputs: Of the parents outside the run.
        attempt: 0 until it starts.
        submitted_at: Monotonic seconds; None when another engine submitted it.
        is_decided: Whether it was looked at for reuse.
        fingerprint: What its result depends on, known from then on; likewise `modules`, the digest of the project
            modules that it reaches.
        retried: Failed attempts that were followed by another one, or will be.
        starts_anew: Attempts lost before they began, which this runner followed by another one.
        first_started_at: When its first attempt was recorded.
        due_at: Of a block that waited when this runner took it over: until when.
    """

    id: BlockRunId
    block: BlockUuid
    block_type: str
    spec: BlockSpec
    source: str
    source_path: Path
    stored_outputs: Mapping[BlockUuid, tuple[OutputInfo, ...]]
    attempt: int = 0
    handle: Handle | None = None
    submitted_at: float | None = None
    is_decided: bool = False
    fingerprint: Fingerprint | None = None
    modules: str = ""
    retried: int = 0
    starts_anew: int = 0
    first_started_at: datetime | None = None
    due_at: datetime | None = None


@dataclass(slots=True)
class ActiveRun:
    """A run under way.

    Attributes:
        variables: The pipeline's, overlaid with the run's.
        outputs: Of the blocks of this run that completed.
        folders: Block run and attempt -> its folder, worked out once.
    """

    run: PipelineRun
    project: ProjectLayout
    variables: Mapping[str, YamlValue]
    environment: Environment
    blocks: dict[BlockUuid, ActiveBlock]
    state: state.RunState
    outputs: dict[BlockUuid, tuple[OutputInfo, ...]] = field(default_factory=dict)
    folders: dict[tuple[BlockRunId, int], Path] = field(default_factory=dict)

    def inputs(self, block: ActiveBlock) -> tuple[BlockInput, ...]:
        """Return what each parent of `block` hands over, in argument order; its own outputs when only tests run."""
        if self.run.selection.tests_only:
            return (BlockInput(block.block, block.stored_outputs.get(block.block, ())),)
        return tuple(
            BlockInput(parent, self.outputs[parent] if parent in self.outputs else block.stored_outputs.get(parent, ()))
            for parent in block.spec.parents
        )

    def task(self, block: ActiveBlock) -> BlockTask:
        """Return the message that starts the current attempt of `block`."""
        return BlockTask(
            run_id=self.run.id,
            block_run_id=block.id,
            attempt=block.attempt,
            workspace=str(self.project.workspace.root),
            project=self.project.name,
            project_root=str(self.project.root),
            pipeline=self.run.pipeline,
            block=block.block,
            block_type=block.block_type,
            language=block.spec.language,
            source=block.source,
            source_path=str(block.source_path),
            inputs=self.inputs(block),
            variables=self.variables,
            configuration=block.spec.configuration,
            execution_date=to_text(self.run.execution_date),
            trigger=self.run.trigger,
            environment=self.environment,
            timeout_s=block.spec.timeout_s,
            tests_only=self.run.selection.tests_only,
        )

    def attempt_dir(self, block: ActiveBlock, attempt: int | None = None) -> Path:
        """Return the folder of an attempt of `block`, the current one unless told."""
        key = (block.id, block.attempt if attempt is None else attempt)
        if key not in self.folders:
            self.folders[key] = self.project.workspace.attempt_dir(self.run.id, *key)
        return self.folders[key]


Under: TypeAlias = "tuple[ActiveRun, ActiveBlock]"
"""A block and the run it belongs to."""

Change: TypeAlias = "tuple[ActiveRun, ActiveBlock, BlockEnd | Waiting]"
"""A block that has ended or waits for another attempt, and how that is recorded."""


def initial_state(
    specs: Mapping[BlockUuid, BlockSpec], statuses: Mapping[BlockUuid, Status] | None = None
) -> state.RunState:
    """Return the state of a run with these blocks, in the order of the plan."""
    return state.begin({block: spec.parents for block, spec in specs.items()}, statuses)


def completed_outputs(block_runs: list[BlockRun]) -> dict[BlockUuid, tuple[OutputInfo, ...]]:
    """Return block -> outputs of those that completed."""
    return {found.block: found.outputs for found in block_runs if found.status is Status.COMPLETED}


def read_outcome(attempt_dir: Path) -> Outcome | None:
    """Return what the worker sealed; None when it sealed nothing, or something that is no outcome."""
    try:
        return Outcome.from_json(json.loads((attempt_dir / OUTCOME_FILE).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        return None
