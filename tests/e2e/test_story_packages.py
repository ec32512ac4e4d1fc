"""A project whose blocks import a package that is not there: the editor says so, one click installs it, and it runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import make_project, wait_until
from tests.engine.test_environments import ADD, TINY, wheel

pytestmark = pytest.mark.e2e
SLOW_S = 60_000


@pytest.fixture
def shelf(tmp_path, monkeypatch) -> Path:
    wheel(tmp_path / "shelf")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shelf"))
    return tmp_path / "shelf"


def picture(page: Page, name: str) -> None:
    """Keep a screenshot in each theme where a person asked for them."""
    folder = os.environ.get("SPELLBOOK_SCREENSHOTS")
    for theme in ("dark", "light") if folder else ():
        page.emulate_media(color_scheme=theme)
        page.wait_for_timeout(700)
        page.screenshot(path=f"{folder}/{name}-{theme}.png")


def test_missing_package_is_installed_with_one_click(served, page_factory, tmp_path, shelf):
    project = make_project(tmp_path, blocks={"a": TINY, "b": "import no_such_package\n" + ADD})
    page = page_factory(served().address)
    page.locator(".st-key-row_0").get_by_role("link", name="main").click()
    banner = page.locator(".st-key-packages_ready")
    expect(banner).to_contain_text("This project needs", timeout=SLOW_S)
    expect(banner).to_contain_text("tinypack")
    picture(page, "packages-missing")

    page.get_by_role("button", name="Install into this project's environment").click()
    failed = page.locator(".st-key-packages_failed")
    expect(failed).to_contain_text("No matching distribution found for no_such_package", timeout=SLOW_S)
    picture(page, "packages-failed")
    assert "packages" not in (project / "metadata.yaml").read_text()

    page.locator(".st-key-packages_failed").get_by_role("button", name="no_such_package", exact=True).click()
    page.get_by_role("button", name="Install into this project's environment").click()
    expect(page.locator(".st-key-packages_failed, .st-key-packages_ready")).not_to_contain_text(
        "tinypack in", timeout=SLOW_S
    )
    wait_until(lambda: "- tinypack\n" in (project / "metadata.yaml").read_text(), what="the project's list")
    (project / "transformers/b.py").write_text(ADD)
    expect(page.get_by_text("This project needs")).to_have_count(0, timeout=SLOW_S)
    page.get_by_role("button", name="Run pipeline now").click()
    expect(page.locator(".st-key-card_b")).to_contain_text("42", timeout=SLOW_S)

    page.locator(".st-key-nav").get_by_role("link", name="Settings", exact=True).click()
    card = page.locator(".st-key-settings_environments")
    expect(card).to_contain_text("tinypack", timeout=SLOW_S)
    expect(card).to_contain_text("used by demo")
    card.scroll_into_view_if_needed()
    picture(page, "environments")
