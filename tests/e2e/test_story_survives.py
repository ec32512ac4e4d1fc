"""A run belongs to the engine: closing the tab or killing the page's process takes nothing from it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from spellbook_core.model.naming import BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.run import Status
from spellbook_core.services import runs
from spellbook_core.services.wiring import Context, open_context
from tests.conftest import BlockFile, make_project, wait_until
from tests.e2e.steps import SLOW_MS, open_editor, show_tab, state_of

pytestmark = pytest.mark.e2e

TALK = """import time
from pathlib import Path

from spellbook_core import data_loader, log_metric

GATES = Path(__file__).parents[1]


@data_loader
def talk(*args, **kwargs):
    for number in range(300):
        print("line", number)
        log_metric("loss", 1 / (number + 1), step=number)
        for gate in (100, 200):
            while number == gate and not (GATES / f"after_{gate}").exists():
                time.sleep(0.01)
    return {"lines": 300}
"""
"""Waits twice for the test, so that the middle of its run lasts as long as the test needs."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path, blocks={"talk": BlockFile(TALK, "data_loader")})


@pytest.fixture
def store(project: Path, tmp_path: Path) -> Iterator[Context]:
    ctx = open_context(tmp_path)
    yield ctx
    ctx.close()


def lines(ctx: Context) -> list[str]:
    """Return what the block has printed, as the log file has it."""
    run = runs.latest_block_runs(ctx, ProjectName("demo"), PipelineUuid("main"))[BlockUuid("talk")]
    return [line.text for line in runs.log(ctx, run, limit=2000).lines if line.stream == "stdout"]


def has_completed(ctx: Context) -> bool:
    return runs.get(ctx, RunId(1)).status is Status.COMPLETED


@pytest.mark.guarantee("F54")
def test_closed_tab_takes_nothing_from_the_run(served, page_factory, project, store):
    """The tab is closed in the middle; another browser shows the run going on, and no line is missing."""
    address = served().address
    page = open_editor(page_factory, address)
    page.locator(".st-key-run_talk button").first.click()
    expect(page.locator(".st-key-running_talk")).to_contain_text("line 100", timeout=SLOW_MS)
    page.context.close()
    (project / "after_100").touch()
    wait_until(lambda: "line 200" in lines(store), what="the run going on without a tab")

    page = open_editor(page_factory, address)
    expect(state_of(page, "talk")).to_contain_text("Running", timeout=SLOW_MS)
    expect(page.locator(".st-key-running_talk")).to_contain_text("line 200", timeout=SLOW_MS)
    (project / "after_200").touch()
    expect(state_of(page, "talk")).to_contain_text("Completed", timeout=SLOW_MS)
    expect(show_tab(page, "talk", "Logs")).to_contain_text("line 299", timeout=SLOW_MS)
    assert lines(store) == [f"line {number}" for number in range(300)]
    run = runs.latest_block_runs(store, ProjectName("demo"), PipelineUuid("main"))[BlockUuid("talk")]
    assert [step for step, _, _ in runs.metrics(store, run).series["loss"]] == list(range(300))


@pytest.mark.guarantee("F2")
def test_killed_page_takes_nothing_from_the_run(served, page_factory, project, store):
    """`kill -9` of the page's process in the middle: the run completes; started again, the page shows it."""
    first = served()
    page = open_editor(page_factory, first.address)
    page.locator(".st-key-run_pipeline button").first.click()
    expect(page.locator(".st-key-running_talk")).to_contain_text("line 100", timeout=SLOW_MS)
    page.context.close()  # it would rightly complain that its server is gone
    first.process.send_signal(signal.SIGKILL)
    first.process.wait(20)
    assert not has_completed(store)
    for gate in ("after_100", "after_200"):
        (project / gate).touch()
    wait_until(lambda: has_completed(store), what="the run completing without a page")
    assert lines(store) == [f"line {number}" for number in range(300)]

    page = open_editor(page_factory, served().address)
    expect(state_of(page, "talk")).to_contain_text("Completed", timeout=SLOW_MS)
    expect(show_tab(page, "talk", "Logs")).to_contain_text("line 299", timeout=SLOW_MS)
    page.locator(".st-key-last_run a").click()
    expect(page.get_by_role("heading", name="Run 1")).to_be_visible(timeout=SLOW_MS)
    expect(page.locator(".st-key-run_header")).to_contain_text("completed")
