"""The page's server: what Streamlit's app is made of, and how it is started safely."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import logging
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from starlette.middleware import Middleware
from starlette.routing import Route

from spellbook_core.errors import SpellbookError, render_error
from spellbook_core.http.auth import TokenGuard
from spellbook_core.http.front_page import FrontPage
from spellbook_core.http.hosts import HostRule, is_loopback
from spellbook_core.http.hub import EventHub
from spellbook_core.http.routes.table import routes
from spellbook_core.project.layout import Workspace
from spellbook_core.services import engines, servers, wiring
from spellbook_core.services.access import TOKEN_VARIABLE, Access, token_from_environment
from spellbook_core.services.wiring import Context
from spellbook_core.settings import load_settings, workspace_path

WORKSPACE_VARIABLE = "SPELLBOOK_WORKSPACE"
ALLOW_REMOTE_VARIABLE = "SPELLBOOK_ALLOW_REMOTE"
ALLOWED_HOSTS_VARIABLE = "SPELLBOOK_ALLOWED_HOSTS"
MAX_PORT_TRIES = 50

INTERRUPTED = 130
"""Exit status after Ctrl+C, as a shell has it."""

MIND_S = 5.0
"""How often the page looks whether the engine was killed, seconds; nothing else waits for it."""


class OpenToOthersError(SpellbookError, PermissionError):
    """The page was to be served beyond this machine without saying so."""

    code = "SB-NET-011"


class NoPortError(SpellbookError, OSError):
    """No TCP port near the wanted one is free."""

    code = "SB-NET-012"


class Page:
    """One workspace's page: its access, its event hub, its routes."""

    def __init__(self, root: Path, *, open_browser: bool = False, project: str | None = None) -> None:
        """Serve the workspace at `root`, made when it holds nothing.

        Args:
            root: The workspace.
            open_browser: Whether to open the page in the person's browser once it listens.
            project: The project to show first.
        """
        self.workspace = Workspace.open(root, create=True)
        self.workspace.ensure_state_dir()
        self.remote = _is_remote_allowed()
        self.access = Access(self.workspace.token_path, fixed=token_from_environment())
        if os.environ.pop(TOKEN_VARIABLE, None):  # the engine, and so every block, gets a copy of this environment
            os.environ[ALLOW_REMOTE_VARIABLE] = "1"
        self.hub = EventHub(lambda: self.context)
        self._open_browser = open_browser
        self._project = project

    @cached_property
    def context(self) -> Context:
        """The services' context, made when something first needs it."""
        return wiring.open_context(self.workspace.root, create=True)

    def options(self) -> dict[str, Any]:
        """Return the arguments of Streamlit's `App`."""
        from spellbook_core.ui.app import PAGE

        return {
            "script_path": PAGE,
            "routes": self._routes(),
            "middleware": [
                Middleware(TokenGuard, access=self.access, hosts=self._host_rule(), cookie=self._cookie_name()),
                Middleware(FrontPage),
            ],
            "lifespan": self._lifespan,
        }

    def _routes(self) -> list[Route]:
        return routes(lambda: self.context, self.hub)

    def _host_rule(self) -> HostRule:
        extra = os.environ.get(ALLOWED_HOSTS_VARIABLE, "").split(",")
        return HostRule(remote=self.remote, extra=[name.strip() for name in extra if name.strip()])

    def _cookie_name(self) -> str:
        """Return a cookie name of this workspace: browsers share cookies among all ports of a host."""
        return f"spellbook_{hashlib.blake2b(os.fsencode(self.workspace.root), digest_size=6).hexdigest()}"

    def _lifespan(self, _app: object) -> AbstractAsyncContextManager[dict[str, Any]]:
        return self._serving()

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[dict[str, Any]]:
        from spellbook_core.ui import app as ui_app

        host, port = ui_app.settle(remote=self.remote)
        try:
            check_host(host, remote=self.remote)
        except OpenToOthersError as error:
            # Asked for with Streamlit's own flags. uvicorn swallows every exception here, SystemExit too, and would
            # end with another status; nothing is served yet, so there is nothing to put in order.
            print(render_error(error.to_dict()), file=sys.stderr, flush=True)  # noqa: T201
            os._exit(2)
        self._end_streams_on_signals()
        with servers.recorded(self.workspace, host=host, port=port):
            self._announce(host, port)
            threading.Thread(target=self._start_engine, name="spellbook-ensure-engine", daemon=True).start()
            minder = asyncio.create_task(self._mind_engine(), name="spellbook-mind-engine")
            try:
                yield {}
            finally:
                minder.cancel()
                self.hub.close()

    async def _mind_engine(self) -> None:
        """Have a killed engine followed by another one while its runs wait, whether or not a browser is open."""
        while True:
            await asyncio.sleep(MIND_S)
            try:
                await asyncio.to_thread(engines.revive, self.context)
            except (SpellbookError, OSError) as error:  # told on every screen; tried again
                logging.getLogger("spellbook.serve").warning("the engine cannot be started anew: %s", error)

    def _announce(self, host: str, port: int) -> None:
        """Print the address with its token, once, to the terminal only; open the browser with a one-time code."""
        query = {"project": self._project} if self._project else {}
        shown = servers.address(host, port, {**query, "token": self.access.token})
        print(f"\n  Spellbook is open at  {shown}\n  Ctrl+C ends the page; running pipelines go on.\n", flush=True)  # noqa: T201
        if self._open_browser:
            code = self.access.new_login_code()
            url = servers.address(host, port, {**query, "token": code})
            threading.Thread(target=webbrowser.open, args=(url,), name="spellbook-browser", daemon=True).start()

    def _start_engine(self) -> None:
        try:
            engines.ensure(self.context)
        except SpellbookError as error:
            print(render_error(error.to_dict()), file=sys.stderr)  # noqa: T201

    def _end_streams_on_signals(self) -> None:
        """End event streams when the server is told to stop; uvicorn would wait for them for ever."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.getsignal(number)

            def handle(received: int, frame: FrameType | None, before: Any = before) -> None:
                loop.call_soon_threadsafe(self.hub.close)
                if callable(before):
                    before(received, frame)

            signal.signal(number, handle)


def app_options(folder: Path | None = None) -> dict[str, Any]:
    """Return the arguments for `st.App`: the page script, the API's routes, the token guard, the lifespan.

    Ends the process with status 2 and one message when the workspace cannot be opened.

    Args:
        folder: The workspace, unless SPELLBOOK_WORKSPACE names another one.
    """
    try:
        return _page(Path(os.environ.get(WORKSPACE_VARIABLE) or folder or Path.cwd())).options()
    except SpellbookError as error:
        _refuse(error)


def run(app: Any) -> None:
    """Serve an app made of `app_options`, with safe settings whatever other files say, until a signal ends it."""
    try:
        settings = load_settings()
        remote = _is_remote_allowed()
        check_host(settings.host, remote=remote)
        _serve(app, settings.host, free_port(settings.host, settings.port), remote=remote)
    except SpellbookError as error:
        _refuse(error)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `python -m spellbook_core.serve`; `spellbook start` is its friendly face."""
    settings = load_settings()
    parser = argparse.ArgumentParser(prog="spellbook start", description="Serve a workspace's page.")
    parser.add_argument("--workspace", type=Path, default=workspace_path())
    parser.add_argument("--host", default=settings.host)
    parser.add_argument("--port", type=int, default=settings.port, help="0 picks any free one")
    parser.add_argument("--project", help="the project to show first")
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--allow-remote", action="store_true", help="let other machines in, with the token")
    given = parser.parse_args(arguments)
    if given.allow_remote:
        os.environ[ALLOW_REMOTE_VARIABLE] = "1"
    try:
        remote = _is_remote_allowed()
        check_host(given.host, remote=remote)
        page = _page(given.workspace, open_browser=not given.no_browser, project=given.project)
        port = free_port(given.host, given.port)
        if given.port not in {0, port}:
            print(f"Port {given.port} is busy; using {port}.")  # noqa: T201
        from spellbook_core.ui import app as ui_app

        _serve(ui_app.build(page.options()), given.host, port, remote=remote)
    except SpellbookError as error:
        _refuse(error)
    except KeyboardInterrupt:  # Ctrl+C: the server raises it once more when it has closed everything
        sys.exit(INTERRUPTED)


