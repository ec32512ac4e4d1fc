"""`spellbook output` and `rewrite`: stored values and pipeline files for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from spellbook_core.cli.output import clean, say
from spellbook_core.cli.places import RunNumber, find_project
from spellbook_core.model.naming import PipelineUuid, RunId
from spellbook_core.services import exchange


@click.command()
@click.argument("project")
@click.argument("pipeline")
@click.argument("block")
@click.argument("index", default=0, type=click.IntRange(0))
@click.option("--run", type=RunNumber(), help="Of this run. Default: the newest that completed.")
@click.option("--child", metavar="N", help="Of a block that ran once per item: which child, as 3 or 0:2.")
@click.option(
    "--to", required=True, type=click.Path(dir_okay=False, path_type=Path), help="FILE.parquet, .csv, .json or .pkl"
)
def output(project: str, pipeline: str, block: str, index: int, run: int | None, child: str | None, to: Path) -> None:
    """Write a block's stored output to a file; INDEX counts from 0.

    A .pkl holds the value exactly: unpickle it only where you trust the project.
    """
    place, name = find_project(project)
    context = place.context()
    try:
        found = exchange.find_output(
            context, name, PipelineUuid(pipeline), block, index, None if run is None else RunId(run), child
        )
        exchange.give(context, name, found, to)
    finally:
        context.close()
    say(f"{clean(found.summary)} -> {clean(str(to))}")


@click.command()
@click.argument("project")
@click.argument("pipeline")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write there instead of over the file.")
def rewrite(project: str, pipeline: str, out: Path | None) -> None:
    """Load a pipeline's file and save it without an edit."""
    place, name = find_project(project)
    context = place.context()
    try:
        written = exchange.rewrite(context, name, pipeline, out)
    finally:
        context.close()
    say(clean(str(written)))
