"""Runs: start, cancel, look at. Whoever starts a run may go away; the engine process carries it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from spellbook_core.engine.intake import states_of
from spellbook_core.engine.repeating import prepare
from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.run import BlockRun, NewRun, PipelineRun, Selection, Status, Upstream
from spellbook_core.model.staleness import Staleness
from spellbook_core.model.task import LOG_FILE, METRICS_FILE
from spellbook_core.runs import logs
from spellbook_core.runs import metrics as metric_files
from spellbook_core.runs.records import AttemptEnd, RunFilter, RunsPage
from spellbook_core.runs.store import RunNotFoundError
from spellbook_core.services import engines, pipelines
from spellbook_core.services.pipeline_settings import with_priority
from spellbook_core.services.wiring import Context, open_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spellbook_core.model.values import JsonObject, YamlValue


def start(ctx: Context, new: NewRun) -> PipelineRun:
    """Queue a run and wake the engine, which is started when none leads; return at once.

    A block with a syntax error is not refused: that block fails in the run.

    Raises:
        SpellbookError: The pipeline cannot run (cycle, missing file, missing parent output, nothing to run); nothing
            was queued.
        EngineStartError: No engine answers and none can be started; nothing was queued. [SB-RUN-008]
    """
    prepare(ctx.workspace, ctx.store, new)
    new = with_priority(ctx, new)
    with engines.connected(ctx) as send:
        run = ctx.store.create_run(new, now=ctx.clock.now())
        send({"op": "wake"})
    return run


def run_block(
    ctx: Context,
    project: ProjectName,
    pipeline: PipelineUuid,
    block: BlockUuid,
    *,
    upstream: Upstream = Upstream.NONE,
    downstream: bool = False,
    tests_only: bool = False,
    request_id: str | None = None,
) -> PipelineRun:
    """Queue a run of one block, with what `upstream` and `downstream` add; as `start` otherwise.

    With `tests_only` just the block's `@test` functions run, on its stored outputs, which stay as they are.
    """
    selection = Selection((block,), upstream, downstream, tests_only)
    return start(ctx, NewRun(project, pipeline, "notebook", selection, request_id=request_id))


def run_stale(
    ctx: Context, project: ProjectName, pipeline: PipelineUuid, *, request_id: str | None = None
) -> PipelineRun:
    """Queue a run of the blocks whose stored output is missing or stale, and nothing else; as `start` otherwise.

    A block that is stale only because one above it is does not execute when that one brings the same again.

    Raises:
        NothingToRunError: Every stored output is up to date. [SB-RUN-006]
    """
    selection = Selection(None, Upstream.STALE)
    return start(ctx, NewRun(project, pipeline, "notebook", selection, request_id=request_id))


def staleness(ctx: Context, project: ProjectName, pipeline: PipelineUuid) -> dict[BlockUuid, Staleness]:
    """Return whether the stored output of each block that can run still holds, and why not, in the order of a run.

    Told from files and the run store; nothing is run. A loader's output holds until its code, modules, variables,
    settings or environment change; `made_at` tells its age.

    Raises:
        SpellbookError: The pipeline cannot be read, or its blocks wait for each other.
    """
    layout = ctx.workspace.project(project)
    loaded = pipelines.load(ctx, project, pipeline).pipeline
    return states_of(ctx.workspace, ctx.store, layout, loaded, now=ctx.clock.now())


def run_here(ctx: Context, new: NewRun, on_event: Callable[[JsonObject], None]) -> PipelineRun:
    """Run in this process, without an engine process, and return when the run has ended.

    Ctrl-C (KeyboardInterrupt) cancels the run, waits for its end and returns it with status `cancelled`.

    Args:
        ctx: Of the workspace.
        new: What to run.
        on_event: Called with each event of this run, as subscribers of the engine receive them.

    Raises:
        SpellbookError: As `start` does.
    """
    from spellbook_core.engine.solo import run_alone

    prepare(ctx.workspace, ctx.store, new)
    new = with_priority(ctx, new)
    executor = ctx.make_executor()
    try:
        return run_alone(ctx.workspace, ctx.store, executor, ctx.clock, ctx.settings, new, on_event)
    finally:
        executor.close()


def run_pipeline(
    project_path: str | Path, pipeline: str, variables: Mapping[str, YamlValue] | None = None
) -> PipelineRun:
    """Run a whole pipeline in this process and return the ended run; for scripts and other orchestrators.

    Args:
        project_path: The project's folder.
        pipeline: The pipeline's uuid.
        variables: Over the pipeline's own.
    """
    root = Path(project_path).resolve()
    workspace = root.parent.parent if root.parent.name == "projects" else root
    ctx = open_context(workspace)
    try:
        new = NewRun(ProjectName(root.name), PipelineUuid(pipeline), "cli", variables=dict(variables or {}))
        return run_here(ctx, new, lambda event: None)
    finally:
        ctx.close()


def wait(ctx: Context, run_id: RunId, timeout_s: float) -> PipelineRun:
    """Return a run once it has ended, or as it is after `timeout_s`; told by the engine, not by looking again.

    Raises:
        RunNotFoundError: There is no such run. [SB-RUN-001]
        EngineStartError: No engine carries it and none can be started. [SB-RUN-008]
    """
    until = ctx.clock.monotonic() + timeout_s
    while True:
        with suppress(ConnectionError), engines.subscribed(ctx) as receive:
            while True:
                run = ctx.store.run(run_id)  # read after subscribing, so that no end is missed
                left = until - ctx.clock.monotonic()
                if run.status.is_terminal or left <= 0:
                    return run
                receive(left)


def cancel(ctx: Context, run_id: RunId) -> None:
    """Ask a run to end; without effect on an ended one. The run's status tells when it has.

    Raises:
        RunNotFoundError: There is no such run. [SB-RUN-001]
    """
    ctx.store.request_cancel(run_id, now=ctx.clock.now())
    if not ctx.store.run(run_id).status.is_terminal:
        engines.wake(ctx)


def get(ctx: Context, run_id: RunId) -> PipelineRun:
    """Return a run. Raises RunNotFoundError [SB-RUN-001]."""
    return ctx.store.run(run_id)


def block_runs(ctx: Context, run_id: RunId, *, with_children: bool = True) -> list[BlockRun]:
    """Return a run's block runs in the order of its plan; empty while it waits in the queue.

    Args:
        ctx: Of the workspace.
        run_id: The run.
        with_children: Whether a block that runs once per item is followed by each of its children.
    """
    return ctx.store.block_runs(run_id, with_children=with_children)


def children(ctx: Context, block_run: BlockRun) -> list[BlockRun]:
    """Return the children of a block that ran once per item, in their order; empty for any other."""
    return ctx.store.children(block_run) if block_run.children is not None else []


def child_counts(ctx: Context, run_id: RunId) -> dict[BlockUuid, dict[Status, int]]:
    """Return block that runs once per item -> how many of its children have each status."""
    return ctx.store.child_counts(run_id)


def block_run(ctx: Context, block_run_id: BlockRunId) -> BlockRun:
    """Return a block run. Raises RunNotFoundError [SB-RUN-001]."""
    return ctx.store.block_run(block_run_id)


def list_runs(
    ctx: Context,
    *,
    project: ProjectName | None = None,
    pipeline: PipelineUuid | None = None,
    statuses: Sequence[Status] = (),
    triggers: Sequence[str] = (),
    offset: int = 0,
    limit: int = 50,
) -> RunsPage:
    """Return a page of runs, newest first, and how many match in all."""
    where = RunFilter(project, pipeline, tuple(statuses), tuple(triggers))
    return ctx.store.runs(where, offset=offset, limit=limit)


def waiting_for(ctx: Context, runs: Sequence[PipelineRun]) -> dict[RunId, list[BlockRun]]:
    """Return the waiting block runs of those of the runs that are under way and have some."""
    found = {
        run.id: [block_run for block_run in ctx.store.block_runs(run.id) if block_run.waiting_for is not None]
        for run in runs
        if run.status is Status.RUNNING
    }
    return {run_id: waiting for run_id, waiting in found.items() if waiting}


def latest_block_runs(ctx: Context, project: ProjectName, pipeline: PipelineUuid) -> dict[BlockUuid, BlockRun]:
    """Return the newest block run of each block that ever ran, whatever its status."""
    return ctx.store.latest_block_runs(project, pipeline)


def latest_outputs(ctx: Context, project: ProjectName, pipeline: PipelineUuid) -> dict[BlockUuid, BlockRun]:
    """Return the newest completed block run of each block: what its children and its table read."""
    return ctx.store.latest_outputs(project, pipeline)


def earlier_attempts(ctx: Context, block_run: BlockRun) -> list[AttemptEnd]:
    """Return how the attempts ended that were followed by another one, or will be; first to last."""
    return ctx.store.earlier_attempts(block_run.id)


def attempt_dir(ctx: Context, block_run: BlockRun, attempt: int | None = None) -> Path:
    """Return the folder with the files of an attempt, the newest unless told; it need not exist.

    For a reused block run it is that of the execution which made its outputs: its log and its curves.
    """
    if block_run.reused_from is not None and not block_run.attempt:
        with suppress(RunNotFoundError):  # deleted since: nothing is left to show
            block_run = ctx.store.block_run(block_run.reused_from)
    return ctx.workspace.attempt_dir(block_run.run_id, block_run.id, attempt or block_run.attempt)


def log(
    ctx: Context,
    block_run: BlockRun,
    *,
    offset: int = 0,
    limit: int = 1000,
    level: str | None = None,
    search: str | None = None,
) -> logs.LogPage:
    """Return lines that the newest attempt printed; see `runs.logs.read_lines`."""
    path = attempt_dir(ctx, block_run) / LOG_FILE
    return logs.read_lines(path, offset=offset, limit=limit, level=level, search=search)


def log_tail(ctx: Context, block_run: BlockRun, lines: int = 200, *, attempt: int | None = None) -> logs.LogPage:
    """Return the last lines that an attempt printed, the newest unless told."""
    return logs.tail(attempt_dir(ctx, block_run, attempt) / LOG_FILE, lines)


def metrics(ctx: Context, block_run: BlockRun) -> metric_files.Metrics:
    """Return the series and the progress that the newest attempt logged so far."""
    return metric_files.read(attempt_dir(ctx, block_run) / METRICS_FILE)


def code(ctx: Context, block_run: BlockRun) -> str:
    """Return the text of the block as it ran, whatever its file says now."""
    return ctx.store.code(block_run.code_hash)
