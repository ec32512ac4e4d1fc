"""Outputs of other pipelines: mage's global data products and references to a block elsewhere."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from spellbook_core.model.run import Status
from spellbook_core.project import data_products
from spellbook_core.worker.mage_shim import place
from spellbook_core.worker.mage_shim.failures import TriggeredRunError
from spellbook_core.worker.mage_shim.runs import PipelineRun
from spellbook_core.worker.mage_shim.triggers import trigger_pipeline
from spellbook_core.worker.mage_shim.variables import outputs_of, outputs_of_runs

_AGES = frozenset({"months", "seconds", "weeks", "years", "days", "hours", "minutes"})
_MOMENTS: Mapping[str, Callable[[datetime], int]] = {
    "day_of_month": lambda at: at.day,
    "day_of_week": lambda at: at.isoweekday() % 7,
    "day_of_year": lambda at: at.timetuple().tm_yday,
    "hour_of_day": lambda at: at.hour,
    "minute_of_hour": lambda at: at.minute,
    "month_of_year": lambda at: at.month,
    "second_of_minute": lambda at: at.second,
    "week_of_month": lambda at: (at.day + at.replace(day=1).isoweekday() % 7 - 1) // 7 + 1,
    "week_of_year": lambda at: at.isocalendar()[1],
}
"""Words of `outdated_starting_at`; Sunday is day 0."""


def _later(at: datetime, age: Mapping[str, int]) -> datetime:
    """Return the instant that is older by `age`; a month later is the same day, or the month's last one."""
    months = at.year * 12 + at.month - 1 + 12 * age.get("years", 0) + age.get("months", 0)
    year, month = divmod(months, 12)
    day = min(at.day, monthrange(year, month + 1)[1])
    plain = {name: amount for name, amount in age.items() if name not in {"years", "months"}}
    return at.replace(year=year, month=month + 1, day=day) + timedelta(**plain)


@dataclass
class RemoteBlock:
    """A block of a pipeline of this project, as a value that another block may return."""

    block_uuid: str
    execution_partition: str | None = None
    pipeline_uuid: str = ""
    repo_path: str = ""

    @classmethod
    def load(cls, **values: Any) -> RemoteBlock:
        """Return a reference; values that mage adds beyond ours are ignored."""
        return cls(**{name: value for name, value in values.items() if name in cls.__dataclass_fields__})

    def to_dict(self, **options: object) -> dict[str, Any]:
        """Return the reference as plain values."""
        return asdict(self)

    def get_outputs(self, **options: object) -> list[Any]:
        """Return what the block's newest completed run stored."""
        return outputs_of(self.pipeline_uuid, self.block_uuid)


@dataclass
class GlobalDataProduct:
    """An entry of the project's `global_data_products.yaml`."""

    uuid: str
    object_uuid: str
    object_type: str = "pipeline"
    outdated_after: Mapping[str, Any] = field(default_factory=dict)
    outdated_starting_at: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load_all(cls, *arguments: object, **options: object) -> list[GlobalDataProduct]:
        """Return the entries of the file that name a pipeline; none when there is no file."""
        entries = data_products.entries_of(place.project())
        return [cls._made(uuid, entry) for uuid, entry in entries.items() if entry.get("object_uuid")]

    @classmethod
    def get(cls, uuid: str, **options: object) -> GlobalDataProduct:
        """Return the entry named `uuid`.

        Raises:
            DataProductError: There is none, or it stands for no pipeline of this project. [SB-PRJ-021]
        """
        return cls._made(uuid, data_products.entry_of(place.project(), uuid))

    @classmethod
    def _made(cls, uuid: str, entry: Mapping[str, Any]) -> GlobalDataProduct:
        names = cls.__dataclass_fields__.keys() - {"uuid"}
        return cls(uuid, **{name: value for name, value in entry.items() if name in names and value is not None})

    def up_to_date(self, **settings: Any) -> dict[str, list[Any]]:
        """Return the outputs, after a run of the pipeline when they are outdated; what a block of that type hands on.

        Args:
            settings: The block's own `outdated_after`, `outdated_starting_at` and `settings`, over the entry's.

        Raises:
            TriggeredRunError: The run failed, or the product is this very pipeline's. [SB-WRK-035]
        """
        product = replace(self, **settings)
        if product.object_uuid == place.current().pipeline:
            raise TriggeredRunError(
                f"The data product '{self.uuid}' stands for this very pipeline.", hint="read it in another pipeline."
            )
        if product.is_outdated(datetime.now(UTC)):
            trigger_pipeline(product.object_uuid, check_status=True, error_on_failure=True)
        return product.get_outputs()

    def is_outdated(self, now: datetime) -> bool:
        """Return whether the newest completed run is too old by `outdated_after`, at a time that `..starting_at` names.

        Without a completed run it is; without `outdated_after` one that is there holds for ever, as in mage.
        """
        recent = PipelineRun.recent(self.object_uuid, 200)
        ended = [run for run in recent if run.is_whole and run.status is Status.COMPLETED]
        if not ended:
            return True
        age = {name: int(value) for name, value in self.outdated_after.items() if name in _AGES and value}
        if not age or now < _later(ended[0].execution_date, age):
            return False
        return all(
            _MOMENTS[name](now) == value for name, value in self.outdated_starting_at.items() if name in _MOMENTS
        )

    def get_outputs(self, **options: object) -> dict[str, list[Any]]:
        """Return block -> stored outputs, for the blocks that the entry's settings name, else for all of them.

        `partitions` of a block's settings is how many of the newest runs hand on theirs, 0 for all of them.
        """
        from spellbook_core.project.metadata import load_pipeline

        pipeline = load_pipeline(place.project().pipeline_file(self.object_uuid)).pipeline
        wanted = [uuid for uuid in self.settings if pipeline.has(uuid)] or [block.uuid for block in pipeline.blocks]
        counts = {uuid: _partitions(self.settings.get(uuid)) for uuid in wanted}
        return {
            uuid: outputs_of(self.object_uuid, uuid) if count == 1 else outputs_of_runs(self.object_uuid, uuid, count)
            for uuid, count in counts.items()
        }


def _partitions(settings: object) -> int:
    given = settings.get("partitions", 1) if isinstance(settings, Mapping) else 1
    return max(int(given or 0), 0)
