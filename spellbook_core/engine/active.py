"""A run under way, as the runner holds it in memory; all of it can be read back from the run store."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from spellbook_core.atomic import read_whole
from spellbook_core.clock import to_text
from spellbook_core.engine import state
from spellbook_core.engine.groups import Bonds, Group
from spellbook_core.engine.ports import Handle
from spellbook_core.engine.state import RunState
from spellbook_core.model.block import BlockType
from spellbook_core.model.children import node_key
from spellbook_core.model.naming import BlockRunId, BlockUuid
from spellbook_core.model.outcome import OUTCOME_FILE, Outcome
from spellbook_core.model.output import OutputInfo
from spellbook_core.model.run import BlockRun, PipelineRun, Status
from spellbook_core.model.task import BlockInput, BlockTask, Environment, HangsOn
from spellbook_core.model.values import YamlValue
from spellbook_core.project.kept_modules import is_used
from spellbook_core.project.layout import ProjectLayout
from spellbook_core.runs.records import BlockEnd, BlockSpec, Fingerprint, Waiting


@dataclass(slots=True)
class ActiveBlock:
    """A block of a run under way.

    Attributes:
        key: What names it in its run.
        source: The text that runs.
        source_path: The file it was read from.
        stored_outputs: Of the parents outside the run; `stored_children` names the children of those that ran once per
            item.
        attempt: 0 until it starts.
        submitted_at: Monotonic seconds; None when another engine submitted it.
        is_decided: Whether it was looked at for reuse.
        fingerprint: What its result depends on, known from then on; likewise `modules`, the digest of the project
            modules that it reaches.
        retried: Failed attempts that were followed by another one, or will be.
        starts_anew: Attempts lost before they began, which this runner followed by another one.
        first_started_at: When its first attempt was recorded.
        due_at: Of a block that waited when this runner took it over: until when.
        children: Of a block that runs once per item: the names of its children, once they are known; when it has ended,
            of those that completed.
        index: Of such a child: its place among them.
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
    stored_children: Mapping[BlockUuid, tuple[str, ...]] = field(default_factory=dict)
    children: tuple[str, ...] | None = None
    index: int | None = None
    key: BlockUuid = field(init=False)

    def __post_init__(self) -> None:
        """Put the key together once: each event asks for it several times."""
        self.key = node_key(self.block, self.spec.child, self.spec.hangs_on)

    @property
    def hangs_on(self) -> BlockUuid | None:
        """Return the key of the block that a condition or callback belongs to."""
        return node_key(self.spec.hangs_on, self.spec.child) if self.spec.hangs_on else None


@dataclass(slots=True)
class ActiveRun:
    """A run under way.

    Attributes:
        run: As it was read when it was taken; how far it is, `state` says.
        variables: The pipeline's, overlaid with the run's.
        block_limit: How many of its blocks may run at once, by the pipeline; None for no limit of its own.
        blocks: By key: a block that runs once per item is there as a whole and with each of its children.
        outputs: Of the blocks of this run that completed, by key.
        ends: How the blocks of this run ended, by key.
        folders: Block run and attempt -> its folder, worked out once.
        variable_digests: Of `variables`, once they were asked for.
    """

    run: PipelineRun
    project: ProjectLayout
    variables: Mapping[str, YamlValue]
    environment: Environment
    block_limit: int | None
    blocks: dict[BlockUuid, ActiveBlock]
    state: RunState
    outputs: dict[BlockUuid, tuple[OutputInfo, ...]] = field(default_factory=dict)
    ends: dict[BlockUuid, BlockEnd] = field(default_factory=dict)
    folders: dict[tuple[BlockRunId, int], Path] = field(default_factory=dict)
    variable_digests: Mapping[str, str] | None = None
    _ready: tuple[RunState, list[BlockUuid]] | None = None

    def ready(self) -> list[BlockUuid]:
        """Return the blocks that may start now, in the order of the plan; worked out once per state."""
        if self._ready is None or self._ready[0] is not self.state:
            self._ready = (self.state, state.ready(self.state, len(self.blocks)))
        return self._ready[1]

    def inputs(self, block: ActiveBlock) -> tuple[BlockInput, ...]:
        """Return what each parent of `block` hands over, in argument order; its own outputs when only tests run."""
        if self.run.selection.tests_only:
            return (self._whole(block, block.block),)
        if block.block_type == BlockType.CALLBACK and block.hangs_on is not None:
            return (BlockInput(BlockUuid(block.spec.hangs_on), self.outputs.get(block.hangs_on, ())),)
        return tuple(self._handed_over(block, parent) for parent in block.spec.parents)

    def _handed_over(self, block: ActiveBlock, parent: BlockUuid) -> BlockInput:
        pick = block.spec.picks.get(parent)
        if pick is None:
            return self._whole(block, parent)
        outputs = self.outputs.get(node_key(parent, pick.child))
        if outputs is None:  # its children belong to another run
            outputs = tuple(output for output in self.given(block, parent) if output.child == pick.child)
        if pick.item is not None and outputs and outputs[0].items is not None:
            outputs = (replace(outputs[0], items=(outputs[0].items[pick.item],)), *outputs[1:])
        return BlockInput(parent, outputs, item=pick.item)

    def _whole(self, block: ActiveBlock, parent: BlockUuid) -> BlockInput:
        return BlockInput(parent, self.given(block, parent), children=self.children_of(block, parent))

    def given(self, block: ActiveBlock, parent: BlockUuid) -> tuple[OutputInfo, ...]:
        """Return all that a parent of `block` brought, in this run or stored."""
        return self.outputs[parent] if parent in self.outputs else block.stored_outputs.get(parent, ())

    def children_of(self, block: ActiveBlock, parent: BlockUuid) -> tuple[str, ...] | None:
        """Return the names of the children of a parent of `block`; None when it runs once."""
        inside = self.blocks.get(parent) if not self.run.selection.tests_only else None
        return block.stored_children.get(parent) if inside is None else inside.children

    def ended(self, block: ActiveBlock, end: BlockEnd) -> None:
        """Keep how a block ended, for what comes behind it."""
        self.ends[block.key] = end
        if end.status is Status.COMPLETED:
            self.outputs[block.key] = end.outputs
            if end.children is not None:
                block.children = end.children

    def _hangs_on(self, block: ActiveBlock) -> HangsOn | None:
        key = block.hangs_on
        if key is None:
            return None
        if block.block_type != BlockType.CALLBACK:
            return HangsOn(BlockUuid(block.spec.hangs_on))
        end = self.ends.get(key)
        error = None if end is None else end.error
        return HangsOn(BlockUuid(block.spec.hangs_on), self.state.statuses[key].value, error)

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
            environment=self.environment_of(block),
            timeout_s=block.spec.timeout_s,
            tests_only=self.run.selection.tests_only,
            child=block.spec.child,
            child_index=block.index,
            hangs_on=self._hangs_on(block),
            is_as_it_was=is_used(self.run),
        )

    def environment_of(self, block: ActiveBlock) -> Environment:
        """Return where a block runs: SQL in Spellbook's own Python, which has DuckDB, else where the project says."""
        if block.spec.language == "sql" and self.environment.python is not None:
            return replace(self.environment, python=None, recipe=None)
        return self.environment

    def attempt_dir(self, block: ActiveBlock, attempt: int | None = None) -> Path:
        """Return the folder of an attempt of `block`, the current one unless told."""
        key = (block.id, block.attempt if attempt is None else attempt)
        if key not in self.folders:
            self.folders[key] = self.project.workspace.attempt_dir(self.run.id, *key)
        return self.folders[key]


