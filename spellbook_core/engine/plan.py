"""Which blocks a run executes, in which order, and why. Pure: values in, a plan out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from spellbook_core.engine.expansion import spread_over
from spellbook_core.errors import SpellbookError
from spellbook_core.model import graph, not_run
from spellbook_core.model.block import RUNNABLE_TYPES, Block, BlockType
from spellbook_core.model.children import Over, node_key
from spellbook_core.model.naming import BlockRunId, BlockUuid, ProjectName
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.model.record import record
from spellbook_core.model.run import Selection, Upstream


class MissingOutputError(SpellbookError, LookupError):
    """A block needs the output of a parent that has none stored and is not part of the run."""

    code = "SB-RUN-004"


class NotRunnableError(SpellbookError, ValueError):
    """A block that was chosen, or that another one needs, is of a type or language that does not run."""

    code = "SB-RUN-005"


class NothingToRunError(SpellbookError, ValueError):
    """The pipeline has no block that a run executes."""

    code = "SB-RUN-006"


SILENT_TYPES = frozenset({BlockType.SCRATCHPAD, BlockType.MARKDOWN, BlockType.CHART, BlockType.EXTENSION})
"""Types that hand nothing to their children, so a child does not wait for them."""


@record
class PlannedBlock:
    """A block of a run.

    Attributes:
        reason: Why it runs, for people.
        parents: Parents that hand over outputs, in argument order.
        stored_inputs: For parents outside the run: the block run their outputs come from.
        over: The parents whose items or children it runs once for; empty for a block that runs once.
        conditions: Keys of the conditions that guard it, which are in the plan too.
        hangs_on: Of a condition or callback: the block it belongs to.
    """

    block: Block
    reason: str
    parents: tuple[BlockUuid, ...]
    stored_inputs: Mapping[BlockUuid, BlockRunId] = field(default_factory=dict)
    over: tuple[Over, ...] = ()
    conditions: tuple[BlockUuid, ...] = ()
    hangs_on: str = ""

    @property
    def key(self) -> BlockUuid:
        """Return what names it in its run."""
        return node_key(self.block.uuid, "", self.hangs_on)


@dataclass(frozen=True, slots=True)
class Plan:
    """Blocks in an order that has every parent before its children; and why the others do not run.

    A condition comes right before the block it guards, a callback right behind the block whose end it hears of.
    """

    blocks: tuple[PlannedBlock, ...]
    skipped: Mapping[BlockUuid, str]


def build(
    pipeline: Pipeline,
    selection: Selection,
    stored: Mapping[BlockUuid, BlockRunId],
    *,
    project: ProjectName,
    reusable: Mapping[BlockUuid, str] | None = None,
    stale: Collection[BlockUuid] = frozenset(),
) -> Plan:
    """Return what a run of `selection` executes.

    Args:
        pipeline: As saved.
        selection: Which blocks, and what happens to their ancestors and descendants.
        stored: Block -> newest block run whose outputs are stored.
        project: For the facts of errors.
        reusable: Block -> why its stored outputs still hold. Such a block does not run as an ancestor or descendant;
            it always runs when it was chosen itself.
        stale: Blocks whose stored output would come out otherwise now, or that have none; for `Upstream.STALE`.

    Raises:
        MissingOutputError: A parent outside the run has no stored output. [SB-RUN-004]
        NotRunnableError: A chosen block, or one that is needed, cannot run. [SB-RUN-005]
        NothingToRunError: No block of the pipeline runs. [SB-RUN-006]
        NotFoundError: A chosen block is not in the pipeline. [SB-SYS-002]
        CycleError: The blocks wait for each other. [SB-PIP-001]
    """
    _refuse_kind(pipeline, project)
    order = pipeline.run_order()
    held = {name: reason for name, reason in (reusable or {}).items() if name in stored}
    reasons = _chosen(pipeline, selection, stored, held, frozenset(stale), project)
    blocks = {block.uuid: block for block in pipeline.blocks}
    parents = pipeline.parents()
    heard = {
        name: tuple(parent for parent in parents[name] if blocks[parent].type not in SILENT_TYPES) for name in order
    }
    over = spread_over(blocks, heard, order)
    planned: list[PlannedBlock] = []
    for name in (name for name in order if name in reasons):
        inputs = _stored_inputs(pipeline, name, heard[name], reasons, stored, project)
        block = PlannedBlock(blocks[name], reasons[name], heard[name], inputs, over.get(name, ()))
        planned += _with_add_ons(pipeline, block, project)
    if not planned and selection.blocks is None and selection.upstream is Upstream.STALE:
        raise NothingToRunError(
            f"Every stored output of pipeline '{pipeline.uuid}' is up to date.",
            hint='nothing needs to run; choose "Run all fresh" to run it anyway.',
            project=project,
            pipeline=pipeline.uuid,
        )
    if not planned:
        raise NothingToRunError(
            f"Pipeline '{pipeline.uuid}' has no block that runs.",
            hint="add a data loader, a transformer, a custom block or a data exporter.",
            project=project,
            pipeline=pipeline.uuid,
        )
    skipped = {name: _why_not(blocks[name], held) for name in order if name not in reasons}
    return Plan(tuple(planned), skipped)


def _refuse_kind(pipeline: Pipeline, project: ProjectName) -> None:
    kind = not_run.PIPELINES.get(pipeline.type)
    if kind is not None:
        raise NotRunnableError(
            f"Pipeline '{pipeline.uuid}' is not run here: {kind.why}.",
            hint=kind.instead,
            project=project,
            pipeline=pipeline.uuid,
        )


def build_tests(
    pipeline: Pipeline, selection: Selection, stored: Mapping[BlockUuid, BlockRunId], *, project: ProjectName
) -> Plan:
    """Return what a run of tests only executes: the chosen blocks, or all with stored outputs, each on its own ones.

    Raises:
        MissingOutputError: A chosen block has no stored output. [SB-RUN-004]
        NotRunnableError: A chosen block cannot run. [SB-RUN-005]
        NothingToRunError: No block has stored outputs. [SB-RUN-006]
        NotFoundError: A chosen block is not in the pipeline. [SB-SYS-002]
    """
    order = pipeline.run_order()
    chosen = selection.blocks if selection.blocks is not None else tuple(name for name in order if name in stored)
    planned = []
    for name in sorted(chosen, key=order.index):
        block = pipeline.block(name)
        if not block.is_runnable:
            raise _not_runnable(block, f"Block '{name}' cannot run", pipeline, project)
        if name not in stored:
            raise MissingOutputError(
                f"Block '{name}' has no stored output for its tests to look at.",
                hint=f"run '{name}' first.",
                project=project,
                pipeline=pipeline.uuid,
                block=name,
            )
        planned.append(PlannedBlock(block, "its tests were chosen", (), {name: stored[name]}))
    if not planned:
        raise NothingToRunError(
            f"No block of pipeline '{pipeline.uuid}' has a stored output for its tests to look at.",
            hint="run the pipeline first.",
            project=project,
            pipeline=pipeline.uuid,
        )
    names = {entry.block.uuid for entry in planned}
    return Plan(tuple(planned), {name: "it was not chosen" for name in order if name not in names})


def _chosen(
    pipeline: Pipeline,
    selection: Selection,
    stored: Collection[BlockUuid],
    held: Mapping[BlockUuid, str],
    stale: frozenset[BlockUuid],
    project: ProjectName,
) -> dict[BlockUuid, str]:
    """Return block -> why it runs."""
    runnable = {block.uuid for block in pipeline.blocks if block.is_runnable}
    if selection.blocks is None and selection.upstream is Upstream.STALE:
        return {name: _why_stale(name, stored) for name in runnable & stale}
    if selection.blocks is None:
        return {name: "the whole pipeline runs" for name in runnable if name not in held}
    parents = pipeline.parents()
    reasons: dict[BlockUuid, str] = {}
    for name in selection.blocks:
        block = pipeline.block(name)
        if not block.is_runnable and not block.runs_alone:
            raise _not_runnable(block, f"Block '{name}' cannot run", pipeline, project)
        reasons[name] = "it was chosen"
    if selection.downstream:
        below = graph.reachable(pipeline.children(), selection.blocks)
        for name in below - reasons.keys():
            if name in runnable and name not in held:
                reasons[name] = f"it is downstream of '{selection.blocks[0]}'"
    if selection.upstream is not Upstream.NONE:
        waiting = list(reasons)
        while waiting:
            child = waiting.pop()
            for parent in parents[child]:
                wanted = {
                    Upstream.ALL: parent not in held,
                    Upstream.STALE: parent in stale or parent not in stored,
                }.get(selection.upstream, parent not in stored)
                if parent in runnable and parent not in reasons and wanted:
                    reasons[parent] = _why_upstream(parent, child, stored, stale)
                    waiting.append(parent)
    return reasons


def _why_stale(name: BlockUuid, stored: Collection[BlockUuid]) -> str:
    return "its stored output is stale" if name in stored else "it had no stored output"


def _why_upstream(name: BlockUuid, child: BlockUuid, stored: Collection[BlockUuid], stale: frozenset[BlockUuid]) -> str:
    why = ", which had no stored output" if name not in stored else ", and stale" if name in stale else ""
    return f"it is upstream of '{child}'{why}"


def _stored_inputs(
    pipeline: Pipeline,
    child: BlockUuid,
    parents: Iterable[BlockUuid],
    inside: Collection[BlockUuid],
    stored: Mapping[BlockUuid, BlockRunId],
    project: ProjectName,
) -> dict[BlockUuid, BlockRunId]:
    """Return where the outputs of the parents outside the run come from."""
    outside = [parent for parent in parents if parent not in inside]
    for name in outside:
        if name in stored:
            continue
        parent = pipeline.block(name)
        if not parent.is_runnable:
            raise _not_runnable(parent, f"Block '{child}' needs the output of '{name}', which", pipeline, project)
        raise MissingOutputError(
            f"Block '{child}' needs the output of '{name}', which has not run yet.",
            hint=f"run '{name}', or choose \"Run with upstream\".",
            project=project,
            pipeline=pipeline.uuid,
            block=child,
        )
    return {name: stored[name] for name in outside}


def _with_add_ons(pipeline: Pipeline, planned: PlannedBlock, project: ProjectName) -> list[PlannedBlock]:
    """Return a block with the conditions that guard it before it, and the callbacks that hear of it behind it."""
    if not pipeline.conditionals and not pipeline.callbacks:
        return [planned]
    name = planned.block.uuid
    conditions = []
    for condition in pipeline.conditionals:
        if name not in condition.upstream_blocks:
            continue
        if condition.language != "python":
            raise _not_runnable(condition, f"Block '{name}' is guarded by '{condition.uuid}', which", pipeline, project)
        conditions.append(replace(planned, block=condition, reason=f"it guards '{name}'", hangs_on=name))
    callbacks = [
        PlannedBlock(callback, f"it hears how '{name}' ends", (), {}, planned.over, hangs_on=name)
        for callback in pipeline.callbacks
        if name in callback.upstream_blocks and callback.language == "python"
    ]
    return [*conditions, replace(planned, conditions=tuple(each.key for each in conditions)), *callbacks]


def _not_runnable(block: Block, subject: str, pipeline: Pipeline, project: ProjectName) -> NotRunnableError:
    what = f"a {block.language} block" if block.type in RUNNABLE_TYPES else f"a {block.type} block"
    separator = " is" if subject.endswith("which") else ": it is"
    told = not_run.of_block(block)
    return NotRunnableError(
        f"{subject}{separator} {what}, and those do not run.",
        hint=told.instead if told else "replace it by a Python loader, transformer, custom or exporter block.",
        project=project,
        pipeline=pipeline.uuid,
        block=block.uuid,
    )


def _why_not(block: Block, held: Mapping[BlockUuid, str]) -> str:
    if block.uuid in held:
        return held[block.uuid]
    return "it was not chosen" if block.is_runnable else f"a {block.language} {block.type} block does not run"
