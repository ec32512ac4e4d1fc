"""A person adds a chart to a block, changes its data, and takes it away again."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.conftest import BlockFile
from tests.e2e.steps import SLOW_MS, open_editor

pytestmark = pytest.mark.e2e

LOAD = """
import pandas as pd

@data_loader
def load():
    return pd.DataFrame({"g": ["a", "b", "a"], "v": [1.0, 2.0, 4.0]})
"""


def test_chart_is_added_drawn_and_removed(own, page_factory):
    project = own.make(blocks={"load": BlockFile(LOAD, "data_loader")})
    page = open_editor(page_factory, own.address)
    page.locator(".st-key-run_load button").first.click()
    add = page.locator(".st-key-add_chart_load button").first
    expect(add).to_be_visible(timeout=SLOW_MS)
    add.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Group by")).to_be_visible(timeout=SLOW_MS)
    page.locator(".st-key-chart_confirm button").click()
    frame = page.locator('[class*="st-key-chart_bar_chart_of_load"]').first
    expect(frame.locator("canvas, svg.marks").first).to_be_visible(timeout=SLOW_MS)
    expect(dialog).to_have_count(0)
    assert (project / "charts" / "bar_chart_of_load.py").exists()
    assert "chart_type: bar chart" in (project / "pipelines" / "main" / "metadata.yaml").read_text()
    frame.locator('[class*="st-key-chartmenu_"] button').first.click()
    page.get_by_text("Remove", exact=True).last.click()
    expect(frame).to_have_count(0, timeout=SLOW_MS)
    assert not (project / "charts" / "bar_chart_of_load.py").exists()
    page.locator(".st-key-undo_bar").get_by_role("button", name="Undo").click()
    expect(frame.locator("canvas, svg.marks").first).to_be_visible(timeout=SLOW_MS)
    assert (project / "charts" / "bar_chart_of_load.py").exists()
