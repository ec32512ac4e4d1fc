"""A pipeline's settings as people edit them: how many of its runs and blocks go at once, and their priority."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from spellbook_core.errors import SpellbookError
from spellbook_core.model.concurrency import AWAITED, IfRunning
from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.model.run import NewRun
from spellbook_core.model.values import YamlValue
from spellbook_core.project.concurrency import concurrency_of
from spellbook_core.project.layout import HasWorkspace
from spellbook_core.project.metadata import PipelineFile
from spellbook_core.services import pipelines

_LIMITS = {
    "block_limit": "block_run_limit",
    "run_limit": "pipeline_run_limit_all_triggers",
    "trigger_run_limit": "pipeline_run_limit",
}
_REACHED, _POLICY = "on_pipeline_run_limit_reached", "if_running"
_OF_MAGE = {IfRunning.QUEUE: "wait", IfRunning.SKIP: "skip"}


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What `concurrency_config` says; None for a limit that it leaves out.

    Attributes:
        block_limit: Blocks of one run at once, from 1.
        run_limit: Its runs at once, however they were started, from 1.
        trigger_run_limit: Its runs at once that were started in the same way, from 1.
        if_running: What becomes of a run beyond a limit.
        priority: Of its runs that name none.
    """

    block_limit: int | None = None
    run_limit: int | None = None
    trigger_run_limit: int | None = None
    if_running: IfRunning = IfRunning.QUEUE
    priority: int = 0


def settings_of(pipeline: Pipeline) -> PipelineSettings:
    """Return what a pipeline's file says.

    Raises:
        BadConcurrencyError: It has a value that it cannot have, because of which its runs fail. [SB-PIP-050]
    """
    config = pipeline.concurrency_config
    found = concurrency_of({"concurrency_config": config})
    limits = {name: value if isinstance(value := config.get(key), int) else None for name, key in _LIMITS.items()}
    return PipelineSettings(**limits, if_running=found.if_running, priority=found.priority)


def save_settings(
    ctx: HasWorkspace, project: ProjectName, pipeline: PipelineUuid, wanted: PipelineSettings
) -> Mapping[str, YamlValue]:
    """Write a pipeline's settings into its file and return what they were, for `restore`; other keys stay.

    Raises:
        BadConcurrencyError: The engine would not take a value; nothing was written. [SB-PIP-050]
    """
    before: dict[str, YamlValue] = {}

    def change(found: Pipeline) -> Pipeline:
        before.clear()
        before.update(found.concurrency_config)
        config = _with(found.concurrency_config, wanted)
        concurrency_of({"concurrency_config": config})
        return replace(found, concurrency_config=config)

    pipelines.edit(ctx, project, pipeline, change)
    return before


def restore(
    ctx: HasWorkspace, project: ProjectName, pipeline: PipelineUuid, before: Mapping[str, YamlValue]
) -> PipelineFile:
    """Give a pipeline the settings back that `save_settings` returned."""
    return pipelines.edit(ctx, project, pipeline, lambda found: replace(found, concurrency_config=dict(before)))


def with_priority(ctx: HasWorkspace, new: NewRun) -> NewRun:
    """Return the run with its pipeline's priority when it names none; a click in the notebook keeps its own order.

    What cannot be read gives none: the run fails with the reason where its limits are read.
    """
    if new.priority or new.trigger == AWAITED:
        return new
    with suppress(SpellbookError, OSError):
        loaded = pipelines.load(ctx, new.project, new.pipeline)
        return replace(new, priority=concurrency_of(loaded.document).priority)
    return new


def _with(config: Mapping[str, YamlValue], wanted: PipelineSettings) -> dict[str, YamlValue]:
    """Return the configuration that says this, in mage's words where mage has them."""
    own = {*_LIMITS.values(), _POLICY, "priority"}
    found = {key: value for key, value in config.items() if key not in own}
    for name, key in _LIMITS.items():
        limit = getattr(wanted, name)
        if limit is not None:
            found[key] = limit
    word = _OF_MAGE.get(wanted.if_running)
    if word is None:
        found[_POLICY] = wanted.if_running.value
    elif word != "wait" or _REACHED in found:
        found[_REACHED] = word
    if wanted.priority:
        found["priority"] = wanted.priority
    return found