_decode = json.JSONDecoder().decode

Under: TypeAlias = "tuple[ActiveRun, ActiveBlock]"
"""A block and the run it belongs to."""

Change: TypeAlias = "tuple[ActiveRun, ActiveBlock, BlockEnd | Waiting]"
"""A block that has ended or waits for another attempt, and how that is recorded."""


def initial_state(
    specs: Mapping[BlockUuid, BlockSpec],
    statuses: Mapping[BlockUuid, Status] | None = None,
    expanded: Collection[BlockUuid] = (),
) -> RunState:
    """Return the state of a run with these blocks, in the order of the plan.

    Args:
        specs: By key.
        statuses: As they were stored; none when the run begins.
        expanded: Blocks whose children are known, and among `specs` too.
    """
    return state.begin({key: waits_for(spec) for key, spec in specs.items()}, statuses, bonds_of(specs, expanded))


def waits_for(spec: BlockSpec) -> tuple[BlockUuid, ...]:
    """Return the keys of what must have completed before a block may start."""
    picked = [node_key(name, spec.picks[name].child) if name in spec.picks else name for name in spec.parents]
    return (*picked, *spec.conditions)


def bonds_of(specs: Mapping[BlockUuid, BlockSpec], expanded: Collection[BlockUuid] = ()) -> Bonds:
    """Return what binds these blocks beside their links."""
    guards = {condition: key for key, spec in specs.items() for condition in spec.conditions}
    after = {
        key: node_key(spec.hangs_on, spec.child)
        for key, spec in specs.items()
        if spec.hangs_on and node_key(spec.hangs_on, spec.child) in specs and key not in guards
    }
    groups: dict[BlockUuid, Group] = {}
    for key, spec in specs.items():
        if not spec.over:
            continue
        over = tuple(each.parent for each in spec.over if each.is_dynamic and each.parent in specs)
        like = tuple(each.parent for each in spec.over if not each.is_dynamic and each.parent in specs)
        if key in after:
            over, like = (), (after[key],)
        grows = len(spec.over) == 1  # with another parent, also one of an earlier run, the last may come first
        groups[key] = Group(over, (*like, *spec.conditions), grows, () if key in expanded else None)
    for key, spec in specs.items():
        whole = node_key(key.partition(":")[0]) if spec.child else None
        if whole in groups:
            group = groups[whole]
            groups[whole] = replace(group, members=(*(group.members or ()), key))
    return Bonds(guards, after, groups)


def completed_outputs(block_runs: list[BlockRun]) -> dict[BlockUuid, tuple[OutputInfo, ...]]:
    """Return key -> outputs of those that completed."""
    return {found.key: found.outputs for found in block_runs if found.status is Status.COMPLETED}


def read_outcome(attempt_dir: Path) -> Outcome | None:
    """Return what the worker sealed; None when it sealed nothing, or something that is no outcome."""
    try:
        return Outcome.from_json(_decode(read_whole(f"{attempt_dir}/{OUTCOME_FILE}").decode()))
    except (OSError, ValueError, KeyError, TypeError):
        return None
