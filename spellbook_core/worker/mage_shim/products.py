"""Outputs of other pipelines: mage's global data products and references to a block elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from spellbook_core.errors import NotFoundError
from spellbook_core.worker.mage_shim import place
from spellbook_core.worker.mage_shim.variables import outputs_of


@dataclass
class RemoteBlock:
    """A block of a pipeline of this project, as a value that another block may return."""

    block_uuid: str
    pipeline_uuid: str
    repo_path: str = ""
    execution_partition: str | None = None

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
        """Return every entry of the file; none when there is no file."""
        import yaml

        path = Path(place.repo_path()) / "global_data_products.yaml"
        document = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
        names = cls.__dataclass_fields__
        return [
            cls(
                **{
                    "uuid": uuid,
                    **{name: value for name, value in entry.items() if name in names and value is not None},
                }
            )
            for uuid, entry in (document or {}).items()
        ]

    @classmethod
    def get(cls, uuid: str, **options: object) -> GlobalDataProduct:
        """Return the entry named `uuid`.

        Raises:
            NotFoundError: Names the entries there are. [SB-SYS-002]
        """
        known = cls.load_all()
        for product in known:
            if product.uuid == uuid:
                return product
        names = ", ".join(product.uuid for product in known) or "none"
        raise NotFoundError(f"There is no global data product '{uuid}'.", hint=f"there are: {names}.")

    def get_outputs(self, **options: object) -> dict[str, list[Any]]:
        """Return block -> stored outputs, for the blocks that the entry's settings name, else for all of them."""
        from spellbook_core.project.metadata import load_pipeline

        pipeline = load_pipeline(place.project().pipeline_file(self.object_uuid)).pipeline
        wanted = [uuid for uuid in self.settings if pipeline.has(uuid)] or [block.uuid for block in pipeline.blocks]
        return {uuid: outputs_of(self.object_uuid, uuid) for uuid in wanted}
