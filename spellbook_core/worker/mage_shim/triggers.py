"""`trigger_pipeline`: start another pipeline of the project from a block, and wait for it if asked."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from spellbook_core.errors import NotFoundError
from spellbook_core.model.naming import PipelineUuid, RunId
from spellbook_core.model.run import NewRun, Status
from spellbook_core.worker import boot
from spellbook_core.worker.mage_shim import awaiting, place
from spellbook_core.worker.mage_shim.failures import TriggeredRunError, UnsupportedActionError
from spellbook_core.worker.mage_shim.runs import PipelineRun

POLL_S = 1.0
"""Pause between two looks at a run that is waited for; mage's 60 s make short pipelines wait for nothing."""

_TRIGGER = "api"
"""What the runs that a block triggers are called."""

_COMMAND = "from spellbook_core.cli.main import main; main()"


def trigger_pipeline(
    pipeline_uuid: str,
    repo_path: str | Mapping[str, Any] | None = None,
    variables: Mapping[str, Any] | None = None,
    check_status: bool = False,
    error_on_failure: bool = False,
    poll_interval: float = POLL_S,
    poll_timeout: float | None = None,
    verbose: bool = True,
    **options: object,
) -> PipelineRun:
    """Start a run of another pipeline of this project and return it.

    The workspace's engine carries the run. Where none leads, as under `spellbook run`, the run is carried in a process
    of its own, and this function returns when it has ended, whatever `check_status` says.

    Args:
        pipeline_uuid: Which pipeline.
        repo_path: The folder of this project; older mage took the variables in this place.
        variables: Runtime variables: text, numbers, lists, mappings.
        check_status: Wait for the end.
        error_on_failure: Raise when the run did not complete.
        poll_interval: Seconds between two looks; mage's default of 60 is 1 here.
        poll_timeout: Seconds after which waiting ends.
        verbose: Print how it goes.
        options: Further options of mage, without effect.

    Raises:
        NotFoundError: There is no such pipeline. [SB-SYS-002]
        UnsupportedActionError: It is another project's, or blocks are to be handed over as references. [SB-WRK-036]
        TriggeredRunError: It failed, or did not end in time; or it would be waited for and could never end, because it
            waits for the run of this block, at once or by a detour, or finds no place beside blocks that wait.
            [SB-WRK-035]
    """
    if isinstance(repo_path, Mapping):
        repo_path, variables = None, repo_path
    _refuse(repo_path, options)
    layout = place.project()
    if pipeline_uuid not in layout.pipeline_uuids():
        known = ", ".join(layout.pipeline_uuids()[:12])
        raise NotFoundError(f"There is no pipeline '{pipeline_uuid}'.", hint=f"there are: {known}.")
    engine = _engine()
    if engine is None:
        run = _carried_here(pipeline_uuid, dict(variables or {}), poll_timeout)
    else:
        run = _queued(engine, pipeline_uuid, dict(variables or {}), is_awaited=check_status)
        if check_status:
            _wait(run, poll_interval, poll_timeout)
    if verbose:
        print(f"pipeline {pipeline_uuid}: run {run.id}, {run.status.value}")  # noqa: T201  # the block's log
    if error_on_failure and run.status.is_terminal and run.status is not Status.COMPLETED:
        raise TriggeredRunError(
            f"The run {run.id} of pipeline '{pipeline_uuid}' ended as {run.status.value}.",
            hint=f"look at it with `spellbook logs {run.id}`.",
            run=run.id,
        )
    return run


def _refuse(repo_path: object, options: Mapping[str, object]) -> None:
    """Refuse what would start another pipeline than the one that is meant, or hand on something else."""
    if repo_path is not None and os.path.basename(os.path.normpath(str(repo_path))) != place.project().root.name:
        raise UnsupportedActionError(
            f"trigger_pipeline starts pipelines of this project, not of {repo_path}.",
            hint="run the other project's pipeline by itself: `spellbook run PROJECT PIPELINE`.",
        )
    for name in ("remote_blocks", "return_remote_blocks"):
        if options.get(name):
            raise UnsupportedActionError(
                f"'{name}' of mage's trigger_pipeline is not offered.",
                hint="read the other pipeline's outputs with get_variable('pipeline', 'block', 'output_0').",
            )


def _engine() -> socket.socket | None:
    """Return a connection to the workspace's engine; None when none leads."""
    try:
        found = json.loads(place.workspace().engine_info_path.read_bytes())
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    except (OSError, ValueError):
        return None
    try:
        connection.connect(found["socket"])
    except (OSError, KeyError, TypeError):
        connection.close()
        return None
    return connection


def _queued(engine: socket.socket, pipeline: str, variables: dict[str, Any], *, is_awaited: bool) -> PipelineRun:
    store = place.open_store()
    try:
        new = NewRun(place.current().project, PipelineUuid(pipeline), _TRIGGER, variables=variables)
        with store.transaction():
            run = store.create_run(new, now=datetime.now(UTC))
            if is_awaited:
                awaiting.begin(store, run)
        engine.sendall(b'{"op":"wake"}\n')
    finally:
        engine.close()
        store.close()
    return PipelineRun.get(run.id)


def _wait(run: PipelineRun, interval_s: float, timeout_s: float | None) -> None:
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    try:
        while not run.refresh().status.is_terminal:
            if deadline is not None and time.monotonic() > deadline:
                raise TriggeredRunError(
                    f"The run {run.id} did not end within {timeout_s:g} s.",
                    hint="raise poll_timeout; the run itself goes on.",
                    run=run.id,
                )
            time.sleep(interval_s)
    finally:
        awaiting.end(run.id)


def _carried_here(pipeline: str, variables: dict[str, Any], timeout_s: float | None) -> PipelineRun:
    own = os.environ.get("SPELLBOOK_PYTHON")  # set where this is not the Python that Spellbook is installed in
    start = [sys.executable, "-P", "-c", _COMMAND] if own is None else [own, boot.__file__, "spellbook_core.cli.main"]
    arguments = [*start, "run", place.current().project_root, pipeline, "--json"]
    for name, value in variables.items():
        arguments += ["--var", f"{name}={json.dumps(value, default=str)}"]
    below = awaiting.variables_below(PipelineUuid(pipeline))
    try:
        ended = subprocess.run(arguments, capture_output=True, text=True, timeout=timeout_s, env=below, check=False)
    except subprocess.TimeoutExpired:
        raise TriggeredRunError(
            f"The triggered run of pipeline '{pipeline}' did not end within {timeout_s:g} s, and was ended.",
            hint="raise poll_timeout.",
        ) from None
    try:
        return PipelineRun.get(RunId(json.loads(ended.stdout)["run_id"]))
    except (ValueError, KeyError):
        reason = (ended.stderr.strip().splitlines() or ["no reason was given"])[0]
        raise TriggeredRunError(
            f"Pipeline '{pipeline}' could not be started: {reason}",
            hint=f"try `spellbook run` with it, or `spellbook validate`, and correct what they name: {pipeline}.",
        ) from None
