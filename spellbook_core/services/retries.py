"""Runs that repeat an earlier one: what it sealed is shared, the rest runs in a new run. The earlier one stays."""

from __future__ import annotations

from spellbook_core.engine.supervise import is_alive
from spellbook_core.errors import SpellbookError
from spellbook_core.model.naming import BlockUuid, RunId
from spellbook_core.model.run import Again, Code, NewRun, PipelineRun, Share
from spellbook_core.services import engines, runs
from spellbook_core.services.wiring import Context


class RunNotEndedError(SpellbookError, RuntimeError):
    """A run that is to be repeated has not ended yet."""

    code = "SB-RUN-060"


def repeat_of(
    ctx: Context,
    run_id: RunId,
    *,
    share: Share = Share.COMPLETED,
    start: BlockUuid | None = None,
    code: Code = Code.NOW,
    trigger: str = "manual",
    request_id: str | None = None,
) -> NewRun:
    """Return the request that repeats an ended run, with its variables and its execution date.

    Args:
        ctx: Of the workspace.
        run_id: The run to repeat.
        share: What is taken over of it; `start` makes it `Share.ABOVE`.
        start: This block and all below it run again, whether they completed or not.
        code: Which text of the block files and of the project's modules runs; what a run did not keep is today's.
        trigger: Who asks; a run of the notebook stays one, so that its blocks see the same `env`.
        request_id: As in `NewRun`.

    Raises:
        RunNotFoundError: There is no such run. [SB-RUN-001]
        RunNotEndedError: It has not ended; cancel it or wait. [SB-RUN-060]
    """
    run = ctx.store.run(run_id)
    if not run.status.is_terminal:
        raise _not_ended(ctx, run)
    if start is not None:
        share = Share.ABOVE
    return NewRun(
        project=run.project,
        pipeline=run.pipeline,
        trigger=run.trigger if run.trigger == "notebook" else trigger,
        selection=run.selection,
        variables=run.variables,
        request_id=request_id,
        again=Again(run_id, share, code, start),
        execution_date=run.execution_date,
    )


def _not_ended(ctx: Context, run: PipelineRun) -> RunNotEndedError:
    what = f"Run {run.id} is {run.status.value}"
    hint = f"wait for its end, or cancel it: spellbook cancel {run.id}."
    owner = next((found.owner for found in ctx.store.unended_runs() if found.id == run.id), None)
    if not engines.status(ctx).is_running and (owner is None or not is_alive(owner)):
        what += ", and the process that carried it is gone"
        hint = "start the page or `spellbook engine`: either goes on with it where it stopped, and ends it as begun."
    return RunNotEndedError(
        f"{what}; only an ended run can be repeated.",
        hint=hint,
        project=run.project,
        pipeline=run.pipeline,
        run=run.id,
    )


def retry(
    ctx: Context,
    run_id: RunId,
    *,
    start: BlockUuid | None = None,
    code: Code = Code.NOW,
    trigger: str = "manual",
    request_id: str | None = None,
) -> PipelineRun:
    """Queue a run of what did not complete in an earlier run, or of `start` and all below it; else as `runs.start`.

    With today's code, a block that was edited since runs too, with all below it.

    Raises:
        NothingToRunError: Every block completed. [SB-RUN-006]
        NotFoundError: `start` is not in the run. [SB-SYS-002]
        RunNotEndedError: The run has not ended. [SB-RUN-060]
    """
    return runs.start(ctx, repeat_of(ctx, run_id, start=start, code=code, trigger=trigger, request_id=request_id))


def run_again(
    ctx: Context, run_id: RunId, *, code: Code, trigger: str = "manual", request_id: str | None = None
) -> PipelineRun:
    """Queue a run of everything that an earlier run executed, as it was or with today's code; shares nothing of it.

    As in any run, a block whose inputs, code and settings are unchanged is reused, unless the earlier run was a fresh
    one.
    """
    new = repeat_of(ctx, run_id, share=Share.NOTHING, code=code, trigger=trigger, request_id=request_id)
    return runs.start(ctx, new)
