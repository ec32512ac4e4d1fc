"""Pictures of a pipeline's charts: drawn in processes of their own, kept by what they are drawn from.

A picture belongs to no run. It is known by the chart's code and settings, its parents' stored outputs and the
pipeline's variables, so it is drawn again exactly when one of these differs, or when a person asks.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from spellbook_core.atomic import write_atomically
from spellbook_core.clock import to_text
from spellbook_core.errors import SpellbookError
from spellbook_core.executors.foreign import command_of, variables_of
from spellbook_core.model.block import Block
from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.outcome import ErrorReport
from spellbook_core.model.run import BlockRun
from spellbook_core.model.task import TASK_FILE, BlockInput, BlockTask
from spellbook_core.model.values import JsonObject
from spellbook_core.project import closure, sourcefacts
from spellbook_core.project.blockfile import OWN_PACKAGES
from spellbook_core.project.missing import Surroundings
from spellbook_core.services import charts, environments, notices, pipelines
from spellbook_core.services.wiring import Context
from spellbook_core.worker.chart_entry import RESULT_FILE
from spellbook_core.worker.wire import task_to_json

TIME_LIMIT_S = 60.0
"""Longest a chart may take to draw."""

MOST_AT_ONCE = 2
KEPT_PICTURES = 200
_MAX_RESULT_BYTES = 32 * 1024 * 1024
_VERSION = "2"
"""Raise it when the form of pictures changes, so that old ones are drawn again."""

_places = threading.BoundedSemaphore(MOST_AT_ONCE)
_drawing: set[str] = set()
_lock = threading.Lock()
_ended = [0]


@dataclass(frozen=True, slots=True)
class ChartState:
    """What is known of a chart's picture.

    Attributes:
        what: `ready` (see `picture`), `failed` (see `error`), `drawing`, or `waiting`: a parent has not run yet.
        waits_for: The parents without a stored output.
        key: Names the picture; None while waiting.
    """

    what: Literal["ready", "failed", "drawing", "waiting"]
    picture: JsonObject | None = None
    error: ErrorReport | None = None
    waits_for: tuple[str, ...] = ()
    key: str | None = None


def state(
    ctx: Context, project: ProjectName, pipeline: PipelineUuid, chart: Block, results: Mapping[BlockUuid, BlockRun]
) -> ChartState:
    """Return a chart's picture; one that nobody drew yet is begun, and this returns at once.

    Args:
        ctx: Of the workspace.
        project: The pipeline's project.
        pipeline: The pipeline.
        chart: One of its `widgets`.
        results: Block -> newest completed block run, whose outputs the chart reads.
    """
    missing = tuple(name for name in chart.upstream_blocks if name not in results)
    if missing:
        return ChartState("waiting", waits_for=missing)
    try:
        task = _task(ctx, project, pipeline, chart, results)
    except SpellbookError as error:
        return ChartState("failed", error=ErrorReport.from_json(error.to_dict()))
    key = _key(ctx, project, task)
    folder = ctx.workspace.charts_dir / key
    found = _result(folder)
    if found is not None:
        return found if found.what != "ready" else ChartState("ready", found.picture, key=key)
    _begin(ctx, key, folder, task)
    return ChartState("drawing", key=key)


def news() -> int:
    """Return a number that differs once any picture has been drawn since: whoever shows one looks again then."""
    return _ended[0]


def _news() -> None:
    with _lock:
        _ended[0] += 1


def forget(ctx: Context, key: str) -> None:
    """Drop a picture, so that it is drawn again; for what its code reads from outside."""
    if len(key) == 32 and key.isalnum():
        shutil.rmtree(ctx.workspace.charts_dir / key, ignore_errors=True)


def _task(
    ctx: Context, project: ProjectName, pipeline: PipelineUuid, chart: Block, results: Mapping[BlockUuid, BlockRun]
) -> BlockTask:
    layout = ctx.workspace.project(project)
    source = charts.source(ctx, project, chart)
    return BlockTask(
        run_id=RunId(0),
        block_run_id=BlockRunId(0),
        attempt=1,
        workspace=str(ctx.workspace.root),
        project=project,
        project_root=str(layout.root),
        pipeline=pipeline,
        block=chart.uuid,
        block_type=chart.type,
        language=chart.language,
        source=source.text,
        source_path=str(source.path),
        inputs=tuple(BlockInput(name, results[name].outputs) for name in chart.upstream_blocks),
        variables=pipelines.load(ctx, project, pipeline).pipeline.variables,
        configuration=chart.configuration,
        execution_date=to_text(ctx.clock.now()),
        trigger="notebook",
        timeout_s=TIME_LIMIT_S,
    )


def _key(ctx: Context, project: ProjectName, task: BlockTask) -> str:
    """Return what the picture depends on, as 32 hexadecimal digits; the modules that the code imports count."""
    index = closure.index_of(ctx.workspace.project(project))
    index.look()
    reached = index.closure(sourcefacts.facts_of(task.source or "").imports).digest
    form = task_to_json(task)
    form |= {"execution_date": "", "inputs": [[i.block, [o.artifact.digest for o in i.outputs]] for i in task.inputs]}
    text = json.dumps([_VERSION, reached, form], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _result(folder: Path) -> ChartState | None:
    path = folder / RESULT_FILE
    try:
        if path.stat().st_size > _MAX_RESULT_BYTES:
            return ChartState("failed", error=_problem("The picture is too large to show.", "draw fewer points."))
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return ChartState("failed", error=_problem("The picture is damaged.", "draw it again."))
    if isinstance(found.get("error"), dict):
        return ChartState("failed", error=ErrorReport.from_json(found["error"]), key=folder.name)
    return ChartState("ready", cast(JsonObject, found["picture"]))


def _begin(ctx: Context, key: str, folder: Path, task: BlockTask) -> None:
    with _lock:
        if key in _drawing:
            return
        _drawing.add(key)
    python = _python(ctx, task)
    ctx.workspace.ensure_state_dir()
    threading.Thread(target=_draw, args=(key, folder, task, python), name="chart", daemon=True).start()


def _python(ctx: Context, task: BlockTask) -> str | None:
    """Return where a chart is drawn: in our own Python, unless its code needs packages that only the pipeline's has."""
    index = closure.index_of(ctx.workspace.project(task.project))
    packages = index.closure(sourcefacts.facts_of(task.source or "").imports).packages - OWN_PACKAGES
    if all(Surroundings().has(name) for name in packages if name.isidentifier()):
        return None
    return environments.ready_python(ctx, task.project, task.pipeline)


