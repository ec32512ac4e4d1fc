"""A person works with SQL, a shell script and a text in the editor; nothing of a text reaches out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import expect

from tests.conftest import BlockFile, wait_until
from tests.e2e.conftest import OwnProject
from tests.e2e.steps import SLOW_MS, card, expect_states, open_add_dialog, open_editor, run, write
from tests.unit.ui.test_markdown_text import HOSTILE

pytestmark = pytest.mark.e2e

PARENT = "select unnest([1, 2, 3]) as n, 'x' as s"


@pytest.fixture
def other(own: OwnProject) -> Path:
    blocks = {
        "numbers": BlockFile(PARENT, "data_loader", language="sql"),
        "notes": BlockFile(f"# Notes\n\n**Bold** words.\n\n{HOSTILE}", "markdown", language="markdown"),
    }
    return own.make(blocks=blocks, variables={"least": 2})


@pytest.mark.guarantee("N19")
def test_sql_shell_and_text_are_edited_run_and_read(other, own, page_factory):
    """The page factory fails the test when the page asks another address, a picture's in a text included."""
    page = open_editor(page_factory, own.address)
    text = card(page, "notes")
    expect(text.get_by_role("heading", name="Notes")).to_be_visible(timeout=SLOW_MS)
    expect(text.locator("strong").get_by_text("Bold")).to_be_visible()
    assert text.locator("img").count() == text.locator("a[href^='http']").count() == text.locator("script").count() == 0
    expect(text.get_by_role("button", name="Run")).to_have_count(0)

    run(page, "numbers")
    expect_states(page, {"numbers": "Completed"})
    dialog = open_add_dialog(page, "transformer")
    dialog.get_by_text("Select with SQL").first.click()
    expect(dialog.locator("code").first).to_contain_text("FROM {{ df_1 }}")
    page.locator(".st-key-add_name input").fill("few")
    page.locator(".st-key-add_name input").press("Tab")
    page.locator(".st-key-add_confirm button").click()
    expect(card(page, "few")).to_be_visible(timeout=SLOW_MS)
    expect(dialog).to_have_count(0)
    expect(card(page, "few").get_by_text("SQL", exact=True).first).to_be_visible()
    write(page, "few", "select n, s\nfrom {{ df_1 }}\nwhere n >= {{ least }} and nix")
    run(page, "few")
    expect_states(page, {"few": "Failed"})
    expect(card(page, "few").get_by_text("Line 3: Binder Error").first).to_be_visible()
    write(page, "few", "select n, s\nfrom {{ df_1 }}\nwhere n >= {{ least }}")
    run(page, "few")
    expect_states(page, {"few": "Completed"})
    expect(card(page, "few").get_by_text("2 rows × 2 columns").first).to_be_visible()
    shoot(page, "cards")

    text.get_by_text("Edit", exact=True).click()
    write(page, "notes", "# Other words")
    page.keyboard.press("Control+s")
    wait_until(lambda: (other / "markdowns/notes.md").read_text() == "# Other words", what="the text is saved")
    text.get_by_text("Read", exact=True).click()
    expect(text.get_by_role("heading", name="Other words")).to_be_visible(timeout=SLOW_MS)


def test_database_of_a_sql_block_is_set_on_its_card(other, own, page_factory):
    page = open_editor(page_factory, own.address)
    card(page, "numbers").get_by_role("button", name="more_vert").click()
    page.get_by_role("menuitem").filter(has_text="Settings").click()
    dialog = page.get_by_role("dialog")
    field = dialog.get_by_role("textbox", name="DuckDB file")
    field.fill("data/warehouse.duckdb")
    field.press("Enter")
    dialog.get_by_text("Replace it", exact=True).click()
    shoot(page, "settings")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    file = other / "pipelines/main/metadata.yaml"
    wanted = {"data_provider_database": "data/warehouse.duckdb", "export_write_policy": "replace"}
    wait_until(lambda: yaml.safe_load(file.read_text())["blocks"][0].get("configuration") == wanted, what="it is saved")


def shoot(page, name):
    """Keep a picture of the page where SPELLBOOK_SHOTS names a folder."""
    if folder := os.environ.get("SPELLBOOK_SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
