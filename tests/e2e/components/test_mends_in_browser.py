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
    page = page_factory(streamlit_server(APP))
    page.get_by_role("link", name="Go to the clock").click()
    column = page.locator(".st-key-column")
    for _ in range(40):
        page.locator(".st-key-redraw button").click()
        expect(column).to_have_text(re.compile(r"^tickingsecondredrawn \d+$"))


def test_a_click_beside_a_timer_counts_once(page_factory, streamlit_server: Callable[[Path], str]) -> None:
    """The timer of the clock is due when the button is clicked, so it comes before the click is sent."""
    page = page_factory(streamlit_server(APP))
    page.get_by_role("link", name="Go to the clock").click()
    counted = page.locator(".st-key-counted")
    for clicks in range(1, 11):
        expect(counted).to_have_text(f"counted {clicks - 1}")
        page.evaluate(
            """() => {
              const until = performance.now() + 60;
              while (performance.now() < until);
              document.querySelector('.st-key-count button').click();
            }"""
        )
        expect(counted).to_have_text(f"counted {clicks}")
    page.locator(".st-key-redraw button").click()  # behind whatever a click may have sent twice
    expect(page.locator(".st-key-column")).to_contain_text("redrawn 1")
    expect(counted).to_have_text("counted 10")


def test_a_report_from_a_page_that_was_left_does_not_touch_the_new_one(
    page_factory, streamlit_server: Callable[[Path], str]
) -> None:
    """The link, then at once a button of a fragment: its report names the page that was left."""
    page = page_factory(streamlit_server(APP))
    lines = page.locator(".st-key-elsewhere")
    for delay_ms in range(0, 20, 2):
        page.get_by_role("link", name="Go elsewhere").wait_for()
        page.evaluate(
            """(delay) => {
              const button = document.querySelector('.st-key-within button');
              document.querySelector('[data-testid="stPageLink"] a').click();
              setTimeout(() => button.click(), delay);
            }""",
            delay_ms,
        )
        expect(lines).to_contain_text("line 8")
        page_factory.idle(page)
        expect(lines).to_contain_text("line 8")
        assert page.url.endswith("/elsewhere")
        page.go_back()
