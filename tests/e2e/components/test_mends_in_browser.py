from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.e2e

APP = Path(__file__).with_name("mends_app.py")


@pytest.mark.parametrize("first", ["First", "Within"])
def test_an_act_is_finished_whatever_follows_it(
    page_factory, streamlit_server: Callable[[Path], str], first: str
) -> None:
    """The second click asks for the whole page while the first one's callback is at work, 0.3 s long."""
    page = page_factory(streamlit_server(APP))
    page.get_by_role("button", name=first).click()
    page.get_by_role("button", name="Second").click()
    shown = page.locator(".st-key-steps_shown")
    expect(shown).to_contain_text("second=10")
    expect(shown).to_contain_text(f"{first.lower()}=10")


def test_an_act_that_waits_is_not_thrown_away(page_factory, streamlit_server: Callable[[Path], str]) -> None:
    """Three clicks at once: the second waits behind the first's callback when the third asks for the whole page."""
    page = page_factory(streamlit_server(APP))
    for name in ("Within", "Next", "Second"):
        page.get_by_role("button", name=name).click(delay=20)
    shown = page.locator(".st-key-steps_shown")
    for name in ("within", "next", "second"):
        expect(shown).to_contain_text(f"{name}=10")


def test_a_fragment_that_follows_the_page_leaves_its_neighbours(
    page_factory, streamlit_server: Callable[[Path], str]
) -> None:
    """A fragment that runs by itself all the time meets the page's own runs at every moment."""
    page = page_factory(f"{streamlit_server(APP)}/?clock=1")
    column = page.locator(".st-key-column")
    redraw = page.locator(".st-key-redraw button")
    for _ in range(40):
        before = column.inner_text()
        redraw.click()
        expect(column).not_to_have_text(before, use_inner_text=True, timeout=20_000)
        # Among so many ticks, a click may count twice.
        expect(column).to_have_text(re.compile(r"^tickingsecondredrawn \d+$"))
