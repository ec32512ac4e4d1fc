"""What all tests share: small real projects, a clock that stands still, a workspace, and waiting without sleeping."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hypothesis
import pytest
import yaml

from spellbook_core.project.layout import EXTENSIONS, TYPE_FOLDERS, Workspace
from spellbook_core.services.wiring import Context, open_context
from spellbook_core.settings import Settings

os.environ.setdefault("SPELLBOOK_IDLE_EXIT_S", "60")  # an engine that outlives a killed server's test ends by itself

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background by a shell: it would be inherited
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes is a matter of the machine's load; speed is proved in tests/benchmarks.
# By hand with many more examples: `--hypothesis-profile=thorough`.
hypothesis.settings.register_profile("spellbook", deadline=None)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("spellbook")

LOADER = """
@data_loader
def load(*args, **kwargs):
    return 1
"""
PASS_ON = """
@transformer
def pass_on(data, *args, **kwargs):
    return data
"""


@dataclass(frozen=True)
class BlockFile:
    """A block of a test project: its source, type, parents and the settings that its pipeline entry has."""

    source: str
    type: str = "transformer"
    parents: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    language: str = "python"


def make_project(
    tmp_path: Path,
    *,
    blocks: Mapping[str, BlockFile | str] | None = None,
    name: str = "demo",
    pipeline: str = "main",
    variables: Mapping[str, object] | None = None,
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write a project with one pipeline into the workspace `tmp_path` and return the project's folder.

    A block given as text is a data loader without parents when the text says `@data_loader`, else a transformer of
    the block before it. `files` are further files, by path relative to the project.
    """
    project = tmp_path / "projects" / name
    folder = project / "pipelines" / pipeline
    folder.mkdir(parents=True, exist_ok=True)
    (project / "metadata.yaml").write_text(f"project_type: standalone\nproject_name: {name}\n")
    (project / "__init__.py").touch()
    entries, before = [], None
    for uuid, given in (blocks or {}).items():
        block = given if isinstance(given, BlockFile) else _guessed(given, before)
        path = project / TYPE_FOLDERS[block.type] / f"{uuid}.{EXTENSIONS[block.language]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.source, encoding="utf-8")
        entry = {"uuid": uuid, "name": uuid, "type": block.type, "language": block.language}
        entries.append({**entry, "upstream_blocks": list(block.parents), "downstream_blocks": [], **block.settings})
        before = uuid
    for entry in entries:
        entry["downstream_blocks"] = [e["uuid"] for e in entries if entry["uuid"] in e["upstream_blocks"]]
    document = {"uuid": pipeline, "name": pipeline, "type": "python", "blocks": entries}
    if variables:
        document["variables"] = dict(variables)
    (folder / "metadata.yaml").write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    for relative, text in (files or {}).items():
        (project / relative).parent.mkdir(parents=True, exist_ok=True)
        (project / relative).write_text(text, encoding="utf-8")
    return project


def _guessed(source: str, before: str | None) -> BlockFile:
    if "@data_loader" in source or before is None:
        return BlockFile(source, "data_loader")
    return BlockFile(source, "transformer", (before,))


def chain(length: int) -> dict[str, BlockFile]:
    """Return `length` blocks that do nothing, each the child of the one before."""
    blocks = {"b0": BlockFile(LOADER, "data_loader")}
    for number in range(1, length):
        blocks[f"b{number}"] = BlockFile(PASS_ON, "transformer", (f"b{number - 1}",))
    return blocks


class FrozenClock:
    """A clock that moves only when told."""

    def __init__(self, at: datetime = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)) -> None:
        self.at = at
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


def wait_until(
    condition: Callable[[], object], timeout_s: float = 30.0, *, fd: int | None = None, what: str = ""
) -> object:
    """Return the first true value of `condition`, looked at after every event on `fd`, or every few milliseconds.

    For what no event tells (a file of another process). Raises TimeoutError with `what` at the deadline.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        found = condition()
        if found:
            return found
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"not within {timeout_s:g} s: {what or condition}")
        select.select([fd] if fd is not None else [], [], [], min(left, 0.02))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run browser stories last: Playwright keeps an event loop and child processes in this process until the end."""
    items.sort(key=lambda item: "e2e" in item.path.parts)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace with its state folder."""
    made = Workspace.open(tmp_path, create=True)
    made.ensure_state_dir()
    return made


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """The context of an empty workspace in `tmp_path`, closed at the end."""
    ctx = open_context(tmp_path, create=True)
    yield ctx
    ctx.close()


@pytest.fixture
def settings() -> Settings:
    return Settings(cancel_grace_s=0.3)
