from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from spellbook_core.ui.components.dag.palette import STATES

pytestmark = pytest.mark.e2e

APP = Path(__file__).with_name("dag_app.py")
GRAPH = 'iframe[title*="spellbook_dag"]'


@pytest.fixture
def page(page_factory, streamlit_server: Callable[[Path], str]) -> Page:
    page = page_factory(streamlit_server(APP))
    wait_for_box(page, "running")
    return page


def clicks(page: Page) -> list[str]:
    return json.loads(page.locator(".st-key-clicks").inner_text())


def find_box(page: Page, state: str) -> tuple[float, float] | None:
    """Return the middle of the box with that state's colour, in page pixels: the canvas has no elements to ask."""
    fill = tuple(int(STATES[state].light.fill[start : start + 2], 16) for start in (1, 3, 5))
    if page.locator(GRAPH).count() != 1:  # another direction is another frame, and the old one goes later
        return None
    area = page.locator(GRAPH).first.bounding_box()
    if area is None or not area["width"] * area["height"]:  # a frame that still loads
        return None
    picture = Image.open(io.BytesIO(page.screenshot(clip=area))).convert("RGB")
    pixels = picture.load()
    spots = [(x, y) for x in range(0, picture.width, 3) for y in range(0, picture.height, 3) if pixels[x, y] == fill]
    if len(spots) < 20:
        return None
    return area["x"] + sum(x for x, _ in spots) / len(spots), area["y"] + sum(y for _, y in spots) / len(spots)


def wait_for_box(page: Page, state: str, *, moved_from: tuple[float, float] | None = None) -> tuple[float, float]:
    """Return where the block in `state` rests: found twice at one place, which is not `moved_from`."""
    page.locator(GRAPH).first.wait_for()
    before = None
    for _ in range(100):
        found = find_box(page, state)
        if found is not None and found == before and found != moved_from:
            return found
        before = found
        page.wait_for_timeout(100)
    pytest.fail(f"no box in state {state}")


def expect_clicks(page: Page, expected: list[str]) -> None:
    expect(page.locator(".st-key-clicks")).to_have_text(json.dumps(expected))


def test_same_block_can_be_clicked_again(page: Page) -> None:
    box = wait_for_box(page, "running")
    page.mouse.click(*box)
    expect_clicks(page, ["train"])
    page.mouse.click(*box)
    expect_clicks(page, ["train"] * 2)
    page.mouse.click(*box)
    expect_clicks(page, ["train"] * 3)
    page.mouse.click(*wait_for_box(page, "stale"))
    expect_clicks(page, ["train"] * 3 + ["fill"])
    page.mouse.click(*box)
    expect_clicks(page, ["train"] * 3 + ["fill", "train"])


def test_zoom_and_place_survive_a_new_colour(page: Page) -> None:
    x, y = wait_for_box(page, "running")
    page.mouse.move(x, y)
    page.mouse.wheel(0, -240)
    page.mouse.move(x, y + 150)
    page.mouse.down()
    page.mouse.move(x + 60, y + 170, steps=4)
    page.mouse.up()
    page.wait_for_timeout(300)
    frame = page.locator(GRAPH).element_handle()
    before = wait_for_box(page, "stale")
    page.get_by_role("button", name="Finish").click()
    page.wait_for_function("() => document.querySelector('[data-testid=stApp]').dataset.testScriptState !== 'running'")
    while find_box(page, "running") is not None:
        page.wait_for_timeout(100)
    after = wait_for_box(page, "stale")
    assert abs(after[0] - before[0]) < 8
    assert abs(after[1] - before[1]) < 8
    assert frame.evaluate("(one) => one.isConnected")


