"""A run that repeats an earlier one: its plan, and which sealed outputs of the earlier run it shares.

Nothing of the earlier run is changed. What is shared counts as completed from the beginning of the new run; everything
else runs as in any run, reuse of unchanged outputs included.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.clock import SystemClock
from spellbook_core.engine import plan
from spellbook_core.engine.intake import Intake, take_in
from spellbook_core.engine.reuse import completed_in, refs_of
from spellbook_core.errors import NotFoundError
from spellbook_core.model import graph
from spellbook_core.model.naming import BlockUuid, names_hint
from spellbook_core.model.output import ArtifactRef
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.model.run import Again, BlockRun, Code, NewRun, PipelineRun, Selection, Share, Status, Upstream
from spellbook_core.project.concurrency import pipeline_block_limit
from spellbook_core.project.environment import interpreter_of
from spellbook_core.project.layout import Workspace
from spellbook_core.project.sourcefacts import facts_of
from spellbook_core.runs.records import BlockEnd, BlockSpec, Fingerprint, NewBlockRun
from spellbook_core.runs.store import RunStore


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that can begin.

    Attributes:
        shared: Block -> how it ends at once, with outputs of the run that is repeated.
    """

    intake: Intake
    shared: Mapping[BlockUuid, BlockEnd] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Earlier:
    """The run that is repeated: its block runs and specs by block."""

    run: PipelineRun
    blocks: Mapping[BlockUuid, BlockRun]
    specs: Mapping[BlockUuid, BlockSpec]


def prepare(
    workspace: Workspace, store: RunStore, wanted: NewRun | PipelineRun, *, now: datetime | None = None
) -> Prepared:
    """Return the plan of a run, with the text of every block and what it shares with the run that it repeats.

    Raises:
        RunNotFoundError: The run to repeat is not stored. [SB-RUN-001]
        NotFoundError: The block to start from is not in the run. [SB-SYS-002]
        NothingToRunError: Every block completed, so there is nothing to retry. [SB-RUN-006]
        SpellbookError: The run cannot begin; see `intake.take_in`.
    """
    now = now or SystemClock().now()
    again = wanted.again
    if again is None:
        return Prepared(take_in(workspace, store, wanted.project, wanted.pipeline, wanted.selection, now=now))
    earlier = _earlier(store, again)
    if not earlier.blocks:  # it never began: there is nothing to repeat but the request
        return Prepared(take_in(workspace, store, wanted.project, wanted.pipeline, wanted.selection, now=now))
    if again.code is Code.THEN:
        intake = _as_it_was(workspace, store, earlier)
    else:
        selection = _selection(wanted.selection, earlier)
        intake = take_in(workspace, store, wanted.project, wanted.pipeline, selection, now=now)
    if again.share is Share.NOTHING or wanted.selection.tests_only:
        return Prepared(intake)
    artifacts = LocalArtifactStore(workspace.artifacts_dir)
    reasons = _why_again(intake, earlier, again, store.code, lambda ref: artifacts.hold(ref) and artifacts.has(ref))
    if not reasons:
        raise plan.NothingToRunError(
            f"Every block of run {again.run_id} completed; there is nothing to retry.",
            hint="choose the block to start from, or run it again as a whole.",
            project=wanted.project,
            pipeline=wanted.pipeline,
            run=again.run_id,
        )
    blocks = tuple(replace(new, reason=reasons.get(new.key, new.reason)) for new in intake.blocks)
    shared = {new.key: _shared(earlier.blocks[new.key], again, now) for new in blocks if new.key not in reasons}
    return Prepared(replace(intake, blocks=blocks), shared)


def _earlier(store: RunStore, again: Again) -> _Earlier:
    found = store.block_runs(again.run_id)
    specs = store.specs(again.run_id)
    return _Earlier(
        store.run(again.run_id),
        {block_run.key: block_run for block_run in found if not block_run.child},
        {block_run.key: specs[block_run.id] for block_run in found if not block_run.child},
    )


def _selection(asked: Selection, earlier: _Earlier) -> Selection:
    """Return what to plan today: the blocks that the earlier run had, where it had not the whole pipeline."""
    is_whole = asked.blocks is None and asked.upstream is not Upstream.STALE
    if is_whole or asked.tests_only:
        return asked
    return Selection(
        tuple(name for name in earlier.blocks if not earlier.specs[name].hangs_on), is_fresh=asked.is_fresh
    )


