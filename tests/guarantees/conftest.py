"""A real page server on a free port, for tests that talk to it as a stranger would."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

START_S = 60.0

PIPELINE = """\
blocks:
- all_upstream_blocks_executed: true
  color: null
  configuration: {{}}
  downstream_blocks: []
  executor_config: null
  executor_type: local_python
  has_callback: false
  language: python
  name: {block}
  retry_config: null
  status: not_executed
  timeout: null
  type: data_loader
  upstream_blocks: []
  uuid: {block}
callbacks: []
conditionals: []
description: null
extensions: {{}}
name: {pipeline}
type: python
uuid: {pipeline}
variables: {{}}
widgets: []
"""


def make_workspace(root: Path, *, project: str = "demo", pipelines: tuple[str, ...] = ("plain",)) -> Path:
    """Make a workspace with one project whose pipelines have one block; the block writes a canary when it runs."""
    folder = root / "projects" / project
    (folder / "data_loaders").mkdir(parents=True)
    (folder / "metadata.yaml").write_text(f"project_uuid: {project}\n", encoding="utf-8")
    for pipeline in pipelines:
        block = f"load_{pipeline}"
        (folder / "pipelines" / pipeline).mkdir(parents=True)
        text = PIPELINE.format(block=block, pipeline=pipeline)
        (folder / "pipelines" / pipeline / "metadata.yaml").write_text(text, encoding="utf-8")
        (folder / "data_loaders" / f"{block}.py").write_text(
            f"from pathlib import Path\n\nPath({str(root / 'canary')!r}).touch()\n\n\n"
            "@data_loader\ndef load(*args, **kwargs):\n    return 1\n",
            encoding="utf-8",
        )
    return root


@dataclass
class Served:
    """A page being served, and what it printed so far."""

    process: subprocess.Popen[str]
    workspace: Path
    address: str
    token: str
    printed: list[str]

    @property
    def host(self) -> str:
        """Host and port, as a Host header has them."""
        return self.address.removeprefix("http://")

    @property
    def bearer(self) -> dict[str, str]:
        """The header of a program that has the token."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def canary(self) -> Path:
        """The file that a block of the workspace writes when it is imported."""
        return self.workspace / "canary"

    def sign_in(self) -> dict[str, str]:
        """Return the cookies of a browser that opened the printed address."""
        answer = httpx.get(f"{self.address}/", params={"token": self.token}, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        return dict(answer.cookies)

    def current_token(self) -> str:
        """Return the token in the state folder now."""
        return (self.workspace / ".spellbook" / "token").read_text().strip()


Serve = Callable[..., Served]


def start_page(workspace: Path, *options: str, environment: dict[str, str] | None = None, umask: int = -1) -> Served:
    """Serve `workspace` and return when its address was printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SPELLBOOK_", "STREAMLIT_"))}
    process = subprocess.Popen(
        [
            *(sys.executable, "-P", "-m", "spellbook_core.serve"),
            *("--workspace", str(workspace), "--port", "0", "--no-browser"),
            *options,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**clean, "SPELLBOOK_IDLE_EXIT_S": "60", **(environment or {})},
        cwd=workspace,
        umask=umask,
    )
    printed: list[str] = []
    is_open = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            printed.append(line)
            if "token=" in line:
                is_open.set()
        is_open.set()

    threading.Thread(target=read, daemon=True).start()
    assert is_open.wait(START_S), "the page did not start: " + "".join(printed)
    found = re.search(r"(http://\S+?)/\?\S*?token=(\S+)", "".join(printed))
    assert found, "".join(printed)
    return Served(process, workspace, found[1], found[2], printed)


def end_page(served: Served) -> None:
    """End the page and its engine."""
    from spellbook_core.services import engines
    from spellbook_core.services.wiring import open_context

    if served.process.poll() is None:
        served.process.send_signal(signal.SIGTERM)
        served.process.wait(30)
    assert served.process.stdout is not None
    served.process.stdout.close()
    context = open_context(served.workspace)
    engines.stop(context)
    context.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A page that all tests share; they must leave its token alone."""
    names = ("plain", "health", "ready", "login", "static", "token")
    page = start_page(make_workspace(tmp_path_factory.mktemp("served"), pipelines=names))
    yield page
    end_page(page)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serve a workspace of the test's own; ended with the test."""
    pages: list[Served] = []

    def start(*options: str, environment: dict[str, str] | None = None, umask: int = -1) -> Served:
        root = tmp_path / f"workspace{len(pages)}"
        root.mkdir(exist_ok=True)
        pages.append(start_page(make_workspace(root), *options, environment=environment, umask=umask))
        return pages[-1]

    yield start
    for page in pages:
        end_page(page)
