"""A block's settings of control, as people edit them: retries, time limit, and how a sensor waits; in mage's keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

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
from spellbook_core.services import pipelines

SENSOR_KEYS = ("poll_interval", "timeout", "watch")
"""Keys of a sensor's configuration that say how it waits."""


@dataclass(frozen=True, slots=True)
class BlockSettings:
    """What a block's own entry says; None for a key that it leaves out.

    Attributes:
        retry_config: mage's keys that are set: `retries`, `delay`, `max_delay`, `exponential_backoff`.
        timeout_s: Seconds one attempt may take.
        sensor: Of a sensor: the keys of `SENSOR_KEYS` that are set.
    """

    retry_config: Mapping[str, YamlValue]
    timeout_s: float | None = None
    sensor: Mapping[str, YamlValue] | None = None


def settings_of(block: Block) -> BlockSettings:
    """Return what the entry of a block says."""
    sensor = {key: block.configuration[key] for key in SENSOR_KEYS if block.configuration.get(key) is not None}
    return BlockSettings(dict(block.retry_config), block.timeout_s, sensor if block.type == BlockType.SENSOR else None)


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
    """
    layout = ctx.workspace.project(project)

    def change(found: Pipeline) -> Pipeline:
        old = found.block(block)
        configuration = {key: value for key, value in old.configuration.items() if key not in SENSOR_KEYS}
        if settings.sensor is None:
            configuration = dict(old.configuration)
        new = replace(
            old,
            retry_config=dict(settings.retry_config),
            timeout_s=settings.timeout_s,
            configuration={**configuration, **(settings.sensor or {})},
        )
        check_control(layout, found, new)
        return pipeline_model.replace_block(found, new)

    return pipelines.edit(ctx, project, pipeline, change)
