"""The main job in a browser: write blocks, link them, run one, run all, see tables, curves and errors."""

from __future__ import annotations

import re

import pytest
import yaml
from playwright.sync_api import expect

from tests.conftest import BlockFile, wait_until
from tests.e2e.steps import SLOW_MS, add_block, open_editor, state_of, write

pytestmark = pytest.mark.e2e

LOAD = """from spellbook_core import data_loader, test


@data_loader
def load(*args, **kwargs):
    import pandas as pd

    print("reading 250 rows")
    return pd.DataFrame({"n": range(250), "word": ["w"] * 250})


@test
def test_rows(output, *args):
    assert len(output) == 250
"""
DOUBLE = """from spellbook_core import log_metric, transformer


@transformer
def double(df, *args, **kwargs):
    for step in range(5):
        log_metric("loss", 1 / (step + 1), step=step)
    return df.assign(n=df["n"] * 2)
"""


def test_notebook_from_nothing(own, page_factory):
    """Add two blocks → write → link → run one → run all; results, tests, curves and files are there."""
    project = own.make()
    page = open_editor(page_factory, own.address)
    add_block(page, "data_loader", "load")
    add_block(page, "transformer", "double")
    write(page, "load", LOAD)
    page.keyboard.press("Control+Enter")
    expect(state_of(page, "load")).to_contain_text("Completed", timeout=SLOW_MS)
    assert (project / "data_loaders/load.py").read_text() == LOAD
    expect(page.locator(".st-key-facts_load")).to_contain_text("250 rows × 2 columns", timeout=SLOW_MS)
    expect(page.locator(".st-key-tab_load")).to_contain_text("Tests 1/1")
    expect(page.locator(".st-key-shown_load canvas").first).to_be_visible(timeout=SLOW_MS)
    expect(page.locator(".st-key-page_load")).to_contain_text("3")

    write(page, "double", DOUBLE)
    page.locator(".st-key-run_double button").first.click()
    expect(state_of(page, "double")).to_contain_text("Completed", timeout=SLOW_MS)
    expect(page.locator(".st-key-links_double")).to_contain_text("load · 250 × 2")
    page.locator(".st-key-tab_double").get_by_text("Metrics", exact=True).click()
    expect(page.locator(".st-key-shown_double")).to_contain_text("loss", timeout=SLOW_MS)

    expect(page.locator(".st-key-last_run")).to_contain_text("completed", timeout=SLOW_MS)
    before = int(re.search(r"Run (\d+)", page.locator(".st-key-last_run").inner_text())[1])
    page.locator(".st-key-run_pipeline button").click()
    expect(page.locator(".st-key-last_run")).to_contain_text(f"Run {before + 1} completed", timeout=SLOW_MS)
    document = yaml.safe_load((project / "pipelines/main/metadata.yaml").read_text())
    assert {block["uuid"]: block["upstream_blocks"] for block in document["blocks"]} == {
        "load": [],
        "double": ["load"],
    }


def test_error_is_shown_where_it_happened(own, page_factory):
    """A raising block: exception first, line marked, child upstream failed; mended by Run with upstream."""
    blocks = {
        "load": BlockFile(LOAD, "data_loader"),
        "double": BlockFile(DOUBLE.replace('df["n"]', 'df["missing"]'), "transformer", ("load",)),
        "last": BlockFile(DOUBLE, "transformer", ("double",)),
    }
    project = own.make(blocks=blocks, pipeline="_".join(["predicts"] * 9))
    page = open_editor(page_factory, own.address)
    run = page.locator(".st-key-run_pipeline button")
    expect(run).to_be_in_viewport(ratio=1)  # a long name gives way to the buttons
    run.click()
    expect(state_of(page, "double")).to_contain_text("Failed", timeout=SLOW_MS)
    expect(state_of(page, "last")).to_contain_text("Upstream failed", timeout=SLOW_MS)
    expect(page.locator(".st-key-error_double")).to_contain_text("KeyError")
    expect(page.locator(".st-key-error_double")).to_contain_text("transformers/double.py, line 8")
    expect(page.locator(".st-key-editor_double")).to_contain_text("KeyError: 'missing'")
    write(page, "double", DOUBLE)
    wait_until(lambda: (project / "transformers/double.py").read_text() == DOUBLE, what="the draft in the file")
    page.locator(".st-key-fix_upstream_last button").click()
    expect(state_of(page, "last")).to_contain_text("Completed", timeout=SLOW_MS)
    expect(page.locator(".st-key-error_double")).to_have_count(0)


def test_change_from_outside_is_never_lost(own, page_factory):
    """Another program writes the file: the card says so within 2 s, and the person chooses."""
    project = own.make(blocks={"load": LOAD})
    page = open_editor(page_factory, own.address)
    expect(page.locator(".st-key-editor_load .cm-content")).to_contain_text("reading 250 rows", timeout=SLOW_MS)
    file = project / "data_loaders/load.py"
    file.write_text(LOAD + "# theirs\n")
    expect(page.locator(".st-key-outside_load")).to_be_visible(timeout=SLOW_MS)
    page.locator(".st-key-reload_load button").click()
    expect(page.locator(".st-key-editor_load .cm-content")).to_contain_text("# theirs")
    assert file.read_text().endswith("# theirs\n")


@pytest.mark.guarantee("F51")
def test_removed_block_comes_back_with_its_links(own, page_factory):
    blocks = {
        "load": BlockFile(LOAD, "data_loader"),
        "double": BlockFile(DOUBLE, "transformer", ("load",)),
        "last": BlockFile(DOUBLE, "transformer", ("double",)),
    }
    project = own.make(blocks=blocks)
    file = project / "pipelines/main/metadata.yaml"
    before = yaml.safe_load(file.read_text())
    page = open_editor(page_factory, own.address)
    page.locator(".st-key-menu_double button").first.click()
    page.get_by_text("Remove from pipeline").click()
    page.locator(".st-key-remove_confirm button").click()
    expect(page.locator(".st-key-card_double")).to_have_count(0, timeout=SLOW_MS)
    page.locator(".st-key-undo button").click()
    expect(page.locator(".st-key-card_double")).to_be_visible(timeout=SLOW_MS)
    assert yaml.safe_load(file.read_text())["blocks"] == before["blocks"]
