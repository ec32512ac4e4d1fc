"""A block's settings as people edit them: retries, limits, environment, and how a sensor waits; in mage's keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from spellbook_core.engine.control import check_control
from spellbook_core.model import pipeline as pipeline_model
from spellbook_core.model.block import Block, BlockType
from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.model.retry import RetryPolicy, merged
from spellbook_core.model.values import YamlValue
from spellbook_core.project.layout import HasWorkspace
from spellbook_core.project.metadata import PipelineFile
from spellbook_core.project.retries import project_retry_config
from spellbook_core.project.secrets import is_secret_name
from spellbook_core.services import pipelines
from spellbook_core.services.sql_settings import sql_settings_of, with_sql_settings
from spellbook_core.worker import environment, memory

SENSOR_KEYS = ("poll_interval", "timeout", "watch")
"""Keys of a sensor's configuration that say how it waits."""


PROCESS_KEYS = (memory.KEY, environment.KEY)
"""Keys of a block's configuration that say what its process gets."""


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What a block's process gets: `memory_limit` as it is written, empty for none, and environment variables."""

    memory_limit: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BlockSettings:
    """What a block's own entry says; None for a key that it leaves out.

    Attributes:
        retry_config: mage's keys that are set: `retries`, `delay`, `max_delay`, `exponential_backoff`.
        timeout_s: Seconds one attempt may take.
        sensor: Of a sensor: the keys of `SENSOR_KEYS` that are set.
        process: None where the entry says nothing of it; saved as None, what it says stays.
        sql: Of a SQL block: the keys of `sql_settings.KEYS` that are set; saved as None, what it says stays.
    """

    retry_config: Mapping[str, YamlValue]
    timeout_s: float | None = None
    sensor: Mapping[str, YamlValue] | None = None
    process: ProcessSettings | None = None
    sql: Mapping[str, YamlValue] | None = None


def settings_of(block: Block) -> BlockSettings:
    """Return what the entry of a block says."""
    sensor = {key: block.configuration[key] for key in SENSOR_KEYS if block.configuration.get(key) is not None}
    return BlockSettings(
        dict(block.retry_config),
        block.timeout_s,
        sensor if block.type == BlockType.SENSOR else None,
        _process(block.configuration),
        sql_settings_of(block),
    )


def _process(configuration: Mapping[str, YamlValue]) -> ProcessSettings | None:
    """Return what a configuration says of the process; an `env` that cannot be used is shown as none."""
    limit = configuration.get(memory.KEY)
    try:
        variables = environment.entries_of(configuration)
    except environment.BadEnvironmentError:
        variables = {}
    return ProcessSettings("" if limit is None else str(limit), variables) if limit is not None or variables else None


def _with_process(configuration: Mapping[str, YamlValue], wanted: ProcessSettings) -> dict[str, YamlValue]:
    found = {key: value for key, value in configuration.items() if key not in PROCESS_KEYS}
    if wanted.memory_limit:
        memory.read_size(wanted.memory_limit)
        found[memory.KEY] = wanted.memory_limit
    if wanted.env:
        found[environment.KEY] = dict(wanted.env)
        for name, value in environment.entries_of(found).items():
            if is_secret_name(name) and value and "{{" not in value:
                raise environment.BadEnvironmentError(
                    f"The value of {name} would be readable in the pipeline's file and in every run's record.",
                    hint=f"keep it as a secret on the Settings screen; write {name}={{{{ secret('{name}') }}}} here.",
                )
    return found


def inherited_retries(ctx: HasWorkspace, project: ProjectName, pipeline: Pipeline) -> RetryPolicy:
    """Return what a block retries that sets nothing itself: the pipeline's `retry_config` over the project's.

    Raises:
        BadRetryConfigError: One of them has a value that is no number. [SB-RUN-030]
    """
    return merged([project_retry_config(ctx.workspace.project(project)), pipeline.retry_config])


def save_settings(
    ctx: HasWorkspace, project: ProjectName, pipeline: PipelineUuid, block: str, settings: BlockSettings
) -> PipelineFile:
    """Write a block's settings into its pipeline's file; keys of other features stay as they are.

    Raises:
        BadRetryConfigError: A number is none, or negative; nothing was written. [SB-RUN-030]
        BadSensorSettingError: A sensor cannot wait like this; nothing was written. [SB-RUN-031]
        BadMemoryLimitError: The limit is no size; nothing was written. [SB-WRK-050]
        BadEnvironmentError: A name is none of a variable, or a secret is written out; nothing was written. [SB-WRK-052]
        BadSqlSettingError: A SQL block's database or policy is not known; nothing was written. [SB-PRJ-041]
    """
    layout = ctx.workspace.project(project)

    def change(found: Pipeline) -> Pipeline:
        old = found.block(block)
        configuration = {key: value for key, value in old.configuration.items() if key not in SENSOR_KEYS}
        if settings.sensor is None:
            configuration = dict(old.configuration)
        if settings.process is not None:
            configuration = _with_process(configuration, settings.process)
        if settings.sql is not None:
            configuration = with_sql_settings(configuration, settings.sql)
        new = replace(
            old,
            retry_config=dict(settings.retry_config),
            timeout_s=settings.timeout_s,
            configuration={**configuration, **(settings.sensor or {})},
        )
        check_control(layout.name, project_retry_config(layout), found, new)
        return pipeline_model.replace_block(found, new)

    return pipelines.edit(ctx, project, pipeline, change)
