"""Runs that blocks wait for: noted in the attempt's folder, and refused where the waiting could never end.

An empty file `awaits.<run>` stands there while the block waits. It belongs to the attempt, so it counts for as long as
the run store says that the attempt is under way, whichever engine carries it.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from spellbook_core.model.awaiting import LimitsOf, Unended, circle
from spellbook_core.model.concurrency import Concurrency, IfRunning, is_held
from spellbook_core.model.naming import PipelineUuid, ProjectName, RunId
from spellbook_core.model.run import Status
from spellbook_core.settings import load_settings
from spellbook_core.worker.mage_shim import place
from spellbook_core.worker.mage_shim.failures import TriggeredRunError

if TYPE_CHECKING:
    from spellbook_core.model.run import PipelineRun
    from spellbook_core.runs.store import RunStore

ABOVE = "SPELLBOOK_AWAITED_BY"
"""Tells a command that a block starts, where no engine leads, which runs wait for it."""

_NOTE = "awaits."
_TO_BE = RunId(0)
"""Stands for a run that a command will make."""


def begin(store: RunStore, run: PipelineRun) -> None:
    """Note that this block waits for a queued run, in the transaction in which that is made.

    So of two blocks that would wait for each other, the second one sees the first.

    Raises:
        TriggeredRunError: The waiting could never end; the caller takes back what it stored. [SB-WRK-035]
    """
    note = _folder() / f"{_NOTE}{run.id}"
    note.touch()
    try:
        unended, waiting = _look(store)
        _refuse_circle(run.id, run.pipeline, unended, _limits)
        _refuse_without_place(waiting, run)
    except BaseException:  # also KeyboardInterrupt: the run will not be there
        note.unlink(missing_ok=True)
        raise


def end(run_id: int) -> None:
    """Note that this block waits for a run no longer."""
    with suppress(OSError):
        (_folder() / f"{_NOTE}{run_id}").unlink(missing_ok=True)


def variables_below(pipeline: PipelineUuid) -> dict[str, str]:
    """Return the environment variables of a command that carries a run of `pipeline`, which this block waits for.

    Raises:
        TriggeredRunError: A run of it is under way that waits for this block. Its command would begin another one all
            the same, and that yet another, without end. [SB-WRK-035]
    """
    store = place.open_store()
    try:
        unended, _ = _look(store)
    finally:
        store.close()
    task = place.current()
    if own := unended.get(_own()):
        unended[_own()] = replace(own, awaits=own.awaits | {_TO_BE})
        unended[_TO_BE] = Unended(_TO_BE, task.project, pipeline, "cli", has_begun=False)
        _refuse_circle(_TO_BE, pipeline, unended, lambda *of: replace(_limits(*of), if_running=IfRunning.QUEUE))
    return {**os.environ, ABOVE: ",".join(map(str, [*_above(), _own()]))}


def _own() -> RunId:
    return RunId(place.current().run_id)


def _folder() -> Path:
    task = place.current()
    return place.workspace().attempt_dir(_own(), task.block_run_id, task.attempt)


def _look(store: RunStore) -> tuple[dict[RunId, Unended], Counter[ProjectName]]:
    """Return the runs that have not ended, and how many blocks of each project wait for a run in a place of the engine.

    None of them counts where this block itself has no such place: then they leave it to others.
    """
    found = {run.id: run for run in store.unended_runs()}
    awaited: dict[RunId, set[RunId]] = defaultdict(set)
    waiting: Counter[ProjectName] = Counter()
    for run_id, block_run_id, attempt in store.upkeep.running_attempts():
        if run_id not in found:
            continue  # it has just begun
        runs = {number for number in _noted(run_id, block_run_id, attempt) if number in found}
        awaited[run_id] |= runs
        if runs and found[run_id].owner is None:
            waiting[found[run_id].project] += 1
    for run_id, below in pairwise([*_above(), _own()]):
        awaited[run_id].add(below)
    if _own() in found and found[_own()].owner is not None:
        waiting.clear()
    unended = {
        run.id: Unended(
            run.id,
            run.project,
            run.pipeline,
            run.trigger,
            has_begun=run.status is not Status.QUEUED,
            counts=is_held(run.trigger, run.selection),
            is_ending=run.is_cancelled,
            awaits=frozenset(awaited[run.id]),
        )
        for run in found.values()
    }
    return unended, waiting


def _above() -> list[RunId]:
    """Return the runs whose blocks wait for the command that carries this one, outermost first."""
    return [RunId(int(number)) for number in os.environ.get(ABOVE, "").split(",") if number.isdecimal()]


def _refuse_circle(new: RunId, pipeline: PipelineUuid, unended: Mapping[RunId, Unended], limits: LimitsOf) -> None:
    if closed := circle(new, unended.values(), limits):
        raise _circular(closed, new, pipeline)


def _noted(run_id: RunId, block_run_id: int, attempt: int) -> Iterator[RunId]:
    with suppress(OSError):  # the whole of a block that runs once per item has no folder
        for name in os.listdir(place.workspace().attempt_dir(run_id, block_run_id, attempt)):
            number = name.removeprefix(_NOTE)
            if number != name and number.isascii() and number.isdecimal():
                yield RunId(int(number))


def _limits(project: ProjectName, pipeline: PipelineUuid) -> Concurrency:
    """Return the limits on the runs of a pipeline; where they cannot be read, none: its runs fail with the reason."""
    path = place.workspace().project(project).pipeline_file(pipeline)
    try:
        from spellbook_core.errors import SpellbookError
        from spellbook_core.project.concurrency import concurrency_of
        from spellbook_core.project.metadata import load_pipeline
    except ImportError:  # a Python of the project's own without the packages that read a pipeline's file
        with suppress(OSError):
            return Concurrency(run_limit=None) if b"concurrency_config" in path.read_bytes() else Concurrency()
        return Concurrency(run_limit=None)
    try:
        return concurrency_of(load_pipeline(path).document)
    except (SpellbookError, OSError):
        return Concurrency(run_limit=None)


def _circular(closed: list[Unended], new: RunId, pipeline: PipelineUuid) -> TriggeredRunError:
    own, ring, told = place.current().pipeline, [*closed, closed[0]], [*closed, closed[0]]
    if closed[0].id == new:  # the block knows by itself that it would wait for the new run
        ring, told = ring[1:], closed
    if len(closed) == 2 and pipeline == own:
        message = f"A block of pipeline '{pipeline}' cannot wait for a run of it, which begins when this one ends."
    else:
        steps = ", ".join(_step(run, other, new) for run, other in pairwise(told))
        message = (
            f"A block of pipeline '{own}' cannot wait for a run of '{pipeline}', which would wait for it: {steps}."
        )
    return TriggeredRunError(
        message,
        hint="leave out check_status, or write 'if_running: allow' under concurrency_config of the pipeline.",
        pipeline=pipeline,
        circle=" → ".join(f"'{run.pipeline}'" for run in ring),
    )


def _step(run: Unended, other: Unended, new: RunId) -> str:
    def named(each: Unended) -> str:
        return f"the new run of '{each.pipeline}'" if each.id == new else f"run {each.id} of '{each.pipeline}'"

    return f"{named(run)} waits for {named(other)}" if run.has_begun else f"{named(run)} begins after {named(other)}"


def _refuse_without_place(waiting: Counter[ProjectName], new: PipelineRun) -> None:
    """Refuse to wait where nothing but blocks that wait would have the places; `waiting` counts this one too."""
    places, whose = load_settings().max_parallel_blocks, "the engine (SPELLBOOK_MAX_PARALLEL_BLOCKS)"
    if waiting.total() < places:
        places, whose = _project_places() or 0, "the project (queue_config.concurrency)"
        if not places or waiting[new.project] < places:
            return
    raise TriggeredRunError(
        f"A block of pipeline '{place.current().pipeline}' cannot wait for a run of '{new.pipeline}': "
        f"{'the one place' if places == 1 else f'all {places} places'} for blocks of {whose} would be taken by blocks "
        "that wait for runs, and none could go on.",
        hint="leave out check_status, look for pipelines that trigger each other, or raise that limit.",
        pipeline=new.pipeline,
    )


def _project_places() -> int | None:
    try:
        from spellbook_core.project.concurrency import project_block_limit
    except ImportError:
        return None
    return project_block_limit(place.project())
