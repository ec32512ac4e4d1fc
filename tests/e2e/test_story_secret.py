"""A person keeps a secret on the Settings screen, uses it in a block, and never sees it again."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.conftest import BlockFile
from tests.e2e.steps import SLOW_MS, expect_states, run, show_tab

pytestmark = pytest.mark.e2e

VALUE = "correct-horse-battery"
SOURCE = """
from spellbook_core import secret

@data_loader
def load(*args, **kwargs):
    import pandas as pd

    print("the key is", secret("API_KEY"))
    return pd.DataFrame({"key": [secret("API_KEY")], "formula": ["=1+cmd()"]})
"""


@pytest.mark.guarantee("N31")
@pytest.mark.guarantee("N20")
def test_secret_is_used_and_never_shown(own, page_factory):
    """Kept in a form, asked for by a block: stars in the log and the table; the file downloaded runs no formula."""
    project = own.make(blocks={"load": BlockFile(SOURCE, "data_loader")})
    page = page_factory(own.address)
    page.locator(".st-key-nav").get_by_role("link", name="Settings", exact=True).click()
    card = page.locator(".st-key-settings_secrets")
    card.get_by_label("Name", exact=True).fill("API_KEY")
    card.locator("input[type=password]").fill(VALUE)
    card.get_by_role("button", name="Keep").click()
    expect(card.locator(".st-key-secret_row_API_KEY")).to_be_visible(timeout=SLOW_MS)
    expect(card.locator("input[type=password]")).to_have_value("")
    assert (project / ".env").stat().st_mode & 0o777 == 0o600

    page.locator(".st-key-nav").get_by_role("link", name="Editor", exact=True).click()
    run(page, "load")
    expect_states(page, {"load": "Completed"})
    expect(show_tab(page, "load", "Logs")).to_contain_text("the key is ***", timeout=SLOW_MS)
    shown = show_tab(page, "load", "Table")
    expect(shown.locator("canvas").first).to_be_visible(timeout=SLOW_MS)
    assert VALUE not in page.content()
    for path in (own.root / ".spellbook").rglob("*"):
        assert not path.is_file() or path.name.startswith("data.") or VALUE.encode() not in path.read_bytes(), path

    shown.get_by_role("button", name="Download").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=False).last.click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    assert rows == [{"key": VALUE, "formula": "'=1+cmd()"}]
