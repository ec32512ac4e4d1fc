"""`spellbook gc`: remove what nobody needs any more, or tell what that would be."""

from __future__ import annotations

from dataclasses import replace

import click

from spellbook_core.cli.output import has_colour, print_json, say, table
from spellbook_core.cli.places import find_place
from spellbook_core.errors import BadNameError
from spellbook_core.project.periods import parse_period
from spellbook_core.services import housekeeping

WORDS = {
    "runs": "runs past their time, with their prints",
    "outputs": "stored outputs that nothing needs",
    "logs": "files of older runs",
    "leftovers": "unfinished and ownerless files",
    "trash": "deletes too old to undo",
    "environments": "Python environments that no project names",
}


@click.command()
@click.argument("path", required=False)
@click.option("--dry-run", is_flag=True, help="Tell what would be removed, and remove nothing.")
@click.option("--keep", type=click.IntRange(1), help="Newest runs to keep of each pipeline, instead of the setting.")
@click.option("--older", metavar="PERIOD", help="Remove runs older than this (12h, 30d, 4w), instead of the setting.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def gc(path: str | None, dry_run: bool, keep: int | None, older: str | None, as_json: bool) -> None:
    """Free disk space: remove runs and outputs that are past their time and that nothing needs.

    The newest outputs of every block stay, and whatever a run under way takes; it is safe while blocks run. How long
    things are kept is a setting (SPELLBOOK_KEEP_RUNS_DAYS, ..._KEEP_RUNS, ..._KEEP_OUTPUTS_GB), or
    `variables_retention_period` in a project's metadata.yaml, which also goes before --older.
    """
    context = find_place(path).context()
    if keep is not None:
        context.settings = replace(context.settings, keep_runs=keep)
    if older is not None:
        context.settings = replace(context.settings, keep_runs_days=_days(older))
    try:
        work = housekeeping.look if dry_run else housekeeping.clean
        report = work(context, (lambda stage: None) if as_json else _tell)
    finally:
        context.close()
    if as_json:
        print_json(report.to_json())
        return
    rows = [(WORDS[found.kind], f"{found.count:,}", size(found.size_bytes)) for found in report.removed]
    table(rows, ("WHAT", "NUMBER", "SIZE"))
    say(
        f"{'Frees' if report.is_done else 'Would free'} {size(report.size_bytes)} of {size(sum(report.used.values()))}."
    )


def size(count: int) -> str:
    """Return a number of bytes for people: `3.4 MB`."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _days(text: str) -> float:
    period = parse_period(text)
    if period is None:
        raise BadNameError(f"--older {text[:40]!a} is no period.", hint="write it as --older 30d, 12h or 4w.")
    return period.total_seconds() / 86_400


def _tell(stage: str) -> None:
    if has_colour(error=True):
        say(f"{stage} …", error=True)
