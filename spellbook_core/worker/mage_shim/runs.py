"""Past runs, as the few classes and functions of mage's that blocks import to look at them. Read only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from spellbook_core.errors import NotFoundError
from spellbook_core.model.naming import PipelineUuid, RunId
from spellbook_core.model.run import PipelineRun as StoredRun
from spellbook_core.model.run import Status
from spellbook_core.runs.records import RunFilter
from spellbook_core.worker.mage_shim import place
from spellbook_core.worker.mage_shim.failures import TriggeredRunError, UnsupportedActionError

RECENT_HOURS = 24
"""How far `check_status` looks back when the block says nothing; mage's default."""


class _NoQuery:
    """Stands where mage has its database's query object."""

    def __getattr__(self, name: str) -> Any:
        raise UnsupportedActionError(
            f"Queries on mage's own database (.query.{name}) have no meaning here.",
            hint="use PipelineRun.recent('pipeline'), check_status(...), or `spellbook runs --json`.",
        )


@dataclass
class PipelineSchedule:
    """What started a run, by name."""

    name: str
    id: int = 0
    query = repo_query = _NoQuery()


@dataclass
class BlockRun:
    """One block of a run."""

    id: int
    block_uuid: str
    status: Status
    started_at: datetime | None = None
    completed_at: datetime | None = None
    BlockRunStatus = Status
    query = repo_query = _NoQuery()


@dataclass
class PipelineRun:
    """One run of a pipeline; `status` compares equal to mage's words.

    `is_whole` is False of a run of chosen blocks in the notebook, which mage does not count.
    """

    id: int
    pipeline_uuid: str
    status: Status
    execution_date: datetime
    variables: dict[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    pipeline_schedule_name: str = ""
    is_whole: bool = True
    PipelineRunStatus = Status
    query = repo_query = _NoQuery()

    @classmethod
    def get(cls, id: int) -> PipelineRun:
        """Return the run with this number."""
        store = place.open_store()
        try:
            return _model(store.run(RunId(id)))
        finally:
            store.close()

    @classmethod
    def recent(cls, pipeline_uuid: str, limit: int = 20) -> list[PipelineRun]:
        """Return the newest runs of a pipeline of this project, newest first."""
        store = place.open_store()
        try:
            where = RunFilter(place.current().project, PipelineUuid(pipeline_uuid), (), ())
            return [_model(run) for run in store.runs(where, offset=0, limit=limit).runs]
        finally:
            store.close()

    def refresh(self) -> PipelineRun:
        """Read the run's state again."""
        vars(self).update(vars(PipelineRun.get(self.id)))
        return self

    @property
    def block_runs(self) -> list[BlockRun]:
        """The run's blocks as they are now."""
        store = place.open_store()
        try:
            found = store.block_runs(RunId(self.id))
        finally:
            store.close()
        return [BlockRun(run.id, run.block, run.status, run.started_at, run.ended_at) for run in found]

    @property
    def pipeline_schedule(self) -> PipelineSchedule:
        """What started the run."""
        return PipelineSchedule(self.pipeline_schedule_name)


def _model(run: StoredRun) -> PipelineRun:
    return PipelineRun(
        id=run.id,
        pipeline_uuid=run.pipeline,
        status=run.status,
        execution_date=run.execution_date,
        variables=dict(run.variables),
        created_at=run.created_at,
        started_at=run.started_at,
        completed_at=run.ended_at,
        pipeline_schedule_name=run.trigger,
        is_whole=run.selection.blocks is None,
    )


def check_status(
    pipeline_uuid: str,
    execution_date: datetime,
    block_uuid: str | None = None,
    hours: float | None = None,
    **options: object,
) -> bool:
    """Return whether the pipeline, or one block of it, completed in its newest run of the `hours` up to a date.

    Raises:
        NotFoundError: There is no such pipeline or block. [SB-SYS-002]
        TriggeredRunError: It failed or was cancelled in that run, so that waiting has no end. [SB-WRK-035]
    """
    from spellbook_core.project.metadata import load_pipeline

    layout = place.project()
    if pipeline_uuid not in layout.pipeline_uuids():
        known = ", ".join(layout.pipeline_uuids()[:12])
        raise NotFoundError(f"There is no pipeline '{pipeline_uuid}'.", hint=f"there are: {known}.")
    if block_uuid:
        load_pipeline(layout.pipeline_file(pipeline_uuid)).pipeline.block(block_uuid)
    until = execution_date if execution_date.tzinfo else execution_date.replace(tzinfo=UTC)
    since = until - timedelta(hours=RECENT_HOURS if hours is None else hours)
    runs = [each for each in PipelineRun.recent(pipeline_uuid, 200) if each.is_whole]
    runs = [run for run in runs if since <= run.execution_date <= until]
    if not runs:
        return False
    newest = max(runs, key=lambda run: run.execution_date)
    status = newest.status
    if block_uuid:
        found = [each.status for each in newest.block_runs if each.block_uuid == block_uuid]
        status = found[0] if found else Status.INITIAL
    if status in {Status.FAILED, Status.CANCELLED}:
        what = f"Block '{block_uuid}' of pipeline" if block_uuid else "Pipeline"
        raise TriggeredRunError(
            f"{what} '{pipeline_uuid}' ended as {status.value} in run {newest.id}: there is nothing to wait for.",
            hint=f"look at it with `spellbook logs {newest.id}`, and run it again first.",
            run=newest.id,
        )
    return status is Status.COMPLETED
