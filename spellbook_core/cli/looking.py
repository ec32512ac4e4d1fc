"""`spellbook list`, `show`, `runs` and `cancel`: what there is, and what ran."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import click

from spellbook_core.cli.output import clean, local_time, mark, print_json, say, seconds, table
from spellbook_core.cli.places import Place, RunNumber, find_place, find_project
from spellbook_core.errors import NotFoundError, SpellbookError
from spellbook_core.model.block import FILELESS_TYPES, Block
from spellbook_core.model.naming import PipelineUuid, RunId, names_hint
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.model.run import BlockRun, PipelineRun, Status
from spellbook_core.model.values import JsonObject, JsonValue
from spellbook_core.project.layout import ProjectLayout
from spellbook_core.services import pipelines, reports
from spellbook_core.services import runs as run_service


@click.command()
@click.argument("path", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(path: str | None, as_json: bool) -> None:
    """List projects and their pipelines."""
    place = find_place(path)
    context = place.context()
    names = [place.project] if place.project else place.workspace.project_names()
    found = {name: pipelines.list_pipelines(context, name) for name in names}
    context.close()
    if as_json:
        listed = [
            {
                "name": name,
                "pipelines": [
                    {
                        "uuid": each.uuid,
                        "name": each.name,
                        "type": each.type,
                        "description": each.description,
                        "tags": list(each.tags),
                        "blocks": each.blocks,
                        "problem": each.problem,
                    }
                    for each in summaries
                ],
            }
            for name, summaries in found.items()
        ]
        print_json({"workspace": str(place.workspace.root), "projects": listed})
        return
    if not found:
        say("There are no projects here.\n  Next: spellbook new my_project")
        return
    rows: list[tuple[str, ...]] = [
        (name, each.uuid, each.type, str(each.blocks), "unreadable" if each.problem else each.description or "")
        for name, summaries in found.items()
        for each in summaries
    ]
    rows += [(name, "-", "-", "0", "no pipelines yet") for name, summaries in found.items() if not summaries]
    table(sorted(rows, key=lambda row: row[0]), ("PROJECT", "PIPELINE", "TYPE", "BLOCKS", "DESCRIPTION"))


@click.command()
@click.argument("project")
@click.argument("pipeline")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(project: str, pipeline: str, as_json: bool) -> None:
    """Show a pipeline's blocks, their parents and files."""
    place, name = find_project(project)
    context = place.context()
    file = pipelines.load(context, name, PipelineUuid(pipeline))
    loaded = pipelines.as_called(context, name, file)
    layout = place.workspace.project(name)
    context.close()
    if as_json:
        blocks = [_block(layout, loaded, block) for block in loaded.blocks]
        variables = {key: reports.plain(value) for key, value in loaded.variables.items()}
        report = {"uuid": loaded.uuid, "name": loaded.name, "type": loaded.type, "variables": variables}
        lists = {
            kind: [_block(layout, loaded, block) for block in getattr(loaded, kind)]
            for kind in ("callbacks", "conditionals", "widgets")
        }
        listed = {callback.uuid for callback in file.pipeline.callbacks}
        for callback in lists["callbacks"]:
            callback["listed"] = callback["uuid"] in listed
        print_json({**report, "blocks": blocks, **lists})
        return
    rows = [_row(layout, loaded, block) for block in loaded.blocks]
    table(rows, ("BLOCK", "TYPE", "PARENTS", "FILE"))
    hanging = (*loaded.conditionals, *loaded.callbacks, *loaded.widgets)
    if hanging:
        say("")
        table([_row(layout, loaded, block) for block in hanging], ("ADD-ON", "TYPE", "HANGS ON", "FILE"))


def _row(layout: ProjectLayout, pipeline: Pipeline, block: Block) -> tuple[str, str, str, str]:
    found = _block(layout, pipeline, block)
    file = "" if block.type in FILELESS_TYPES else f"{found['file']}{'' if found['file_exists'] else ' (missing)'}"
    return str(block.uuid), str(block.type), ", ".join(block.upstream_blocks), file


