"""A project made by somebody with bad intentions: looked at on every screen, nothing of it runs, opens or calls out."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Page, expect

from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.model.run import NewRun, Status
from spellbook_core.services import runs
from spellbook_core.services.wiring import open_context
from spellbook_core.ui.components.dag.nodes import shorten
from tests.conftest import BlockFile, make_project, wait_until
from tests.e2e.steps import GRAPH, SLOW_MS, box_of, expect_states, open_editor, show_tab

pytestmark = pytest.mark.e2e

SCRIPT = "<img src=x onerror=window.top.__pwn=1>"
IMAGE = "![x](http://127.0.0.1:9/canary)"
ADDRESS = "javascript:window.top.__pwn=1"
NAMES = {"load": SCRIPT, "fill": IMAGE, "train": ADDRESS}
"""uuid -> display name, which a file from elsewhere may hold; a uuid itself allows no such characters."""

LOAD = f"""
@data_loader
def load(*args, **kwargs):
    import pandas as pd

    return pd.DataFrame({{{SCRIPT!r}: [1, 2], {IMAGE!r}: [3, 4]}})
"""
PASS = "@transformer\ndef pass_on(data, *args, **kwargs):\n    return data\n"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A workspace whose pipeline, blocks and columns carry markup in their names."""
    blocks = {
        "load": BlockFile(LOAD, "data_loader"),
        "fill": BlockFile(PASS, "transformer", ("load",)),
        "train": BlockFile(PASS, "transformer", ("fill",)),
    }
    file = make_project(tmp_path, blocks=blocks) / "pipelines/main/metadata.yaml"
    document = yaml.safe_load(file.read_text())
    document["name"] = SCRIPT
    for block in document["blocks"]:
        block["name"] = NAMES[block["uuid"]]
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return tmp_path


@pytest.mark.guarantee("N17")
def test_hostile_names_do_nothing_in_the_editors_graph(hostile, served, page_factory):
    """Hovered and double clicked, names with markup stay letters: nothing runs, no tab opens, nobody is asked."""
    page = open_editor(page_factory, served().address)
    check_letters(page)
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    page.locator(".st-key-run_pipeline button").click()
    expect_states(page, dict.fromkeys(NAMES, "Completed"))
    tabs = page.context.pages[:]
    for name in NAMES.values():
        drawn = shorten(name, 24)
        spot = box_of(page, drawn, label="completed")
        page.mouse.move(*spot)
        page.mouse.dblclick(*spot)
        box_of(page, drawn, label="completed")  # drawn anew after the clicks: whatever they start has started
    for tab in ("Profile", "Table"):
        shown = show_tab(page, "load", tab)
        expect(shown.locator("canvas").first).to_be_visible(timeout=SLOW_MS)
    assert all(frame.evaluate("window.__pwn") is None for frame in page.frames)
    assert page.frame_locator(GRAPH).locator("canvas").count() == 1
    assert page.frame_locator(GRAPH).locator("img").count() == 0
    page.locator(".st-key-side").get_by_text("History", exact=True).click()  # takes the graph's frame off the page
    expect(page.locator(".st-key-history_1")).to_be_visible(timeout=SLOW_MS)
    assert page.context.pages == tabs
    assert page.evaluate("window.__pwn") is None
    assert [url for url in asked if "canary" in url or url.startswith("javascript")] == []
    assert page.locator('img[src*="canary"], img[src="x"]').count() == 0


def check_letters(page: Page) -> None:
    for block, name in NAMES.items():
        heading = page.locator(f".st-key-name_{block} button").first
        expect(heading).to_be_visible(timeout=SLOW_MS)
        assert heading.inner_text().replace("\u2060", "") == name
    assert page.locator(".st-key-toolbar_title").inner_text().replace("\u2060", "") == SCRIPT


class Evil:
    """Leaves a folder behind when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self):
        return os.mkdir, (self.canary,)


ODD = """
import fractions


@data_loader
def odd(*args, **kwargs):
    return fractions.Fraction(1, 3)
"""


RUN_TABS = {
    "Outputs": "Fraction",
    "Metrics": "No metric was logged",
    "Code": "fractions.Fraction(1, 3)",
    "Tests": "The block has no tests",
    "Logs": "Nothing was printed",
}
"""Tab of a run's page -> what it says of the block `odd`."""


@pytest.mark.guarantee("N25")
def test_no_screen_opens_a_planted_pickle(served, page_factory, tmp_path):
    """In the artifact store in place of a stored value, and in the project: every screen shows its page around it."""
    canary = tmp_path / "unpickled"
    planted = pickle.dumps(Evil(canary))
    project = make_project(tmp_path, blocks={"odd": BlockFile(ODD, "data_loader")})
    (project / "model.pkl").write_bytes(planted)
    run_once(tmp_path)
    stored = list((tmp_path / ".spellbook/artifacts").rglob("data.pkl"))
    assert stored, "the value must be one that is stored as a pickle"
    for path in stored:
        path.chmod(0o600)
        path.write_bytes(planted)

    page = open_editor(page_factory, served().address)
    expect(page.locator(".st-key-shown_odd")).to_contain_text("Fraction", timeout=SLOW_MS)
    for tab in ("Logs", "Variables", "History"):
        page.locator(".st-key-side").get_by_text(tab, exact=True).click()
    expect(page.locator(".st-key-history_1")).to_be_visible(timeout=SLOW_MS)
    for screen in ("Library", "Runs", "Settings", "Pipelines", "Files"):
        page.locator(".st-key-nav").get_by_role("link", name=screen, exact=True).click()
        expect(page.get_by_role("heading", name=screen, exact=True)).to_be_visible(timeout=SLOW_MS)
    page.get_by_role("button", name="model.pkl").click()
    page_factory.idle(page)
    origin = page.url.split("/files")[0]
    page.goto(f"{origin}/run?project=demo&id=1&block=odd")
    expect(page.get_by_role("heading", name="Run 1")).to_be_visible(timeout=SLOW_MS)
    for tab, told in RUN_TABS.items():
        page.locator(".st-key-tab").get_by_text(tab, exact=True).click()
        expect(page.locator(".stMain")).to_contain_text(told, timeout=SLOW_MS)
        page_factory.idle(page)
    assert not canary.exists()
    pickle.loads(planted)
    assert canary.exists(), "the control: unpickled, it does leave its canary"


def run_once(workspace: Path) -> None:
    """Run the pipeline to its end, without a page."""
    ctx = open_context(workspace)
    run = runs.start(ctx, NewRun(ProjectName("demo"), PipelineUuid("main"), "manual"))
    wait_until(lambda: runs.get(ctx, run.id).status is Status.COMPLETED, what="the run")
    ctx.close()
