from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e

APP = Path(__file__).with_name("editor_app.py")


@pytest.fixture
def page(page_factory, streamlit_server: Callable[[Path], str]) -> Page:
    page = page_factory(streamlit_server(APP))
    content(page).wait_for()
    return page


def content(page: Page):
    return page.locator(".st-key-code .cm-content")


def text_of(page: Page) -> str:
    return "\n".join(content(page).locator(".cm-line").all_inner_texts()).replace("\xa0", " ")


def events(page: Page) -> list[list[object]]:
    return json.loads(page.locator(".st-key-events").inner_text())


def wait_for_events(page: Page, name: str, count: int) -> None:
    page.wait_for_function(
        """([name, count]) => JSON.parse(document.querySelector('.st-key-events').innerText)
            .filter((event) => event[0] === name).length >= count""",
        arg=[name, count],
    )


def clear(page: Page) -> None:
    page.get_by_role("button", name="Clear").click()
    expect(content(page).locator(".cm-line")).to_have_count(1)
    content(page).click()


def test_fast_typing_arrives_whole(page: Page) -> None:
    """While another fragment reruns every half second; letters c and r are Streamlit's own shortcuts elsewhere."""
    clear(page)
    letters = random.Random(3)
    typed = "crc " + "".join(letters.choice("abcdefghr 0123456789_=+,.:()[]") for _ in range(396)).replace("(", "(x)")
    typed = typed.replace(")", "").replace("]", "").replace("[", "").replace("(", "")[:400].ljust(400, "q")
    page.keyboard.type(typed)
    expect(page.locator(".st-key-received code").last).to_have_text(typed)
    assert text_of(page) == typed
    assert {name for name, _ in events(page)} == {"draft"}
    assert page.get_by_role("dialog").count() == 0


def test_ctrl_enter_runs_once_with_the_text_on_screen(page: Page) -> None:
    clear(page)
    page.keyboard.type("x = 1")
    page.keyboard.press("Control+Enter")
    wait_for_events(page, "run", 1)
    expect(page.locator(".st-key-received code").last).to_have_text("x = 1")
    for count in (2, 3):
        page.keyboard.press("Control+Enter")
        wait_for_events(page, "run", count)
    page.wait_for_function("() => document.querySelector('.st-key-ticks').innerText.length > 0")
    assert [name for name, _ in events(page)].count("run") == 3
    assert text_of(page) == "x = 1"


def test_quick_presses_are_all_delivered(page: Page) -> None:
    clear(page)
    for _ in range(6):
        page.keyboard.type("y")
        page.keyboard.press("Control+Enter")
    wait_for_events(page, "run", 6)
    assert [name for name, _ in events(page)].count("run") == 6
    expect(page.locator(".st-key-received code").last).to_have_text("yyyyyy")


def test_every_key_has_its_event(page: Page) -> None:
    content(page).click()
    page.keyboard.press("Shift+Enter")
    wait_for_events(page, "run_next", 1)
    page.keyboard.press("Control+s")
    wait_for_events(page, "save", 1)
    page.keyboard.press("Alt+n")
    wait_for_events(page, "add", 1)
    assert [name for name, _ in events(page)] == ["run_next", "save", "add"]


def test_change_from_outside_keeps_the_cursor_and_the_undo(page: Page) -> None:
    content(page).get_by_text("return frame").click()
    page.keyboard.press("End")
    page.keyboard.type(".copy")
    expect(page.locator(".st-key-received code").last).to_contain_text("return frame.copy")
    page.get_by_role("button", name="Change outside").click()
    expect(content(page)).to_contain_text("# changed outside")
    expect(content(page)).to_contain_text("int = 1000")
    content(page).focus()
    page.keyboard.type("()")
    expect(content(page)).to_contain_text("return frame.copy()")
    for _ in range(12):  # slow typing makes an entry of each key
        page.keyboard.press("Control+z")
    expect(content(page)).not_to_contain_text(".copy")
    expect(content(page)).to_contain_text("# changed outside")


