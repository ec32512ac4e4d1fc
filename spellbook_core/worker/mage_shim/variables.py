"""A pipeline's variables and stored outputs, by mage's functions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from spellbook_core.errors import NotFoundError
from spellbook_core.model.naming import BlockUuid, PipelineUuid
from spellbook_core.model.run import Status
from spellbook_core.runs.records import RunFilter
from spellbook_core.worker.mage_shim import place

_MOST_RUNS = 10_000
"""Most runs looked at where all are asked for."""

_SINGLE_RUNS = 200
"""Runs of single blocks that may lie between those of the whole pipeline."""

_TRIES = 5
"""Tries of an edit, when someone else saves the pipeline's file in between each time."""


def outputs_of(pipeline_uuid: str, block_uuid: str) -> list[Any]:
    """Return the values that a block's newest completed run stored.

    Raises:
        NotFoundError: Nothing is stored. [SB-SYS-002]
    """
    from spellbook_core.artifacts.local import LocalArtifactStore

    task = place.current()
    store = place.open_store()
    try:
        found = store.latest_outputs(task.project, PipelineUuid(pipeline_uuid)).get(BlockUuid(block_uuid))
    finally:
        store.close()
    if found is None:
        raise NotFoundError(
            f"Block '{block_uuid}' of pipeline '{pipeline_uuid}' has no stored output.",
            hint="run it first.",
            pipeline=pipeline_uuid,
            block=block_uuid,
        )
    artifacts = LocalArtifactStore(place.workspace().artifacts_dir)
    return [artifacts.get(output.artifact) for output in found.outputs]


def outputs_of_runs(pipeline_uuid: str, block_uuid: str, count: int) -> list[Any]:
    """Return what the block stored in the newest completed runs of the pipeline, newest run first.

    Args:
        pipeline_uuid: Of this project.
        block_uuid: A block of it.
        count: How many runs; 0 for all that are kept.
    """
    from spellbook_core.artifacts.local import LocalArtifactStore

    artifacts = LocalArtifactStore(place.workspace().artifacts_dir)
    where = RunFilter(place.current().project, PipelineUuid(pipeline_uuid), (Status.COMPLETED,), ())
    values: list[Any] = []
    store = place.open_store()
    try:
        found = store.runs(where, offset=0, limit=count + _SINGLE_RUNS if count else _MOST_RUNS).runs
        whole = [run for run in found if run.selection.blocks is None][: count or None]
        for run in whole:
            blocks = [each for each in store.block_runs(run.id) if each.block == block_uuid]
            values += [artifacts.get(output.artifact) for each in blocks for output in each.outputs]
    finally:
        store.close()
    return values


def get_variable(pipeline_uuid: str, block_uuid: str, variable_uuid: str = "output_0", **options: object) -> Any:
    """Return one stored output of a block, e.g. `output_0`: that of its newest completed run."""
    values = outputs_of(pipeline_uuid, block_uuid)
    number = variable_uuid.removeprefix("output_")
    if variable_uuid == "df" and values:  # how old mage called the first
        return values[0]
    if not number.isdigit() or int(number) >= len(values):
        names = ", ".join(f"output_{index}" for index in range(len(values))) or "none"
        raise NotFoundError(f"Block '{block_uuid}' has no output '{variable_uuid}'.", hint=f"it has: {names}.")
    return values[int(number)]


def get_variables(pipeline_uuid: str, block_uuid: str | None = None, **options: object) -> dict[str, Any]:
    """Return all stored outputs of a block by name; without a block the pipeline's variables."""
    if block_uuid is None:
        return get_global_variables(pipeline_uuid)
    return {f"output_{index}": value for index, value in enumerate(outputs_of(pipeline_uuid, block_uuid))}


def get_global_variables(pipeline_uuid: str, **options: object) -> dict[str, Any]:
    """Return a pipeline's variables as its file has them."""
    return dict(_file(pipeline_uuid).pipeline.variables)


def get_global_variable(pipeline_uuid: str, key: str, **options: object) -> Any:
    """Return one variable of a pipeline, None when it has none of that name."""
    return get_global_variables(pipeline_uuid).get(key)


def set_global_variable(pipeline_uuid: str, key: str, value: Any, **options: object) -> None:
    """Write a variable into a pipeline's file; runs that began before keep the old value."""
    _edit(pipeline_uuid, lambda variables: {**variables, key: value})


def delete_global_variable(pipeline_uuid: str, key: str, **options: object) -> None:
    """Remove a variable from a pipeline's file; without effect when there is none."""
    _edit(pipeline_uuid, lambda variables: {name: value for name, value in variables.items() if name != key})


def _file(pipeline_uuid: str) -> Any:
    from spellbook_core.project.metadata import load_pipeline

    return load_pipeline(place.project().pipeline_file(pipeline_uuid))


def _edit(pipeline_uuid: str, change: Any) -> None:
    from spellbook_core.errors import ChangedOnDiskError
    from spellbook_core.project.metadata import save_pipeline

    for attempt in range(_TRIES):
        file = _file(pipeline_uuid)
        changed = replace(file.pipeline, variables=change(dict(file.pipeline.variables)))
        try:
            save_pipeline(file, changed, expected_hash=file.content_hash)
        except ChangedOnDiskError:
            if attempt == _TRIES - 1:
                raise
        else:
            return