@pytest.mark.guarantee("N17")
def test_hostile_block_name_runs_nothing(page: Page) -> None:
    pages = page.context.pages[:]
    box = wait_for_box(page, "never_run")
    page.mouse.move(*box)
    page.wait_for_timeout(700)
    page.mouse.dblclick(*box)
    page.wait_for_function("() => document.querySelector('.st-key-clicks').innerText.length > 4")
    page.mouse.dblclick(*wait_for_box(page, "running"))
    page.wait_for_timeout(700)
    assert page.evaluate("window.__pwn") is None
    assert all(frame.evaluate("window.__pwn") is None for frame in page.frames)
    assert page.context.pages == pages
    assert page.frame_locator(GRAPH).locator("img").count() == 0


def test_links_change_without_a_new_frame(page: Page) -> None:
    frame = page.locator(GRAPH).element_handle()
    page.mouse.click(*wait_for_box(page, "running"))
    expect_clicks(page, ["train"])
    page.get_by_text("Link parents").click()
    page.mouse.click(*wait_for_box(page, "queued"))
    expect_clicks(page, ["train", "evaluate"])
    assert frame.evaluate("(one) => one.isConnected")


def test_top_down_graph_takes_clicks(page: Page) -> None:
    left_to_right = wait_for_box(page, "queued")
    page.evaluate(_NOTE_JUMPS)
    page.get_by_text("Top down").click()
    page.mouse.click(*wait_for_box(page, "queued", moved_from=left_to_right))
    expect_clicks(page, ["evaluate"])
    assert page.evaluate("window.__tops.length") == 1, "what stands below the graph moved"


_NOTE_JUMPS = """() => {
  window.__tops = [];
  const look = () => {
    const top = document.querySelector('.st-key-clicks').getBoundingClientRect().top;
    if (top !== window.__tops.at(-1)) window.__tops.push(top);
    requestAnimationFrame(look);
  };
  look();
}"""
"""Notes each place at which the line below the graph was drawn."""


def test_hovering_shows_no_empty_tooltip(page: Page) -> None:
    page.mouse.move(*wait_for_box(page, "running"))
    page.wait_for_timeout(700)
    tooltips = page.frame_locator(GRAPH).locator(".vis-tooltip")
    assert not any(tooltip.is_visible() for tooltip in tooltips.all())


def test_large_graph_is_drawn(page_factory, streamlit_server: Callable[[Path], str]) -> None:
    page = page_factory(f"{streamlit_server(APP)}/?count=200")
    wait_for_box(page, "fresh")


def test_large_graph_begins_readable_and_is_shown_whole_when_asked(page_factory, streamlit_server) -> None:
    page = page_factory(streamlit_server(APP) + "?count=60")
    frame = page.frame_locator(GRAPH)
    frame.locator("#whole").wait_for()
    frame.locator("canvas").evaluate(_UNTIL_SCALE, [0.79, 1])
    frame.locator("#whole").click()
    frame.locator("canvas").evaluate(_UNTIL_SCALE, [0, 0.5])


_UNTIL_SCALE = """async (canvas, [least, most]) => {
  const key = (one) => Object.keys(one).find((name) => name.startsWith('__reactInternalInstance'));
  let element = canvas;
  while (!key(element)) element = element.parentElement;
  const hooks = (fiber) => {
    const found = [];
    let one = fiber.memoizedState;
    for (; one && typeof one === 'object' && 'next' in one; one = one.next) found.push(one);
    return found;
  };
  for (const until = performance.now() + 60_000; performance.now() < until;) {
    for (let fiber = element[key(element)]; fiber; fiber = fiber.return)
      for (const { memoizedState } of hooks(fiber))
        if (memoizedState && memoizedState.body && memoizedState.body.view) {
          const { scale } = memoizedState.body.view;
          if (scale >= least && scale <= most) return scale;
        }
    await new Promise((done) => requestAnimationFrame(done));
  }
  throw new Error(`no picture at a scale from ${least} to ${most} within a minute`);
}"""
"""Returns once the picture is drawn at a scale between the two: the front end keeps the vis-network that drew it."""
