"""Going from page to page while events arrive never blanks a page nor takes the person back."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.conftest import BlockFile, make_project

pytestmark = pytest.mark.e2e

CHATTER = """import time

from spellbook_core import data_loader, log_metric


@data_loader
def chatter(*args, **kwargs):
    for step in range(1200):
        print("line", step)
        log_metric("loss", 1 / (step + 1), step=step)
        time.sleep(0.05)
"""
HEADINGS = {"Runs": "Runs", "Library": "Library", "Files": "Files", "Settings": "Settings", "Pipelines": "Pipelines"}


def test_pages_open_while_events_arrive(served, page_factory, tmp_path):
    """A report that comes behind a page change used to take the person back, or to blank the new page."""
    make_project(tmp_path, blocks={"chatter": BlockFile(CHATTER, "data_loader")})
    page = page_factory(served().address)
    page.locator(".st-key-run_main button").first.click()
    navigation = page.locator(".st-key-nav")
    for _ in range(3):
        for name, heading in HEADINGS.items():
            navigation.get_by_role("link", name=name, exact=True).click()
            expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        navigation.get_by_role("link", name="Editor", exact=True).click()
        expect(page.locator(".st-key-toolbar")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Pipelines", exact=True)).to_be_visible()
