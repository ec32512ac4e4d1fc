"""Giving out: a stored output as a file for other programs, and a pipeline's file as we would write it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

from spellbook_core.artifacts.problems import NotExportableError
from spellbook_core.atomic import write_atomically
from spellbook_core.errors import NotFoundError, SpellbookError
from spellbook_core.executors.foreign import command_of, variables_of
from spellbook_core.model.naming import BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.output import OutputInfo
from spellbook_core.model.run import BlockRun
from spellbook_core.project.layout import HasWorkspace
from spellbook_core.project.metadata import render_pipeline, save_pipeline
from spellbook_core.services import environments, outputs, pipelines, runs
from spellbook_core.services.wiring import Context

ENDINGS = (".parquet", ".csv", ".json", ".pkl")
"""What a stored output can be given out as."""

TIMEOUT_S = 600.0
"""Longest that writing one value may take; 10 GB of CSV take about five minutes."""


class NotGivenError(SpellbookError, RuntimeError):
    """A stored value could not be read back or written in the wanted format."""

    code = "SB-ART-010"


def find_output(
    ctx: Context,
    project: ProjectName,
    pipeline: PipelineUuid,
    block: str,
    index: int = 0,
    run_id: RunId | None = None,
    child: str | None = None,
) -> OutputInfo:
    """Return a block's stored output: of its newest completed run, or of one pipeline run.

    Args:
        ctx: Of the workspace.
        project: The project.
        pipeline: The pipeline.
        block: The block.
        index: Which of its outputs.
        run_id: The run; None for the newest that completed.
        child: Of a block that ran once per item: which child, as `3` or `0:2`; None for the first. A number that names
            none, as of children of children, counts them from 0.

    Raises:
        NotFoundError: No such block, run or output. [SB-SYS-002]
    """
    pipelines.load(ctx, project, pipeline).pipeline.block(block)
    found: BlockRun | None
    if run_id is None:
        found = runs.latest_outputs(ctx, project, pipeline).get(BlockUuid(block))
    else:
        runs.get(ctx, run_id)
        found = next((each for each in runs.block_runs(ctx, run_id) if each.key == block), None)
    outputs = found.outputs if found is not None else ()
    child = _child(child, outputs)
    for output in outputs:
        if output.index == index and child in {None, output.child}:
            return output
    of_child = "" if child is None else f" of child {child}"
    has_children = any(output.child for output in outputs)
    if outputs and child is not None and not has_children:
        raise NotFoundError(
            f"Block '{block}' ran once, not once per item: it has no child {child}.",
            hint="ask for its output without a child.",
            pipeline=pipeline,
            block=block,
        )
    if has_children:
        names = ", ".join(dict.fromkeys(output.child for output in outputs))
    else:
        names = ", ".join(str(output.index) for output in outputs)
    raise NotFoundError(
        f"Block '{block}' has no stored output {index}{of_child}"
        + (f" in run {run_id}." if run_id is not None else "."),
        hint=f"it has{' children' if has_children else ''}: {names[:200]}." if names else "run it first.",
        pipeline=pipeline,
        block=block,
    )


def _child(wanted: str | None, outputs: Sequence[OutputInfo]) -> str | None:
    children = list(dict.fromkeys(output.child for output in outputs if output.child))
    if wanted is None or wanted in children or not wanted.isdecimal() or int(wanted) >= len(children):
        return wanted
    return children[int(wanted)]


def give(ctx: Context, project: ProjectName, output: OutputInfo, to: Path) -> Path:
    """Write a stored output to a file, whole or not at all; the ending says how: parquet, csv, json or pkl.

    Tables are written without running any code. For `.pkl`, and for values that are no table, a process of its own
    reads the value, because unpickling may run code.

    Raises:
        NotExportableError: The ending is none of the four. [SB-ART-009]
        NotFoundError: The folder of `to` does not exist. [SB-SYS-002]
        NotGivenError: The value cannot be read back or written so. [SB-ART-010]
    """
    ending = to.suffix.lower()
    if ending not in ENDINGS:
        raise NotExportableError(f"'{to.name[:60]}' has no ending that is known.", hint=f"use {', '.join(ENDINGS)}.")
    if not to.parent.is_dir():
        raise NotFoundError(f"The folder {to.parent} does not exist.", hint="make it, or choose another.", path=str(to))
    is_plain = output.artifact.format.startswith("arrow-") or (output.artifact.format, ending) == ("json", ".json")
    if ending != ".pkl" and is_plain:
        form = cast("Literal['csv', 'parquet', 'json']", ending[1:])
        return outputs.export(ctx, output, to, form, neutralise=False)
    root = ctx.workspace.project(project).root
    arguments = [str(ctx.workspace.root), str(root), output.artifact.digest, output.artifact.format, str(to.resolve())]
    ended = _give(None, arguments)
    if ended.returncode != 0 and (python := environments.ready_python(ctx, project)) is not None:
        again = _give(python, arguments)  # the classes of a pickle may be where the project's blocks run
        ended = again if again.returncode == 0 else ended
    if ended.returncode != 0:
        reason = (ended.stderr.strip().splitlines() or [f"its process ended with {ended.returncode}"])[-1]
        reason = ctx.artifacts.masker().text(reason)
        raise NotGivenError(
            f"The {output.type_name} could not be written as {ending[1:]}: {reason}",
            hint="choose .pkl, which takes any value, or write it in a data exporter block.",
        )
    return to


def rewrite(ctx: HasWorkspace, project: str, pipeline: str, to: Path | None = None) -> Path:
    """Load a pipeline's file and save it without an edit, over itself or to another file; return where.

    Raises:
        BadYamlError: It cannot be read. [SB-PRJ-004]
        NotFoundError: There is no such pipeline. [SB-SYS-002]
    """
    file = pipelines.load(ctx, project, pipeline)
    if to is None:
        return save_pipeline(file, file.pipeline, expected_hash=file.content_hash).path
    if not to.parent.is_dir():
        raise NotFoundError(f"The folder {to.parent} does not exist.", hint="make it, or choose another.", path=str(to))
    text = render_pipeline(file.document, file.pipeline, text=file.text, old=file.pipeline)
    write_atomically(to, text.encode("utf-8"))
    return to


def _give(python: str | None, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    command = [*command_of(python, "spellbook_core.worker.giving"), *arguments]
    return subprocess.run(
        command, env=variables_of(python), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
