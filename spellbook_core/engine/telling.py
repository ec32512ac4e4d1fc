"""What the runner tells: events without data, which send who listens to the run store, and why a run cannot go on."""

from __future__ import annotations

from collections.abc import Callable

from spellbook_core.engine.active import ActiveBlock, ActiveRun
from spellbook_core.errors import SpellbookError, StorageError
from spellbook_core.model.naming import RunId
from spellbook_core.model.outcome import ErrorReport
from spellbook_core.model.run import PipelineRun, Status
from spellbook_core.model.values import JsonObject
from spellbook_core.runs.store import RunNotFoundError, RunStore


class Telling:
    """Publishes the events of runs; call it after what it tells is stored.

    Args:
        store: Where a run's status is read.
        publish: Called with each event.
    """

    def __init__(self, store: RunStore, publish: Callable[[JsonObject], None]) -> None:
        self._store = store
        self._publish = publish

    def run(self, run_id: RunId) -> None:
        """Tell the status of a run; nothing of one that is no longer stored."""
        try:
            run = self._store.run(run_id)
        except RunNotFoundError:
            return
        self._status(run, run.status)

    def begun(self, run: ActiveRun) -> None:
        """Tell that a run is under way."""
        self._status(run.run, Status.RUNNING)

    def _status(self, run: PipelineRun, status: Status) -> None:
        event: JsonObject = {"kind": "run", "run_id": run.id, "project": run.project, "pipeline": run.pipeline}
        self._publish({**event, "status": status.value})

    def block(self, run: ActiveRun, block: ActiveBlock, status: Status) -> None:
        """Tell the status of a block run."""
        self._publish({"kind": "block_run", **_place(run, block), "status": status.value})

    def progress(self, run: ActiveRun, block: ActiveBlock, what: str) -> None:
        """Tell that there is more to read of a block run: `log` or `metric`."""
        self._publish({"kind": what, **_place(run, block)})


def _place(run: ActiveRun, block: ActiveBlock) -> JsonObject:
    return {
        "run_id": run.run.id,
        "project": run.run.project,
        "pipeline": run.run.pipeline,
        "block": block.block,
        "block_run_id": block.id,
    }


class RunnerFaultError(SpellbookError, RuntimeError):
    """The engine itself failed on a run: our fault. The other runs go on."""

    code = "SB-RUN-062"


def report(error: Exception) -> ErrorReport:
    """Return why a run cannot go on, for its page."""
    if isinstance(error, SpellbookError):
        return ErrorReport.from_json(error.to_dict())
    shown: SpellbookError
    if isinstance(error, OSError):
        shown = StorageError(f"The run cannot go on: {error}.", hint="look at the disk and the folder's permissions.")
    else:
        cause = f"{type(error).__name__}: {error}"
        shown = RunnerFaultError(f"The engine failed on this run: {cause}.", hint="report it with the engine's log.")
    return ErrorReport.from_json(shown.to_dict())
