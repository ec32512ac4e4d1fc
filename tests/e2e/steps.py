"""What the browser stories do again and again: a step of a person, and where to look for what comes of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

if TYPE_CHECKING:
    from tests.e2e.conftest import PageFactory

SLOW_MS = 60_000
"""For what takes a server and a process: a page, a run."""

GRAPH = 'iframe[title*="spellbook_dag"]'

_FIND_BOX = """(name) => {
  const canvas = document.querySelector('canvas');
  let element = canvas;
  const keyOf = (one) => Object.keys(one).find((key) => key.startsWith('__reactInternalInstance'));
  while (element && !keyOf(element)) element = element.parentElement;
  if (!element) return null;
  for (let fiber = element[keyOf(element)]; fiber; fiber = fiber.return) {
    for (let hook = fiber.memoizedState; hook && typeof hook === 'object' && 'next' in hook; hook = hook.next) {
      const network = hook.memoizedState;
      if (!network || !network.body || !network.canvas) continue;
      const box = Object.values(network.body.nodes).find((node) =>
        (node.options.label || '').replace(/[\\u2060]/g, '').split('\\n')[0] === name);
      if (!box) return null;
      const at = network.canvasToDOM({ x: box.x, y: box.y });
      return { x: at.x, y: at.y, label: box.options.label, width: canvas.clientWidth, height: canvas.clientHeight };
    }
  }
  return null;
}"""
"""The canvas has no elements to ask, but the front end keeps the vis-network that drew it."""


@dataclass
class Served:
    """A served workspace: its folder, the address that signs in, and the process that serves it."""

    root: Path
    address: str
    process: subprocess.Popen[str]

    @property
    def origin(self) -> str:
        """The address without a path."""
        return self.address.split("/?")[0]

    def stop(self) -> None:
        """End the page, if it still runs; the engine goes on."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=20)


def serve(root: Path, **environment: str) -> Served:
    """Serve the workspace `root` and return when its address was printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "spellbook_core.serve", "--no-browser", "--port", "0", "--workspace", str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )
    seen = ""
    for line in process.stdout or ():
        seen += line
        if match := re.search(r"http://\S+token=\S+", line):
            return Served(root, match.group(0), process)
    pytest.fail(f"the page did not start:\n{seen}")


# --- the editor


def open_editor(page_factory: PageFactory, address: str) -> Page:
    """Sign in on the editor's own page: of the project's pipeline, where it has but one."""
    page = page_factory(address.replace("/?", "/editor?", 1))
    expect(page.locator(".st-key-toolbar")).to_be_visible(timeout=SLOW_MS)
    return page


def add_block(page: Page, kind: str, name: str, *, template: str | None = None, parents: bool = True) -> None:
    """Add a block of a type by the buttons below the cards.

    `template` is a title in the dialog, None the blank one; without `parents` the suggested parent is taken away.
    """
    dialog = open_add_dialog(page, kind)
    if template is not None:
        dialog.get_by_text(template, exact=True).click()
        expect(dialog.locator("code").first).to_contain_text(template)
    if not parents:
        clear = dialog.get_by_test_id("stMultiSelect").get_by_role("button", name="Clear all")
        clear.click()
        expect(clear).to_have_count(0)
    field = page.locator(".st-key-add_name input")
    field.fill(name)
    field.press("Tab")
    page.locator(".st-key-add_confirm button").click()
    expect(card(page, name)).to_be_visible(timeout=SLOW_MS)
    expect(dialog).to_have_count(0)


def open_add_dialog(page: Page, kind: str) -> Locator:
    """Press the button below the cards that adds a block of a type, and return the dialog."""
    page.locator(f".st-key-add_{kind} button").last.click()  # the empty page's own buttons go at the end of the run
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".st-key-add_confirm button")).to_be_visible(timeout=SLOW_MS)
    return dialog


def write(page: Page, block: str, text: str) -> None:
    """Replace a block's text as a paste does, so that the editor adds no brackets of its own."""
    content = code_of(page, block)
    content.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)


def run(page: Page, block: str) -> None:
    """Press the Run button of a card."""
    page.locator(f".st-key-run_{block} button").first.click()


def show_tab(page: Page, block: str, tab: str) -> Locator:
    """Choose a tab of a block's result and return what it shows."""
    page.locator(f".st-key-tab_{block}").get_by_text(tab, exact=True).click()
    return page.locator(f".st-key-shown_{block}")


def card(page: Page, block: str) -> Locator:
    return page.locator(f".st-key-card_{block}")


def code_of(page: Page, block: str) -> Locator:
    return page.locator(f".st-key-editor_{block} .cm-content")


def state_of(page: Page, block: str) -> Locator:
    return page.locator(f".st-key-state_{block}")


def error_of(page: Page, block: str) -> Locator:
    return page.locator(f".st-key-error_{block}")


def expect_states(page: Page, states: Mapping[str, str], *, timeout: float = SLOW_MS) -> None:
    """Wait until each block's card says its word."""
    for block, word in states.items():
        expect(state_of(page, block)).to_contain_text(word, timeout=timeout)


# --- the graph


def box_of(page: Page, name: str, *, label: str = "") -> tuple[float, float]:
    """Return the middle of a block's box in page pixels, once it is drawn and says `label` too.

    A box outside of the picture is brought into it, by the graph's button.
    """
    found: list[dict] = []

    def is_drawn() -> bool:
        area = page.locator(GRAPH).first.bounding_box()
        frame = page.locator(GRAPH).first.element_handle().content_frame()
        spot = frame.evaluate(_FIND_BOX, name) if area and frame else None
        if not spot or label not in spot["label"]:
            return False
        found.append({"x": area["x"] + spot["x"], "y": area["y"] + spot["y"]})
        if len(found) < 2 or found[-1] != found[-2]:
            return False  # the picture has not come to rest
        if 0 < spot["x"] < spot["width"] and 0 < spot["y"] < spot["height"]:
            return True
        found.clear()
        frame.locator("#whole").click()  # a large graph begins around one block
        return False

    wait_for(page, is_drawn, what=f"the box of {name} {label}")
    return found[-1]["x"], found[-1]["y"]


def click_box(page: Page, name: str, *, label: str = "") -> None:
    """Click a block in the graph."""
    page.locator(GRAPH).first.scroll_into_view_if_needed()
    page.mouse.click(*box_of(page, name, label=label))


def wait_for(page: Page, condition, *, what: str, timeout_ms: float = SLOW_MS) -> None:
    """Wait for what no locator can tell, looking again after each frame that the page draws."""
    left = int(timeout_ms / 50)
    for _ in range(left):
        if condition():
            return
        page.evaluate("() => new Promise((done) => setTimeout(done, 50))")
    raise TimeoutError(f"not within {timeout_ms:g} ms: {what}")
