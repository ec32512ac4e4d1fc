"""A notebook without the mouse: run, run and go on, save, add."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import BlockFile, wait_until
from tests.e2e.steps import SLOW_MS, code_of, expect_states, open_editor, state_of

pytestmark = pytest.mark.e2e

LOAD = "@data_loader\ndef load(*args, **kwargs):\n    return [1]\n"
PASS = "@transformer\ndef pass_on(data, *args, **kwargs):\n    return data\n"
HAS_CURSOR = """(key) => {
  const host = document.querySelector(`.st-key-editor_${key} [data-testid=stBidiComponentIsolated]`);
  return Boolean(host && host.shadowRoot && host.shadowRoot.activeElement);
}"""


def test_notebook_by_keyboard(own, page_factory):
    blocks = {
        "load": BlockFile(LOAD, "data_loader"),
        "first": BlockFile(PASS, "transformer", ("load",)),
        "second": BlockFile(PASS, "transformer", ("first",)),
    }
    project = own.make(blocks=blocks)
    page = open_editor(page_factory, own.address)
    type_at_the_end(page, "load", "# one")
    page.keyboard.press("Control+Enter")
    expect_states(page, {"load": "Completed"})
    assert (project / "data_loaders/load.py").read_text() == LOAD + "# one"
    assert page.evaluate(HAS_CURSOR, "load"), "Ctrl+Enter keeps the cursor where it is"

    page.keyboard.press("Shift+Enter")
    page.wait_for_function(HAS_CURSOR, arg="first")
    page.keyboard.press("Shift+Enter")
    page.wait_for_function(HAS_CURSOR, arg="second")
    expect_states(page, {"first": "Completed"})
    expect(state_of(page, "second")).to_contain_text("Never run")

    type_at_the_end(page, "second", "# two")
    page.keyboard.press("Control+s")
    wait_until(lambda: (project / "transformers/second.py").read_text() == PASS + "# two", what="the save")

    page.keyboard.press("Alt+n")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Add a block", timeout=SLOW_MS)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.locator(".st-key-toolbar_title").click()
    page.keyboard.press("Alt+n")
    expect(dialog).to_contain_text("Add a block", timeout=SLOW_MS)


def type_at_the_end(page: Page, block: str, text: str) -> None:
    code_of(page, block).click()
    page.keyboard.press("Control+End")
    page.keyboard.type(text)
