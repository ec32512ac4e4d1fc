from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.e2e

APP = Path(__file__).with_name("live_app.py")


def publish(url: str, events: list[dict[str, object]]) -> None:
    request = urllib.request.Request(
        f"{url}/api/publish", json.dumps(events).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def test_burst_arrives_whole_in_few_reruns(page_factory, streamlit_server: Callable[[Path], str]) -> None:
    url = streamlit_server(APP)
    page = page_factory(url)
    expect(page.get_by_text("opened 1")).to_be_visible()
    began = time.monotonic()
    for start in range(0, 300, 30):
        publish(url, [{"kind": "metric", "step": step} for step in range(start, start + 30)])
    publish(url, [{"kind": "run", "run_id": 1, "status": status} for status in ("running", "completed")])
    expect(page.get_by_text("last 299 count 300")).to_be_visible()
    expect(page.get_by_text("status completed")).to_be_visible()
    batches = int(re.search(r"batches (\d+)", page.get_by_text("last 299").inner_text()).group(1))
    assert 2 <= batches <= 3 + 5 * (time.monotonic() - began), "more than five a second"


def test_listener_takes_no_room(page_factory, streamlit_server: Callable[[Path], str]) -> None:
    page = page_factory(streamlit_server(APP))
    expect(page.get_by_text("opened 1")).to_be_visible()
    gaps = page.evaluate(
        """() => {
          const texts = [...document.querySelectorAll('[data-testid=stText]')];
          const boxes = texts.map((one) => one.getBoundingClientRect());
          return boxes.slice(1).map((box, index) => Math.round(box.top - boxes[index].bottom));
        }"""
    )
    assert len(set(gaps)) == 1


def test_broken_stream_is_opened_again(page_factory, streamlit_server: Callable[[Path], str]) -> None:
    url = streamlit_server(APP)
    page = page_factory()
    refused: list[int] = []

    def refuse_once(route) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(1)
            route.fulfill(status=204)

    page.context.route("**/api/events*", refuse_once)
    page.goto(url)
    expect(page.get_by_text("opened 1")).to_be_visible()
    assert refused
    publish(url, [{"kind": "metric", "step": 7}])
    expect(page.get_by_text("last 7 count 1")).to_be_visible()


def test_nothing_is_reported_on_the_way_to_another_page(page_factory, streamlit_server: Callable[[Path], str]) -> None:
    """A report that comes behind a page change carries the old page's name, and takes the person back or blanks it."""
    url = streamlit_server(APP)
    page = page_factory(url)
    expect(page.get_by_text("opened 1")).to_be_visible()
    page.evaluate(
        """() => {
          const link = Object.assign(document.createElement('a'), {href: '/elsewhere', textContent: 'leave'});
          link.addEventListener('click', (event) => { event.preventDefault(); window.leftAt = performance.now(); });
          document.body.append(link);
          new MutationObserver(() => {
            if (!window.toldAt && document.body.innerText.includes('last 5 count')) window.toldAt = performance.now();
          }).observe(document.body, {subtree: true, childList: true, characterData: true});
          link.click();
        }"""
    )
    publish(url, [{"kind": "metric", "step": 5}])
    expect(page.get_by_text("last 5 count 1")).to_be_visible()
    assert page.evaluate("window.toldAt - window.leftAt") >= 2900
