"""`spellbook validate`: what is wrong with pipelines, without running or importing anything of the project."""

from __future__ import annotations

from collections.abc import Sequence

import click

from spellbook_core.cli.output import clean, print_json, say
from spellbook_core.cli.places import find_place
from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.model.values import JsonObject
from spellbook_core.services import pipelines
from spellbook_core.services.pipelines import Finding


@click.command()
@click.argument("path", required=False)
@click.argument("pipeline", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def validate(path: str | None, pipeline: str | None, as_json: bool) -> None:
    """Check the pipelines of a project, or one of them. Exit status 2 when any has an error."""
    place = find_place(path)
    context = place.context()
    names = [place.project] if place.project else place.workspace.project_names()
    checked = [
        (name, uuid, pipelines.validate(context, name, uuid))
        for name in names
        for uuid in ([PipelineUuid(pipeline)] if pipeline else context.workspace.project(name).pipeline_uuids())
    ]
    context.close()
    if as_json:
        reports = [_report(uuid, findings) for _, uuid, findings in checked]
        if not place.project:  # of a whole workspace: say whose each is
            reports = [{"project": name, **report} for (name, _, _), report in zip(checked, reports, strict=True)]
        print_json({"pipelines": list(reports)})
    else:
        for each in checked:
            _print(*each)
    if not all(_is_ok(findings) for _, _, findings in checked):
        raise click.exceptions.Exit(2)


def _is_ok(findings: Sequence[Finding]) -> bool:
    return not any(finding.severity == "error" for finding in findings)


def _report(uuid: PipelineUuid, findings: Sequence[Finding]) -> JsonObject:
    names = ("code", "severity", "block", "message", "hint", "file", "line")
    return {
        "uuid": uuid,
        "ok": _is_ok(findings),
        "findings": [{name: getattr(finding, name) for name in names} for finding in findings],
    }


def _print(project: ProjectName, uuid: PipelineUuid, findings: Sequence[Finding]) -> None:
    say(f"{'✓' if _is_ok(findings) else '✗'} {clean(project)}/{clean(uuid)}")
    for finding in findings:
        where = f" ({finding.file}:{finding.line})" if finding.file and finding.line else ""
        block = f"{finding.block}: " if finding.block else ""
        say(f"    {finding.severity}: {clean(block + finding.message + where)}  [{finding.code}]")
        if finding.hint:
            say(f"      Do this: {clean(finding.hint)}")
