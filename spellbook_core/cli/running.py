"""`spellbook run`: a pipeline, or some of its blocks, in this process. What Airflow or cron would call."""

from __future__ import annotations

import gc
import json
import os
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path

import click

from spellbook_core.cli.output import clean, mark, print_json, say, seconds
from spellbook_core.cli.places import find_project
from spellbook_core.errors import BadNameError
from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName
from spellbook_core.model.outcome import ErrorReport, Frame
from spellbook_core.model.run import MAX_PRIORITY, BlockRun, NewRun, PipelineRun, Selection, Status, Upstream
from spellbook_core.model.values import JsonObject, YamlValue
from spellbook_core.runs.logs import LogLine
from spellbook_core.services import environments, reports, runs
from spellbook_core.services.wiring import Context

REUSED_MARK = "↺"
WAITING_MARK = "…"

MAX_EXPLAINED = 5
"""Most failed blocks whose error is printed; a block of many children often fails in each for one reason."""

USER_CODE = "SB-WRK-001"

LOG_LINES = 20
"""Last printed lines shown of a failed block."""


@click.command()
@click.argument("project")
@click.argument("pipeline")
@click.option("--block", "blocks", multiple=True, metavar="UUID", help="Run this block only; may be repeated.")
@click.option("--with-upstream", is_flag=True, help="With --block: first run the ancestors that have no stored output.")
@click.option("--no-cache", is_flag=True, help="Run every block; without it, unchanged blocks are reused.")
@click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="A runtime variable; JSON or plain text.")
@click.option(
    "--priority",
    type=click.IntRange(-MAX_PRIORITY, MAX_PRIORITY),
    default=0,
    help="Higher goes first among runs that wait.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, and nothing else.")
def run(
    project: str,
    pipeline: str,
    blocks: Sequence[str],
    with_upstream: bool,
    no_cache: bool,
    variables: Sequence[str],
    priority: int,
    as_json: bool,
) -> None:
    """Run PIPELINE of PROJECT here and wait for its end. Needs neither a page nor an engine process.

    PROJECT is a path, or a project's name in the workspace around here. Exit status: 0 completed, 1 failed,
    130 cancelled, which Ctrl+C and SIGTERM do; a second one leaves the run to the next engine.
    """
    place, name = find_project(project)
    upstream = Upstream.MISSING if with_upstream else Upstream.NONE
    chosen = tuple(BlockUuid(uuid) for uuid in blocks) or None
    selection = Selection(chosen, upstream if chosen else Upstream.NONE, is_fresh=no_cache)
    wanted = NewRun(name, PipelineUuid(pipeline), "cli", selection, parse_variables(variables), priority=priority)
    context = place.context()
    try:
        carry(context, wanted, as_json=as_json)
    finally:
        context.close()


def carry(context: Context, wanted: NewRun, *, as_json: bool) -> None:
    """Run a request here, tell its blocks and its end, and leave with status 1 when it failed, 130 when cancelled."""
    told = _Teller(context, is_quiet=as_json)
    if not as_json:
        environments.make_ready(context, wanted.project, wanted.pipeline, lambda line: say(f"  · {clean(line)}"))
    gc.freeze()  # what was imported stays: collections need not look at it
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `timeout`, a container's stop: as Ctrl+C, not as a kill
    ended = runs.run_here(context, wanted, told.event)
    told.rest(ended)
    _conclude(context, ended, as_json=as_json)


def parse_variables(texts: Sequence[str]) -> dict[str, YamlValue]:
    """Return runtime variables from `name=value` texts; a value that is JSON is taken as such, else as text.

    Raises:
        BadNameError: A text has no name or no `=`. [SB-SYS-001]
    """
    variables: dict[str, YamlValue] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name.strip():
            raise BadNameError(f"--var {text[:60]!a} is no NAME=VALUE.", hint="write it as --var rows=100.")
        try:
            variables[name.strip()] = json.loads(value)
        except ValueError:
            variables[name.strip()] = value
    return variables


class _Teller:
    """Prints a line when a block begins and one when it ends, from events that carry no data."""

    def __init__(self, context: Context, *, is_quiet: bool) -> None:
        self._context = context
        self._is_quiet = is_quiet
        self._told: dict[BlockRunId, Status] = {}
        self._waits: dict[BlockRunId, str] = {}

    def event(self, event: JsonObject) -> None:
        block_run_id = event.get("block_run_id")
        if self._is_quiet or event.get("kind") != "block_run" or not isinstance(block_run_id, int):
            return
        self._tell(runs.block_run(self._context, BlockRunId(block_run_id)))

    def rest(self, ended: PipelineRun) -> None:
        """Tell the blocks whose end came without an event, such as those below a failed one."""
        if not self._is_quiet:
            for block_run in runs.block_runs(self._context, ended.id):
                self._tell(block_run)

    def _tell(self, block_run: BlockRun) -> None:
        status = block_run.status
        if block_run.child and status is not Status.FAILED:
            return  # five hundred children would push everything else off the screen
        if block_run.waiting_for is not None and block_run.due_at is not None and self._told.get(block_run.id):
            self._tell_wait(block_run)
            return
        if status in {Status.INITIAL, Status.QUEUED} or self._told.get(block_run.id) is status:
            return
        self._told[block_run.id] = status
        sign = REUSED_MARK if block_run.reused else mark(status)
        say(f"  {sign} {clean(block_run.key):<32} {_outcome(block_run)}".rstrip())
        for warning in block_run.warnings if status.is_terminal else ():
            say(f"      ! {clean(warning)}")

    def _tell_wait(self, block_run: BlockRun) -> None:
        """Tell that a block waits for its next attempt; a sensor that looks again and again is told once."""
        what = block_run.waiting_for or ""
        if self._waits.get(block_run.id) == what:
            return
        self._waits[block_run.id] = what
        self._told.pop(block_run.id, None)
        error = next((end.error for end in reversed(runs.earlier_attempts(self._context, block_run))), None)
        why = f"   {clean(error.exception or error.message)}" if error is not None else ""
        say(f"  {WAITING_MARK} {clean(block_run.key):<32} waits for {clean(what)}{why}")