def test_error_line_is_marked_and_its_message_is_text(page: Page) -> None:
    page.get_by_role("button", name="Fail").click()
    line = content(page).locator(".sb-line-error")
    expect(line).to_contain_text("raise ValueError")
    message = content(page).locator(".sb-message-error")
    expect(message).to_have_text('ValueError: 177 rows have <b onmouseover="window.__pwn=1">no</b> age')
    expect(page.locator(".st-key-code .cm-lint-marker-error")).to_be_visible()
    line.hover()
    message.hover()
    assert page.evaluate("window.__pwn") is None
    content(page).get_by_text("import pandas").click()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(line).to_contain_text("raise ValueError")


def test_completion_offers_server_words(page: Page) -> None:
    clear(page)
    page.keyboard.type('frame["Surv', delay=30)
    option = page.locator(".st-key-code .cm-tooltip-autocomplete li", has_text="Survived_predict")
    expect(option).to_contain_text("int64 · load_titanic")
    option.click()
    expect(content(page)).to_have_text('frame["Survived_predict"]')


def test_python_keywords_are_offered(page: Page) -> None:
    clear(page)
    page.keyboard.type("enum", delay=30)
    expect(page.locator(".st-key-code .cm-tooltip-autocomplete li", has_text="enumerate")).to_be_visible()


def test_leaving_the_editor_sends_the_draft_at_once(page: Page) -> None:
    clear(page)
    page.keyboard.type("left = 1")
    page.locator(".st-key-hide label").click(delay=80)
    expect(page.locator(".st-key-hidden_text code").last).to_have_text("left = 1")


def test_text_survives_an_editor_that_vanishes(page: Page) -> None:
    """The click comes with the draft, so Streamlit may have forgotten the editor before the draft is handled."""
    clear(page)
    page.keyboard.type("left = 2")
    page.locator(".st-key-hide label").click()
    expect(page.locator(".st-key-hidden_text")).to_be_visible()
    page.locator(".st-key-hide label").click()
    expect(content(page)).to_have_text("left = 2")
    expect(page.locator(".st-key-received code").last).to_have_text("left = 2")


def test_tab_indents_and_escape_tab_leaves(page: Page) -> None:
    clear(page)
    page.keyboard.press("Tab")
    page.keyboard.type("a")
    assert text_of(page) == "    a"
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(page.locator(".st-key-code .cm-editor")).not_to_have_class("cm-focused")
    assert text_of(page) == "    a"


def test_search_opens_inside_the_editor(page: Page) -> None:
    content(page).click()
    page.keyboard.press("Control+f")
    field = page.locator(".st-key-code .cm-search [name=search]")
    expect(field).to_be_focused()
    field.press_sequentially("frame")
    expect(page.locator(".st-key-code .cm-searchMatch").first).to_be_visible()


def test_readonly_text_runs_but_does_not_change(page: Page) -> None:
    page.get_by_text("json", exact=True).click()
    other = page.locator(".st-key-other_json .cm-content")
    other.click()
    page.keyboard.type("zzz")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("ran {")).to_be_visible()
    expect(other).to_have_text('{"a": 1, "b": [true, null, "x"]}')


def test_button_runs_what_was_typed_last(page: Page) -> None:
    clear(page)
    page.keyboard.type("newest = 1")
    page.get_by_role("button", name="Run").click()
    wait_for_events(page, "button", 1)
    assert ["button", "newest = 1"] in events(page)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_code_is_readable_in_both_themes(page_factory, streamlit_server, theme: str) -> None:
    page = page_factory(streamlit_server(APP), theme=theme)
    content(page).wait_for()
    ratio = page.evaluate(
        """() => {
          const luminance = (text) => {
            const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
              .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const host = document.querySelector('.st-key-code [data-testid=stBidiComponentIsolated]').shadowRoot;
          const fill = luminance(getComputedStyle(host.querySelector('.cm-editor')).backgroundColor);
          return Math.min(...[...host.querySelectorAll('.cm-line span:not(.sb-message)')].map((span) => {
            const ink = luminance(getComputedStyle(span).color);
            return (Math.max(ink, fill) + 0.05) / (Math.min(ink, fill) + 0.05);
          }));
        }"""
    )
    assert ratio >= 4.5
