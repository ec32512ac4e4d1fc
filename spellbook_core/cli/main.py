"""`spellbook`: the verbs, loaded when used, and the one boundary where errors become an exit status.

With --json an error is `{"error": {...}}` on standard output, too.
Exit status: 0 done, 1 a run failed, 2 the input cannot be used, 3 our own fault, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Mapping

import click

from spellbook_core.errors import NotFoundError, SpellbookError, StorageError, render_error

FAILED = 1
BAD_INPUT = 2
OUR_FAULT = 3
INTERRUPTED = 130
NO_SUCH_RUN = "SB-RUN-001"
GONE = "The folder that this command was started in is gone."
ELSEWHERE = "go to a folder that is there, e.g. `cd`, and try again."

VERBS = (
    *("init", "new", "start", "stop", "token", "run", "validate", "list", "show", "runs", "logs", "cancel"),
    *("retry", "resume"),
    *("output", "rewrite", "install", "engine", "gc", "doctor"),
)


def _load(name: str) -> click.Command | None:
    """Return the verb `name`; only its own module is imported, so that `spellbook run` starts its first block soon."""
    if name in {"start", "stop", "token", "engine"}:
        from spellbook_core.cli import serving

        return {"start": serving.start, "stop": serving.stop, "token": serving.token, "engine": serving.engine}[name]
    if name in {"output", "rewrite"}:
        from spellbook_core.cli import giving

        return {"output": giving.output, "rewrite": giving.rewrite}[name]
    if name in {"list", "show", "runs", "cancel"}:
        from spellbook_core.cli import looking

        return {"list": looking.list_, "show": looking.show, "runs": looking.runs, "cancel": looking.cancel}[name]
    return _load_other(name)


def _load_other(name: str) -> click.Command | None:
    command: click.Command | None = None
    if name == "run":
        from spellbook_core.cli.running import run as command
    elif name == "new":
        from spellbook_core.cli.making import new as command
    elif name == "init":
        from spellbook_core.cli.making import init as command
    elif name == "validate":
        from spellbook_core.cli.checking import validate as command
    elif name == "retry":
        from spellbook_core.cli.repeating import retry as command
    elif name == "resume":
        from spellbook_core.cli.repeating import resume as command
    elif name == "logs":
        from spellbook_core.cli.following import logs as command
    elif name == "gc":
        from spellbook_core.cli.cleaning import gc as command
    elif name == "install":
        from spellbook_core.cli.installing import install as command
    elif name == "doctor":
        from spellbook_core.cli.doctoring import doctor as command
    return command


class _Verbs(click.Group):
    """Loads a verb's module when the verb is used, or when help lists them all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order in which a person meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the verb `name`, None when there is none."""
        return _load(name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb that was typed; the error for an unknown one names the nearest."""
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            from difflib import get_close_matches

            near = get_close_matches(args[0], VERBS, 1)
            ctx.fail(f"No such command '{args[0][:60]}'." + (f" Did you mean '{near[0]}'?" if near else ""))
        return super().resolve_command(ctx, args)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="spellbook", prog_name="spellbook")
def cli() -> None:
    """A notebook made of files: pipelines of Python blocks, with a real engine under them.

    \b
    spellbook start                              open this folder in the browser
    spellbook run projects/titanic torch_train   run a pipeline here, without a browser
    """  # noqa: D301 - click reads the backspace as 'keep these lines'


def main() -> None:
    """Run the command line and end the process with its status."""
    try:
        status = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        status = end.exit_code
    except click.ClickException as problem:
        problem.show()
        hint = _usage_hint(problem)
        if hint:
            click.echo(f"  Do this: {hint}", err=True)
        _tell_program("usage", problem.format_message(), hint or "add --help to see what there is.")
        status = BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        status = INTERRUPTED
    except SpellbookError as error:
        if error.code == NO_SUCH_RUN:
            error.hint = "look for it in `spellbook runs`; for a run of another workspace, give that folder's path."
        status = _tell(error)
    except BrokenPipeError:  # `spellbook logs 3 | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except Exception as fault:  # noqa: BLE001  # the boundary: a person gets one line, we get the trace
        is_gone = isinstance(fault, FileNotFoundError) and _is_nowhere()
        status = _tell(NotFoundError(GONE, hint=ELSEWHERE)) if is_gone else _tell_fault(fault)
    sys.exit(status if isinstance(status, int) else 0)


def _tell(error: SpellbookError) -> int:
    click.echo(render_error(error.to_dict()), err=True)
    _tell_program(error.code, error.message, error.hint, error.facts)
    return OUR_FAULT if isinstance(error, StorageError) else BAD_INPUT


def _tell_fault(fault: Exception) -> int:
    click.echo(f"Spellbook itself failed: {_one_line(fault)}\n  The trace is in {_write_trace()}", err=True)
    _tell_program(SpellbookError.code, f"Spellbook itself failed: {_one_line(fault)}", "look at standard error.")
    return OUR_FAULT


def _is_nowhere() -> bool:
    """Return whether the working directory is gone: every look at it, in any command, fails then."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _usage_hint(problem: click.ClickException) -> str:
    """Return what to type where only the pipeline is missing: what there is to choose from."""
    if not isinstance(problem, click.MissingParameter) or problem.param is None or problem.param.name != "pipeline":
        return ""
    project = problem.ctx.params.get("project") if problem.ctx else None
    return f"name a pipeline; `spellbook list {project or 'PROJECT'}` shows them."


def _tell_program(code: str, message: str, hint: str, facts: Mapping[str, object] | None = None) -> None:
    """Print an error as the one JSON object of a command that was asked for JSON."""
    if "--json" in sys.argv[1:]:
        from spellbook_core.cli.output import print_json

        print_json({"error": {"code": code, "message": message, "hint": hint, "facts": dict(facts or {})}})


def _one_line(fault: Exception) -> str:
    return "".join(traceback.format_exception_only(fault)).strip().splitlines()[-1][:300]


def _write_trace() -> str:
    handle, name = tempfile.mkstemp(prefix="spellbook-", suffix=".trace.txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        traceback.print_exc(file=file)
    return name