def _as_it_was(workspace: Workspace, store: RunStore, earlier: _Earlier) -> Intake:
    """Return the plan and the texts that the earlier run stored; its pipeline and block files are not looked at."""
    layout = workspace.project(earlier.run.project)
    blocks = tuple(
        NewBlockRun(
            block=block_run.block,
            block_type=block_run.block_type,
            reason=f"it ran in run {earlier.run.id}",
            source=store.code(block_run.code_hash),
            code_hash=block_run.code_hash,
            spec=earlier.specs[name],
        )
        for name, block_run in earlier.blocks.items()
    )
    variables = store.pipeline_variables(earlier.run.id) or {}
    return Intake(
        layout,
        Pipeline(earlier.run.pipeline, earlier.run.pipeline, variables=variables),
        plan.Plan((), {}),
        blocks,
        {new.key: layout.contained(new.spec.relative_path) for new in blocks},
        interpreter_of(layout, earlier.run.pipeline),
        pipeline_block_limit(layout, earlier.run.pipeline),
    )


def _why_again(
    intake: Intake,
    earlier: _Earlier,
    again: Again,
    code: Callable[[str], str],
    is_stored: Callable[[ArtifactRef], bool],
) -> dict[BlockUuid, str]:
    """Return block -> why it runs; the others completed, as did all above them, and nothing of that has changed."""
    parents = {new.key: [*new.spec.parents, *_attached(new)] for new in intake.blocks}
    if again.share is Share.ABOVE and again.start not in parents:
        raise NotFoundError(
            f"Run {again.run_id} has no block '{again.start}' to start from.",
            hint=names_hint("its blocks are", list(parents), str(again.start)),
            run=again.run_id,
            block=again.start,
        )
    found = {new.key: _why(new, earlier, code, is_stored) for new in intake.blocks}
    reasons = {key: why for key, why in found.items() if why is not None}
    if again.share is Share.ABOVE and again.start is not None:
        reasons[again.start] = f"run {again.run_id} is retried from here"
    below = graph.reachable(_children(parents), reasons)
    return reasons | dict.fromkeys(below - reasons.keys(), "it is below a block that runs again")


def _attached(new: NewBlockRun) -> list[BlockUuid]:
    """Return what a condition or callback is done again with: the block that it belongs to."""
    return [BlockUuid(new.spec.hangs_on)] if new.spec.hangs_on else []


def _children(parents: Mapping[BlockUuid, Collection[BlockUuid]]) -> dict[BlockUuid, tuple[BlockUuid, ...]]:
    inside = {block: [name for name in names if name in parents] for block, names in parents.items()}
    return graph.children_of(inside)


def _why(
    new: NewBlockRun,
    earlier: _Earlier,
    code: Callable[[str], str],
    is_stored: Callable[[ArtifactRef], bool],
) -> str | None:
    """Return why a block runs again; None when the earlier run sealed outputs of this very block that still hold."""
    found, spec, run_id = earlier.blocks.get(new.key), earlier.specs.get(new.key), earlier.run.id
    if found is None or spec is None:
        return f"it was not in run {run_id}"
    if found.status is not Status.COMPLETED:
        return f"it did not complete in run {run_id}"
    now, then = new.spec, spec
    if (then.parents, then.over, then.conditions) != (now.parents, now.over, now.conditions):
        return f"its parents have changed since run {run_id}"
    if dict(then.configuration) != dict(now.configuration):
        return f"its settings have changed since run {run_id}"
    if found.code_hash != new.code_hash and not _means_the_same(code(found.code_hash), new.source):
        return f"it was edited since run {run_id}"
    if not all(is_stored(ref) for ref in refs_of(found.outputs)):
        return f"its output of run {run_id} is no longer stored"
    return None


def _means_the_same(before: str, now: str) -> bool:
    return facts_of(before).digest == facts_of(now).digest


def _shared(found: BlockRun, again: Again, now: datetime) -> BlockEnd:
    known = None if found.fingerprint is None else Fingerprint(found.fingerprint, "")
    return completed_in(again.run_id, found, known, now=now)
