"""A person has a block retried: the settings of its card, saved in the pipeline's file."""

from __future__ import annotations

import yaml
from playwright.sync_api import expect

from tests.conftest import chain, make_project, wait_until


def test_retries_are_set_on_the_card(served, page_factory, tmp_path):
    project = make_project(tmp_path, blocks=chain(2))
    page = page_factory(served().address)
    page.goto(f"{page.url.split('/?')[0].rstrip('/')}/editor?project=demo&pipeline=main")
    page_factory.idle(page)
    page.get_by_role("button", name="more_vert").first.click()
    page.get_by_role("menuitem").filter(has_text="Settings").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("spinbutton", name="Retries").fill("5")
    dialog.get_by_role("spinbutton", name="Retries").press("Enter")
    expect(dialog.get_by_text("room for 3 of 5 retries")).to_be_visible()
    dialog.get_by_role("spinbutton", name="Retries").fill("2")
    dialog.get_by_role("spinbutton", name="Retries").press("Enter")
    expect(dialog.get_by_text("Retried after 5 s, 10 s.")).to_be_visible()
    dialog.get_by_role("spinbutton", name="Time limit").fill("30")
    dialog.get_by_role("spinbutton", name="Time limit").press("Enter")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    path = project / "pipelines/main/metadata.yaml"

    def entry():
        return yaml.safe_load(path.read_text())["blocks"][0]

    wait_until(lambda: entry().get("timeout") == 30, what="the file says it")
    assert entry()["retry_config"] == {"retries": 2}