def _draw(key: str, folder: Path, task: BlockTask, python: str | None) -> None:
    try:
        with _places:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _prune(folder.parent, keep=folder)
            (folder / TASK_FILE).write_text(json.dumps(task_to_json(task)), encoding="utf-8")
            why = _run(folder, python)
            if why is not None and not (folder / RESULT_FILE).exists():
                problem = _problem(f"The chart '{task.block}' {why}.", "draw less, or look at its code.")
                write_atomically(folder / RESULT_FILE, json.dumps({"error": problem.to_json()}).encode("utf-8"))
    except OSError:  # a full or read-only disk: the chart stays undrawn, and the next look tries again
        return
    finally:
        with _lock:
            _drawing.discard(key)
        _news()
        notices.tell({"kind": "chart", "project": task.project, "pipeline": task.pipeline, "block": task.block})


def _run(folder: Path, python: str | None) -> str | None:
    """Run the process that draws and return how it ended when it left no picture."""
    variables = {**variables_of(python), "MPLBACKEND": "Agg"}
    command = [*command_of(python, "spellbook_core.worker.chart_entry"), str(folder)]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables, start_new_session=True
        )
    try:
        status = process.wait(TIME_LIMIT_S + 5)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
    if status in {-signal.SIGALRM, -signal.SIGKILL}:
        return f"took longer than {TIME_LIMIT_S:g} s, or too much memory, and was ended"
    return f"ended without a picture (exit status {status})"


def _prune(root: Path, keep: Path) -> None:
    found = sorted((path for path in root.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in found[:-KEPT_PICTURES]:
        if path != keep and path.name not in _drawing:
            shutil.rmtree(path, ignore_errors=True)


def _problem(message: str, hint: str) -> ErrorReport:
    return ErrorReport("SB-WRK-045", message, hint)