def _block(layout: ProjectLayout, pipeline: Pipeline, block: Block) -> JsonObject:
    """Return what a program needs of a block; a file that may not be looked at is one that is not there."""
    file, exists = None, False
    with suppress(SpellbookError):
        if block.type not in FILELESS_TYPES:
            path = layout.block_file(block)
            file, exists = layout.relative(path), path.is_file()
    return {
        "uuid": block.uuid,
        "name": block.name,
        "type": block.type,
        "language": block.language,
        "upstream_blocks": list(block.upstream_blocks),
        "downstream_blocks": [each.uuid for each in pipeline.blocks if block.uuid in each.upstream_blocks],
        "file": file,
        "file_exists": exists,
    }


@click.command()
@click.argument("path", required=False)
@click.option("--pipeline", help="Only runs of this pipeline.")
@click.option("--state", "states", multiple=True, type=click.Choice([status.value for status in Status]))
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def runs(path: str | None, pipeline: str | None, states: Sequence[str], limit: int, as_json: bool) -> None:
    """List runs, newest first."""
    place = find_place(path)
    context = place.context()
    page = run_service.list_runs(
        context,
        project=place.project,
        pipeline=PipelineUuid(pipeline) if pipeline else None,
        statuses=tuple(Status(state) for state in states),
        limit=limit,
    )
    if pipeline and not page.total and not states:
        _refuse_unknown(place, pipeline)
    waiting = run_service.waiting_for(context, page.runs)
    context.close()
    if as_json:
        print_json([{**reports.run_report(run), "waiting": _waiting(waiting.get(run.id, ()))} for run in page.runs])
        return
    rows = [
        (
            str(run.id),
            run.project,
            run.pipeline,
            run.status.value,
            run.trigger,
            f"{run.blocks_done}/{run.blocks_total}",
            local_time(run.created_at),
            seconds(run.duration_s),
            _waits_for(run, waiting.get(run.id, ())),
        )
        for run in page.runs
    ]
    table(rows, ("RUN", "PROJECT", "PIPELINE", "STATE", "TRIGGER", "BLOCKS", "CREATED", "TOOK", "WAITS FOR"))
    if page.total > len(rows):
        say(f"{page.total - len(rows)} older runs: --limit {min(1000, page.total)}")


def _refuse_unknown(place: Place, pipeline: str) -> None:
    """Say that there is no such pipeline; one that was deleted is asked for by its runs."""
    names = [place.project] if place.project else place.workspace.project_names()
    known = [uuid for name in names for uuid in place.workspace.project(name).pipeline_uuids()]
    if pipeline not in known:
        raise NotFoundError(
            f"There is no pipeline '{clean(pipeline[:60])}', and no run of one.",
            hint=names_hint("the pipelines are", known, pipeline),
        )


def _waits_for(run: PipelineRun, waiting: Sequence[BlockRun]) -> str:
    """Return what a run waits for: its turn, or the first of its waiting blocks and how many more there are."""
    if not waiting:
        return run.waiting_for or ""
    first = waiting[0]
    since = f" since {local_time(first.waiting_since)}" if first.waiting_since else ""
    more = f" (+{len(waiting) - 1})" if len(waiting) > 1 else ""
    return f"{first.block}: {first.waiting_for}{since}{more}"


def _waiting(waiting: Sequence[BlockRun]) -> list[JsonValue]:
    """Return the waiting blocks of a run, what each waits for, since when and until when."""
    keys = ("uuid", "block_run_id", "attempt", "waiting_for", "waiting_since", "due_at")
    return [{key: value for key, value in reports.block_report(each).items() if key in keys} for each in waiting]


@click.command()
@click.argument("run", type=RunNumber())
@click.option("--path", help="The workspace. Default: around the working directory.")
def cancel(run: int, path: str | None) -> None:
    """Ask a run to end."""
    context = find_place(path).context()
    before = run_service.get(context, RunId(run)).status
    if before.is_terminal:
        context.close()
        say(f"{mark(before)} run {run} has ended before: {before.value}")
        return
    run_service.cancel(context, RunId(run))
    now = run_service.get(context, RunId(run))
    context.close()
    say(f"{mark(now.status)} run {run}: {now.status.value if now.status.is_terminal else 'ending'}")
