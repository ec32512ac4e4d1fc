"""`spellbook install`: packages for a project's blocks, in the environment that they run in."""

from __future__ import annotations

from collections.abc import Sequence

import click

from spellbook_core.cli.output import clean, say
from spellbook_core.cli.places import find_project
from spellbook_core.model.naming import ProjectName
from spellbook_core.services import environments, pipelines
from spellbook_core.services.wiring import Context


@click.command()
@click.argument("project")
@click.argument("packages", nargs=-1)
@click.option("--pipeline", metavar="UUID", help="A pipeline that names an environment of its own.")
@click.option("--missing", "all_missing", is_flag=True, help="Also every package that the blocks import in vain.")
def install(project: str, packages: Sequence[str], pipeline: str | None, all_missing: bool) -> None:
    """Make the Python environment of PROJECT, with PACKAGES added to it.

    A project that used Spellbook's own Python gets an environment over it. PACKAGES are names with an optional
    version, such as 'scikit-learn>=1.5'; they are written into the project's metadata.yaml.
    """
    place, name = find_project(project)
    context = place.context()
    try:
        if pipeline is not None:
            pipelines.load(context, name, pipeline)  # raises for one that is not there
        wanted = [*packages, *(_missing(context, name, pipeline) if all_missing else ())]
        environments.install(context, name, pipeline, wanted, lambda line: say(f"  {clean(line)}"))
    finally:
        context.close()
    say(f"✓ {clean(name)}: {', '.join(map(clean, wanted)) or 'its environment'} ready")


def _missing(context: Context, project: ProjectName, pipeline: str | None) -> list[str]:
    names = [pipeline] if pipeline else context.workspace.project(project).pipeline_uuids()
    found = [entry.package for name in names for entry in environments.missing(context, project, name)]
    return list(dict.fromkeys(found))
