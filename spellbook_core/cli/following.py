"""`spellbook logs`: what blocks printed, then and now."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import replace

import click

from spellbook_core.cli.output import clean, print_json, say
from spellbook_core.cli.places import RunNumber, find_place
from spellbook_core.clock import to_text
from spellbook_core.errors import NotFoundError
from spellbook_core.model.naming import BlockRunId, RunId, names_hint
from spellbook_core.model.run import BlockRun
from spellbook_core.runs.logs import LogLine
from spellbook_core.services import engines, runs
from spellbook_core.services.wiring import Context

SAFETY_S = 1.0
"""Longest wait for the engine's next event. A run of `spellbook run` tells it nothing: that is looked at."""


@click.command()
@click.argument("run", type=RunNumber())
@click.argument("block", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run ends.")
@click.option("--level", type=click.Choice(["info", "warning", "error"]), help="Only lines of this level.")
@click.option("--search", help="Only lines with this text.")
@click.option("--attempt", type=click.IntRange(1), help="Of each block this attempt. Default: the newest.")
@click.option("--path", help="The workspace. Default: around the working directory.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def logs(
    run: int,
    block: str | None,
    follow: bool,
    level: str | None,
    search: str | None,
    attempt: int | None,
    path: str | None,
    as_json: bool,
) -> None:
    """Print what the blocks of RUN printed, or one BLOCK of it."""
    context = find_place(path).context()
    reader = _Reader(context, RunId(run), block, level, search, attempt)
    if as_json:
        print_json(
            [
                {"block": uuid, "at": to_text(line.at), "stream": line.stream, "level": line.level, "text": line.text}
                for uuid, line in reader.new_lines()
            ]
        )
        return
    while follow and not runs.get(context, RunId(run)).status.is_terminal:
        with suppress(ConnectionError), engines.subscribed(context) as receive:
            while not runs.get(context, RunId(run)).status.is_terminal:
                reader.print_new()
                receive(SAFETY_S)
    reader.print_new()
    context.close()


def _check_block(context: Context, run_id: RunId, block: str) -> None:
    names = list(dict.fromkeys(each.block for each in runs.block_runs(context, run_id)))
    if names and block not in names:
        raise NotFoundError(
            f"Run {run_id} has no block '{clean(block[:60])}'.", hint=names_hint("its blocks are", names, block)
        )


class _Reader:
    """Reads each block's log on from where it stopped."""

    def __init__(
        self,
        context: Context,
        run_id: RunId,
        block: str | None,
        level: str | None,
        search: str | None,
        attempt: int | None = None,
    ) -> None:
        runs.get(context, run_id)  # raises for a run that is not there
        if block is not None:
            _check_block(context, run_id, block)
        self._context, self._run_id, self._block = context, run_id, block
        self._level, self._search, self._attempt = level, search, attempt
        self._offsets: dict[tuple[BlockRunId, int], int] = defaultdict(int)

    def print_new(self) -> None:
        """Print what came since the last call, each stream to its own."""
        for uuid, line in self.new_lines():
            say(f"{line.at.astimezone():%H:%M:%S} {clean(uuid)} | {clean(line.text)}", error=line.stream == "stderr")

    def new_lines(self) -> list[tuple[str, LogLine]]:
        """Return the lines printed since the last call, in the order of time."""
        found = []
        for block_run in runs.block_runs(self._context, self._run_id):
            attempt = self._attempt or block_run.attempt
            if self._block in {None, block_run.block} and 0 < attempt <= block_run.attempt:
                block_run = replace(block_run, attempt=attempt)
                found += [(block_run.key, line) for line in self._read(block_run)]
        return sorted(found, key=lambda item: item[1].at)

    def _read(self, block_run: BlockRun) -> list[LogLine]:
        key = (block_run.id, block_run.attempt)
        lines: list[LogLine] = []
        while True:
            offset = self._offsets[key]
            page = runs.log(self._context, block_run, offset=offset, level=self._level, search=self._search)
            lines += page.lines
            self._offsets[key] = page.next_offset
            if page.next_offset == offset:
                return lines
