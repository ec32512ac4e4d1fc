"""What a block's files say about running it: retries, how a sensor waits, reuse; checked before a run begins."""

from __future__ import annotations

from collections.abc import Mapping

from spellbook_core.engine.policy import BadCacheSettingError, policy_of
from spellbook_core.engine.sensing import BadSensorSettingError, sensor_policy
from spellbook_core.model.block import Block, BlockType
from spellbook_core.model.naming import ProjectName
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.model.retry import BadRetryConfigError, RetryPolicy, merged
from spellbook_core.model.values import YamlValue


def retry_policy(of_project: Mapping[str, YamlValue], pipeline: Pipeline, block: Block) -> RetryPolicy:
    """Return what follows a failed attempt: the block's `retry_config`, over the pipeline's, over the project's.

    A callback has its own only: whoever has all blocks retried does not want to hear of each end several times.

    Args:
        of_project: Of `project_retry_config`.
        pipeline: Of the block.
        block: Any block.

    Raises:
        BadRetryConfigError: A value is no number, or is negative. [SB-RUN-030]
    """
    if block.type == BlockType.CALLBACK:
        return merged([block.retry_config])
    return merged([of_project, pipeline.retry_config, block.retry_config])


def check_control(project: ProjectName, of_project: Mapping[str, YamlValue], pipeline: Pipeline, block: Block) -> None:
    """Refuse settings of a block that could not be heeded while it runs; see `retry_policy`.

    Raises:
        BadRetryConfigError: Of its retries; names the block. [SB-RUN-030]
        BadSensorSettingError: Of a sensor; names the block. [SB-RUN-031]
        BadCacheSettingError: Of its reuse; names the block. [SB-RUN-020]
    """
    try:
        retry_policy(of_project, pipeline, block)
        policy_of(block.type, block.configuration, block.language)
        if block.type == BlockType.SENSOR:
            sensor_policy(block.configuration)
    except (BadRetryConfigError, BadSensorSettingError, BadCacheSettingError) as wrong:
        raise type(wrong)(
            f"Block '{block.uuid}': {wrong.message}",
            hint=wrong.hint,
            project=project,
            pipeline=pipeline.uuid,
            block=block.uuid,
        ) from wrong
