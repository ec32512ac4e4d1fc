"""A block: one file with one decorated function, as a pipeline lists it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.values import YamlValue


class BlockType(StrEnum):
    """The block types that mage writes, unchanged. A file may hold others: `Block.type` is plain text."""

    DATA_LOADER = "data_loader"
    TRANSFORMER = "transformer"
    CUSTOM = "custom"
    DATA_EXPORTER = "data_exporter"
    SENSOR = "sensor"
    CONDITIONAL = "conditional"
    CALLBACK = "callback"
    SCRATCHPAD = "scratchpad"
    MARKDOWN = "markdown"
    CHART = "chart"
    EXTENSION = "extension"
    GLOBAL_DATA_PRODUCT = "global_data_product"
    DBT = "dbt"


RUNNABLE_TYPES = frozenset(
    {
        *(BlockType.DATA_LOADER, BlockType.TRANSFORMER, BlockType.CUSTOM, BlockType.DATA_EXPORTER, BlockType.SENSOR),
        BlockType.GLOBAL_DATA_PRODUCT,
    }
)
"""Types that take part in a pipeline run as blocks of its graph; the others are drawn and kept."""

FILELESS_TYPES = frozenset({BlockType.GLOBAL_DATA_PRODUCT})
"""Types whose settings say all: they have no file of their own."""

ADD_ON_TYPES = frozenset({BlockType.CONDITIONAL, BlockType.CALLBACK})
"""Types that run because of the block they hang on."""

SHELL_LANGUAGES = frozenset({"shell", "bash"})
"""Two words for the same: a script that bash runs. Ours; mage has no such block."""

RUNNABLE_LANGUAGES = frozenset({"python", "sql"}) | SHELL_LANGUAGES
"""Languages that run today; sensors and what hangs on other blocks are Python only."""

_IN_EVERY_LANGUAGE = frozenset(
    {BlockType.DATA_LOADER, BlockType.TRANSFORMER, BlockType.CUSTOM, BlockType.DATA_EXPORTER}
)


@dataclass(frozen=True, slots=True)
class Block:
    """One entry of a pipeline's `blocks`.

    Attributes:
        uuid: The stable name; the file's stem, with a folder in front where it lives in one.
        name: What the person sees; may differ from the uuid.
        type: One of `BlockType`, or a newer one that is only drawn.
        language: `python`, `sql`, `shell`, `yaml`, `markdown` or `r`. Old files leave it out: python.
        upstream_blocks: Direct parents; their order is the order of positional arguments.
        configuration: The block's own settings; `file_source.path` names the file where it is not the default one.
        color: mage's colour name of custom blocks.
        timeout_s: Seconds one attempt may take; None for no limit.
        retry_config: As the file has it.
        replicated_block: The block whose code this one shares.
    """

    uuid: BlockUuid
    name: str
    type: str
    language: str = "python"
    upstream_blocks: tuple[BlockUuid, ...] = ()
    configuration: Mapping[str, YamlValue] = field(default_factory=dict)
    color: str | None = None
    timeout_s: float | None = None
    retry_config: Mapping[str, YamlValue] = field(default_factory=dict)
    replicated_block: BlockUuid | None = None

    @property
    def is_runnable(self) -> bool:
        """Whether a pipeline run executes this block."""
        if self.language not in RUNNABLE_LANGUAGES:
            return False
        return self.type in (RUNNABLE_TYPES if self.language == "python" else _IN_EVERY_LANGUAGE)

    @property
    def runs_alone(self) -> bool:
        """Whether this is a scratchpad: run from its card, never part of a pipeline run, handing nothing on."""
        return self.type == BlockType.SCRATCHPAD and self.language in RUNNABLE_LANGUAGES

    @property
    def is_dynamic(self) -> bool:
        """Whether its children run once per item of its output."""
        return is_dynamic(self.configuration)

    @property
    def reduces_output(self) -> bool:
        """Whether its children get the outputs of all its runs as one list, instead of running once per item too."""
        return _is_true(self.configuration.get("reduce_output"))


def is_dynamic(configuration: Mapping[str, YamlValue]) -> bool:
    """Return whether a block of this configuration hands each item of its output to a child of its own."""
    given = configuration.get("dynamic")
    return _is_true(given.get("parent", True) if isinstance(given, Mapping) else given)


def _is_true(given: YamlValue) -> bool:
    return given is True or str(given).lower() == "true"
