"""A browser for stories: Chromium that may talk to this machine only, and Streamlit servers to look at.

`page_factory(url, theme="dark")` opens a page, waits for the script to end, and fails the test at its end if the page
logged an error or asked another machine for anything. `streamlit_server(script)` serves a script and returns its
address; `served()` serves a whole workspace, and `own` is a project of the test's own in one that many tests share: to
start a page, an engine and all that they import takes longer than most stories.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Route, expect, sync_playwright

from spellbook_core.services import engines
from spellbook_core.services.wiring import open_context
from tests.conftest import make_project
from tests.e2e.steps import Served, serve

LAUNCH_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000
"""How long a test waits for what must come: on a machine at a quarter of the usual speed a page takes half of it."""

LOCAL_HOSTS = {"127.0.0.1", "localhost", ""}
FAILED = pytest.StashKey[bool]()
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"][data-test-connection-state="CONNECTED"]'


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    item.stash[FAILED] = report.failed
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium: the one named by SPELLBOOK_CHROMIUM, else the system's, else the one that Playwright installed."""
    expect.set_options(timeout=PATIENCE_MS)
    executable = os.environ.get("SPELLBOOK_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=LAUNCH_ARGUMENTS)
        yield chromium
        chromium.close()


@dataclass
class PageFactory:
    """Opens watched pages; `problems` lists what went wrong in all of them."""

    browser: Browser
    contexts: list[BrowserContext] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __call__(self, url: str | None = None, *, theme: str = "light", width: int = 1440, height: int = 900) -> Page:
        context = self.browser.new_context(
            color_scheme=theme, viewport={"width": width, "height": height}, service_workers="block"
        )
        context.set_default_timeout(PATIENCE_MS)
        context.route("**/*", self._guard)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        if url is not None:
            page.goto(url)
            self.idle(page)
        return page

    def idle(self, page: Page) -> None:
        """Wait until the page is connected and its script has ended."""
        page.wait_for_selector(IDLE, state="attached")

    def describe(self) -> str:
        """Return what the pages show, for whoever reads why a test failed on another machine."""
        pages = [page for context in self.contexts for page in context.pages]
        return "\n".join(f"{page.url}\n{page.locator('body').aria_snapshot()}" for page in pages)

    def close(self) -> None:
        for context in self.contexts:
            context.close()

    def _guard(self, route: Route, request: Request) -> None:
        if urlsplit(request.url).hostname in LOCAL_HOSTS or urlsplit(request.url).scheme in {"data", "blob", "about"}:
            route.continue_()
        else:
            self.problems.append(f"request to another machine: {request.url}")
            route.abort()

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console error: {message.text} ({message.location.get('url', '')})")


@pytest.fixture
def page_factory(browser: Browser, request: pytest.FixtureRequest) -> Iterator[PageFactory]:
    factory = PageFactory(browser)
    yield factory
    if request.node.stash.get(FAILED, False):
        print(factory.describe())
    factory.close()
    assert factory.problems == []


@dataclass
class Server:
    """A running `streamlit run`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@pytest.fixture(scope="session")
def streamlit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], str]]:
    """Serve a script, once per session however often it is asked for, and return the address without a path."""
    servers: dict[Path, Server] = {}

    def serve(script: Path) -> str:
        if script not in servers:
            servers[script] = _start(script, tmp_path_factory.mktemp("server"))
        return servers[script].url

    yield serve
    for server in servers.values():
        server.process.terminate()
        server.process.wait(timeout=20)


def _start(script: Path, folder: Path) -> Server:
    port = _free_port()
    log = folder / "streamlit.log"
    options = {
        "server.port": str(port),
        "server.address": "127.0.0.1",
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "runner.magicEnabled": "false",
        "runner.fastReruns": "false",
        "client.toolbarMode": "viewer",
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(script), *arguments],
            cwd=folder,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)
    _wait_healthy(server)
    return server


def _wait_healthy(server: Server, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    server.process.kill()
    server.process.wait()
    pytest.fail(f"Streamlit did not start:\n{server.log.read_text(errors='replace')[-4000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class OwnProject:
    """A project of one test in the shared workspace `root`; `address` signs in and leads to it."""

    root: Path
    name: str
    address: str

    @property
    def origin(self) -> str:
        """The address without a path."""
        return self.address.split("/?")[0]

    def make(self, **parts: Any) -> Path:
        """Write the project as `make_project` does and return its folder."""
        return make_project(self.root, name=self.name, **parts)


@pytest.fixture(scope="session")
def shared_workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("shared")
    (root / "projects").mkdir()
    page = serve(root, SPELLBOOK_ZYGOTE_IDLE_S="15")  # the next test has another project
    yield page
    page.stop()
    ctx = open_context(root)
    engines.stop(ctx)
    ctx.close()


@pytest.fixture
def own(shared_workspace: Served) -> OwnProject:
    """A project of this test alone, beside those of other tests. Run ids go on from test to test."""
    name = f"project_{len(list((shared_workspace.root / 'projects').iterdir())) + 1}"
    address = shared_workspace.address.replace("/?", f"/?project={name}&", 1)
    return OwnProject(shared_workspace.root, name, address)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[[], Served]]:
    """`served()` starts the page on `tmp_path`, which the test has filled; page and engine end with the test."""
    pages: list[Served] = []

    def start() -> Served:
        pages.append(serve(tmp_path))
        return pages[-1]

    yield start
    for page in pages:
        page.stop()
    ctx = open_context(tmp_path, create=True)
    engines.stop(ctx)
    ctx.close()
