"""`spellbook new` and `init`: projects from nothing."""

from __future__ import annotations

from pathlib import Path

import click

from spellbook_core.cli.output import say
from spellbook_core.services import projects
from spellbook_core.services.wiring import open_context


@click.command()
@click.argument("name")
@click.option("--workspace", type=click.Path(file_okay=False, path_type=Path), help="Default: the working directory.")
def new(name: str, workspace: Path | None) -> None:
    """Make a project NAME in `projects/`, with the folders and files that blocks need."""
    context = open_context(workspace or Path.cwd(), create=True)
    made = projects.create_project(context, name)
    say(f"Made {context.workspace.project(made).root}\n  Next: spellbook start {context.workspace.root}")


@click.command()
@click.argument("path", required=False, type=click.Path(file_okay=False, path_type=Path))
def init(path: Path | None) -> None:
    """Make a folder a workspace: it gets `projects/`."""
    context = open_context(path or Path.cwd(), create=True)
    say(f"{context.workspace.root} is a workspace.\n  Next: spellbook new my_project")
