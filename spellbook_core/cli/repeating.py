"""`spellbook retry` and `spellbook resume`: what an ended run did not finish, in a new run, in this process."""

from __future__ import annotations

import click

from spellbook_core.cli.places import RunNumber, find_place
from spellbook_core.cli.running import carry
from spellbook_core.errors import BadNameError
from spellbook_core.model.naming import BlockUuid, RunId
from spellbook_core.model.run import Code, Share
from spellbook_core.services import code_then, retries
from spellbook_core.services.wiring import Context

_RUN = click.argument("run", type=RunNumber())
_PATH = click.option("--path", help="The workspace. Default: around the working directory.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, and nothing else.")


@click.command()
@_RUN
@click.option("--from", "start", metavar="BLOCK", help="Run this block and all below it, completed or not.")
@click.option("--all", "is_whole", is_flag=True, help="Run everything that the run executed; share nothing of it.")
@click.option(
    "--code",
    type=click.Choice([code.value for code in Code]),
    default=Code.NOW.value,
    show_default=True,
    help="The block files and project modules of today, or those of RUN.",
)
@_PATH
@_JSON
def retry(run: int, start: str | None, is_whole: bool, code: str, path: str | None, as_json: bool) -> None:
    """Repeat RUN in a new run: what completed is shared, the rest runs here.

    Variables and execution date are those of RUN. With today's code, blocks edited since run too, with all below them.
    Exit status: 0 completed, 1 failed.
    """
    if start is not None and is_whole:
        raise BadNameError("--from and --all exclude each other.", hint="leave one of them out.")
    _repeat(run, path, start, Share.NOTHING if is_whole else Share.COMPLETED, Code(code), as_json=as_json)


@click.command()
@_RUN
@_PATH
@_JSON
def resume(run: int, path: str | None, as_json: bool) -> None:
    """Finish RUN as it was begun, after a failure or a power cut: retry --code then."""
    _repeat(run, path, None, Share.COMPLETED, Code.THEN, as_json=as_json)


def _repeat(run: int, path: str | None, start: str | None, share: Share, code: Code, *, as_json: bool) -> None:
    context: Context = find_place(path).context()
    try:
        block = None if start is None else BlockUuid(start)
        wanted = retries.repeat_of(context, RunId(run), share=share, start=block, code=code, trigger="cli")
        if code is Code.THEN and not as_json:
            told = code_then.sentence(RunId(run), code_then.modules_written_since(context, RunId(run)))
            if told:
                click.echo(f"! {told}", err=True)
        carry(context, wanted, as_json=as_json)
    finally:
        context.close()