def _outcome(block_run: BlockRun) -> str:
    words = [block_run.status.value.replace("_", " ")]
    if block_run.status is Status.COMPLETED:
        words = [f"reused: {clean(block_run.reason)}" if block_run.reused else seconds(block_run.duration_s)]
        if block_run.children is None:
            words += [clean(output.summary) for output in block_run.outputs[:3]]
        else:
            words.append(f"{len(block_run.children)} children")
        failed = sum(not test.passed for test in block_run.tests)
        count = len(block_run.tests)
        words += ["1 test passed" if count == 1 else f"{count} tests passed"] if count and not failed else []
    elif block_run.status is Status.CONDITION_FAILED:
        words.append(clean(block_run.reason))
    elif block_run.error is not None:
        words += [clean(_reason(block_run.error))]
    return "   ".join(word for word in words if word)


def _reason(error: ErrorReport) -> str:
    """Return the exception of the block's own code as Python names it, else our own words."""
    return error.exception if error.exception and error.code == USER_CODE else error.message


def _conclude(context: Context, ended: PipelineRun, *, as_json: bool) -> None:
    block_runs = runs.block_runs(context, ended.id)
    if as_json:
        print_json(reports.run_report(ended, block_runs))
    else:
        failed = [found for found in block_runs if found.status is Status.FAILED and found.children is None]
        for block_run in failed[:MAX_EXPLAINED]:
            _explain(context, ended.project, block_run)
        if len(failed) > MAX_EXPLAINED:
            say(f"\n  {len(failed) - MAX_EXPLAINED} more failed: {_logs(context, ended.id)}", error=True)
        if failed:
            say("", error=True)
        took = seconds(ended.duration_s)
        say(f"{mark(ended.status)} {clean(ended.pipeline)}: {ended.status.value}, run {ended.id}, {took}".rstrip(", "))
    if ended.status is Status.COMPLETED:
        return
    raise click.exceptions.Exit(130 if ended.status is Status.CANCELLED else 1)


def _explain(context: Context, project: ProjectName, block_run: BlockRun) -> None:
    """Print a failed block's last lines, its error, the person's own frames and the next action, on stderr."""
    error = block_run.error
    if error is None:
        return
    printed = _printed(context, block_run, error)
    if printed:
        say(f"\n  Last lines of {clean(block_run.block)}:", error=True)
    for line in printed:
        say(f"    {clean(line.text)}", error=True)
    say(f"\n  {clean(block_run.block)}: {clean(_reason(error))}", error=True)
    shown = _own(error.frames, context.workspace.project(project).root)
    for frame in shown:
        place = os.path.relpath(frame.file) if os.path.isabs(frame.file) else frame.file
        say(f"    {clean(place)}:{frame.line} in {clean(frame.function)}: {clean(frame.text.strip())}", error=True)
    if len(shown) < len(error.frames):
        more = f"{len(error.frames) - len(shown)} more in libraries"
        say(f"    ... {more}: {_logs(context, block_run.run_id, block_run.block)}", error=True)
    if error.hint:
        say(f"  Do this: {clean(error.hint)}", error=True)
    say(f"  {error.code}", error=True)


def _logs(context: Context, run: int, *block: str) -> str:
    """Return the line that prints the logs of a run, or of one block, from where the person is."""
    root = context.workspace.root
    around = () if Path.cwd().is_relative_to(root) else ("--path", str(root))
    return shlex.join(["spellbook", "logs", str(run), *map(clean, block), *around])


def _printed(context: Context, block_run: BlockRun, error: ErrorReport) -> list[LogLine]:
    """Return the last lines that the block printed itself; its log ends with the error, which is told anyway."""
    from spellbook_core.worker.report import log_text  # only a failure needs it

    told = log_text(error, block_run.tests).splitlines()
    lines = runs.log_tail(context, block_run, LOG_LINES + len(told)).lines
    ends_so = bool(lines and told) and lines[-1].text == told[-1]
    return list(lines[: len(lines) - len(told)] if ends_so else lines)[-LOG_LINES:]


def _own(frames: Sequence[Frame], project: Path) -> Sequence[Frame]:
    """Return the frames in the project's files; all of them when none is there."""
    installed = {"site-packages", "dist-packages"}
    mine = [each for each in frames if Path(each.file).is_relative_to(project)]
    return [each for each in mine if installed.isdisjoint(Path(each.file).parts)] or frames
