"""From a request for a run to a plan with the text of every block, read from the project's files.

The same steps check a request before it is stored and begin it in the engine, so both refuse the same things.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.atomic import content_hash, read_whole
from spellbook_core.clock import SystemClock
from spellbook_core.engine import plan
from spellbook_core.engine.control import check_control, retry_policy
from spellbook_core.engine.staleness import assess, unfresh
from spellbook_core.errors import NotFoundError
from spellbook_core.model import products
from spellbook_core.model.block import FILELESS_TYPES
from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName, names_hint
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.model.run import BlockRun, Selection, Upstream
from spellbook_core.model.staleness import Staleness
from spellbook_core.model.values import YamlValue
from spellbook_core.project.concurrency import concurrency_of
from spellbook_core.project.containment import decode
from spellbook_core.project.environment import Interpreter, interpreter_of
from spellbook_core.project.layout import ProjectLayout, Workspace
from spellbook_core.project.metadata import load_pipeline
from spellbook_core.project.own_callbacks import with_own_callbacks
from spellbook_core.project.retries import project_retry_config
from spellbook_core.runs.records import BlockSpec, NewBlockRun
from spellbook_core.runs.store import RunStore


class BlockFileMissingError(NotFoundError):
    """The file of a block that would run is not there, or cannot be read."""

    code = "SB-RUN-007"


@dataclass(frozen=True, slots=True)
class Intake:
    """A run that can begin.

    Attributes:
        blocks: In the order of the plan, each with a snapshot of its text.
        paths: Key of a block -> its file.
        interpreter: The Python of its blocks; None for Spellbook's own.
        block_limit: How many blocks of the pipeline may run at once; None for no limit.
    """

    project: ProjectLayout
    pipeline: Pipeline
    plan: plan.Plan
    blocks: tuple[NewBlockRun, ...]
    paths: Mapping[BlockUuid, Path]
    interpreter: Interpreter | None
    block_limit: int | None


def states_of(
    workspace: Workspace, store: RunStore, layout: ProjectLayout, pipeline: Pipeline, *, now: datetime
) -> dict[BlockUuid, Staleness]:
    """Return the state of the stored output of each block that can run; see `staleness.assess`."""
    return assess(
        layout,
        pipeline,
        store.latest_made(layout.name, pipeline.uuid),
        meanings=store.meanings,
        is_stored=LocalArtifactStore(workspace.artifacts_dir).has,
        now=now,
    )


def take_in(
    workspace: Workspace,
    store: RunStore,
    project: ProjectName,
    pipeline: PipelineUuid,
    selection: Selection,
    *,
    now: datetime | None = None,
) -> Intake:
    """Return the plan of a run and a snapshot of the text of its blocks; `now` tells the age of stored outputs.

    Raises:
        NotFoundError: There is no such project or pipeline. [SB-SYS-002]
        SpellbookError: The pipeline cannot be read or cannot run: what `load_pipeline` and `plan.build` raise.
        BlockFileMissingError: Names the file. [SB-RUN-007]
        BadEnvironmentError: The Python of its blocks cannot be told. [SB-PRJ-060]
        InterpreterMissingError: It is not there. [SB-PRJ-061]
        BadCacheSettingError: `cache` of a block is not known. [SB-RUN-020]
        BadConcurrencyError: A limit or policy of the pipeline cannot be. [SB-PIP-050]
        BadRetryConfigError: Retries of a block are no numbers. [SB-RUN-030]
        BadSensorSettingError: A sensor cannot wait as its configuration says. [SB-RUN-031]
    """
    now = now or SystemClock().now()
    layout = workspace.project(project)
    file = layout.pipeline_file(pipeline)
    if not file.is_file():
        raise NotFoundError(
            f"Project '{project}' has no pipeline '{pipeline}'.",
            hint=names_hint("its pipelines are", layout.pipeline_uuids(), pipeline),
            project=project,
            pipeline=pipeline,
        )
    parsed = load_pipeline(file)
    block_limit = concurrency_of(parsed.document).block_limit  # refused here rather than when its turn has come
    loaded = with_own_callbacks(layout, parsed)
    stored: Mapping[BlockUuid, BlockRunId] = {}
    if selection.blocks is not None or selection.tests_only:
        stored = _with_items(loaded, store.latest_outputs(project, pipeline))
    interpreter = interpreter_of(layout, pipeline, file=parsed)
    retries = project_retry_config(layout)
    for block in loaded.blocks:
        if block.is_runnable:
            check_control(layout.name, retries, loaded, block)
    stale: frozenset[BlockUuid] = frozenset()
    if selection.upstream is Upstream.STALE:
        stored = stored or _with_items(loaded, store.latest_outputs(project, pipeline))
        stale = unfresh(states_of(workspace, store, layout, loaded, now=now))
    if selection.tests_only:
        made = plan.build_tests(loaded, selection, stored, project=project)
    else:
        made = plan.build(loaded, selection, stored, project=project, stale=stale)
    paths = {planned.key: layout.block_file(planned.block) for planned in made.blocks}
    try:
        blocks = tuple([_snapshot(layout, loaded, planned, paths[planned.key], retries) for planned in made.blocks])
    except BlockFileMissingError:
        _refuse_missing(layout, loaded, made.blocks, paths)
        raise
    return Intake(layout, loaded, made, blocks, paths, interpreter, block_limit)


def _refuse_missing(
    project: ProjectLayout, pipeline: Pipeline, blocks: Sequence[plan.PlannedBlock], paths: Mapping[BlockUuid, Path]
) -> None:
    """Raise one error for all blocks whose file is not there, where there are several."""
    gone = [
        planned.block
        for planned in blocks
        if planned.block.type not in FILELESS_TYPES and not paths[planned.key].exists()
    ]
    if len(gone) > 1:
        shown = [f"{project.relative(project.block_file(block))} (block '{block.uuid}')" for block in gone]
        raise BlockFileMissingError(
            f"The files of {len(gone)} blocks are missing: {', '.join(shown)}.",
            hint="restore the files, or remove the blocks from the pipeline.",
            project=project.name,
            pipeline=pipeline.uuid,
            blocks=[block.uuid for block in gone],
            paths=[project.relative(project.block_file(block)) for block in gone],
        )


def _snapshot(
    project: ProjectLayout,
    pipeline: Pipeline,
    planned: plan.PlannedBlock,
    path: Path,
    retries: Mapping[str, YamlValue],
) -> NewBlockRun:
    block = planned.block
    shown = project.relative(path)
    try:
        data = products.source_of(block).encode() if block.type in FILELESS_TYPES else read_whole(str(path))
    except OSError as cause:
        missing = isinstance(cause, FileNotFoundError)
        raise BlockFileMissingError(
            f"The file of block '{block.uuid}' {'is missing' if missing else 'cannot be read'}: {shown}.",
            hint="restore the file, or remove the block from the pipeline.",
            project=project.name,
            pipeline=pipeline.uuid,
            block=block.uuid,
            path=shown,
        ) from cause
    return NewBlockRun(
        block=block.uuid,
        block_type=block.type,
        reason=planned.reason,
        source=decode(data, path),
        code_hash=content_hash(data),
        spec=BlockSpec(
            language=block.language,
            relative_path=shown,
            parents=planned.parents,
            stored_inputs=planned.stored_inputs,
            configuration=pipeline.configuration_of(block),
            timeout_s=block.timeout_s,
            retry=retry_policy(retries, pipeline, block),
            over=planned.over,
            hangs_on=planned.hangs_on,
            conditions=planned.conditions,
        ),
    )


def _with_items(pipeline: Pipeline, latest: Mapping[BlockUuid, BlockRun]) -> dict[BlockUuid, BlockRunId]:
    """Return block -> block run whose stored outputs can be handed over: of a dynamic block, with its items."""
    dynamic = {block.uuid for block in pipeline.blocks if block.is_dynamic and not block.reduces_output}
    return {
        name: run.id
        for name, run in latest.items()
        if name not in dynamic or any(output.items is not None for output in run.outputs) or run.children is not None
    }