def check_host(host: str, *, remote: bool) -> None:
    """Refuse to serve other machines unless the person chose so.

    Raises:
        OpenToOthersError: `host` is not loopback and neither a token nor `--allow-remote` was given. [SB-NET-011]
    """
    if not is_loopback(host) and not remote:
        raise OpenToOthersError(
            f"Spellbook can run code, and {host} lets other machines reach it.",
            hint=f"stay on 127.0.0.1, or set {TOKEN_VARIABLE} to a long random text, or add --allow-remote.",
            host=host,
        )


def free_port(host: str, wanted: int) -> int:
    """Return `wanted`, or the next TCP port after it that nobody listens on; any free one for 0.

    Raises:
        NoPortError: None of the next ports is free, or `host` is no address of this machine. [SB-NET-012]
    """
    reason = "all are taken"
    for port in range(wanted, min(wanted + MAX_PORT_TRIES, 65536)):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                reason = error.strerror or str(error)
                continue
            return int(probe.getsockname()[1])
    raise NoPortError(
        f"No port from {wanted} on can be used on {host}: {reason}.", hint="choose another one with --port.", host=host
    )


def _page(root: Path, *, open_browser: bool = False, project: str | None = None) -> Page:
    os.environ[WORKSPACE_VARIABLE] = str(root.resolve())  # the screens, in the same process, open the same one
    return Page(root, open_browser=open_browser, project=project)


def _serve(app: Any, host: str, port: int, *, remote: bool) -> None:
    from spellbook_core.ui import app as ui_app

    ui_app.run(app, host=host, port=port, remote=remote)


def _is_remote_allowed() -> bool:
    return os.environ.get(ALLOW_REMOTE_VARIABLE) == "1" or token_from_environment() is not None


def _refuse(error: SpellbookError) -> NoReturn:
    print(render_error(error.to_dict()), file=sys.stderr, flush=True)  # noqa: T201
    sys.exit(2)


if __name__ == "__main__":
    main()
