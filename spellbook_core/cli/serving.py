"""`spellbook start`, `stop`, `token` and `engine`: the processes of a workspace."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from spellbook_core.cli.output import say
from spellbook_core.cli.places import Place, find_place
from spellbook_core.project.layout import NotAWorkspaceError, Workspace
from spellbook_core.services import access, engines, servers


@click.command()
@click.argument("path", required=False)
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port; 0 picks a free one. Default: 8501, or the next.")
@click.option("--host", help="Address to serve. Anything but this machine needs SPELLBOOK_TOKEN or --allow-remote.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option("--allow-remote", is_flag=True, help="Let other machines in, with the token.")
def start(path: str | None, port: int | None, host: str | None, no_browser: bool, allow_remote: bool) -> None:
    """Open a folder in the browser: a workspace, or one project.

    An empty folder becomes a workspace. Prints the address with its token.
    """
    place = _place_to_serve(path)
    arguments = ["--workspace", str(place.workspace.root)]
    arguments += ["--project", place.project] if place.project else []
    arguments += ["--port", str(port)] if port is not None else []
    arguments += ["--host", host] if host else []
    arguments += ["--no-browser"] if no_browser else []
    arguments += ["--allow-remote"] if allow_remote else []
    _become("spellbook_core.serve", arguments)


@click.command()
@click.argument("path", required=False)
def stop(path: str | None) -> None:
    """End the page and the engine of a workspace. Blocks that run go on; the next engine takes them over."""
    place = find_place(path)
    was_served = servers.stop(place.workspace)
    context = place.context()
    was_running = engines.status(context).is_running
    engines.stop(context)
    context.close()
    ended = [name for name, was in (("the page", was_served), ("the engine", was_running)) if was]
    say(f"Ended {' and '.join(ended)}." if ended else "Nothing was running.")


@click.command()
@click.argument("path", required=False)
@click.option("--rotate", is_flag=True, help="Make a new token; every open page and script is signed out.")
def token(path: str | None, rotate: bool) -> None:
    """Print the page's address with its token; the token alone when no page is served."""
    workspace = find_place(path).workspace
    workspace.ensure_state_dir()
    make = access.rotate_token if rotate else access.read_or_create_token
    text = access.token_from_environment() or make(workspace.token_path)
    server = servers.running(workspace)
    say(servers.address(server.host, server.port, {"token": text}) if server else text)


@click.command()
@click.argument("path", required=False)
def engine(path: str | None) -> None:
    """Run a workspace's engine in this terminal, until Ctrl+C. The page starts one by itself when it needs it."""
    _become("spellbook_core.services.engine_process", [str(find_place(path).workspace.root)])


def _place_to_serve(path: str | None) -> Place:
    """Return the place at `path`; an empty folder becomes a workspace; one that is not there may be mistyped."""
    folder = Path(path).expanduser().resolve() if path else None
    if folder is not None and folder.is_dir() and not any(folder.iterdir()):
        return Place(Workspace.open(folder, create=True), None)
    try:
        return find_place(path)
    except NotAWorkspaceError:
        if folder is None and not any(Path.cwd().iterdir()):
            return Place(Workspace.open(Path.cwd(), create=True), None)
        raise


def _become(module: str, arguments: list[str]) -> None:
    """Replace this process by `python -m module`; -P keeps the working directory off its import path."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])  # noqa: S606
