"""A person has a block retried and a sensor woken by a file: the settings of a card, saved in the pipeline's file."""

from __future__ import annotations

import yaml
from playwright.sync_api import expect

from tests.conftest import BlockFile, chain, make_project, wait_until


def test_settings_of_a_card_are_saved(served, page_factory, tmp_path):
    project = make_project(tmp_path, blocks={**chain(1), "look": BlockFile("", "sensor")})
    page = page_factory(served().address)
    page.goto(f"{page.url.split('/?')[0].rstrip('/')}/editor?project=demo&pipeline=main")
    page_factory.idle(page)
    dialog = page.get_by_role("dialog")
    retries = dialog.get_by_role("spinbutton", name="Retries")

    def settings(number):
        page.get_by_role("button", name="more_vert").nth(number).click()
        page.get_by_role("menuitem").filter(has_text="Settings").click()
        expect(retries).to_be_visible()

    def enter(field, text):
        field.fill(text)
        field.press("Enter")

    def entry(number):
        return yaml.safe_load((project / "pipelines/main/metadata.yaml").read_text())["blocks"][number]

    settings(0)
    enter(retries, "5")
    expect(dialog.get_by_text("room for 3 of 5 retries")).to_be_visible()
    enter(retries, "2")
    expect(dialog.get_by_text("Retried after 5 s, 10 s.")).to_be_visible()
    enter(dialog.get_by_role("spinbutton", name="Time limit"), "30")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    wait_until(lambda: entry(0).get("timeout") == 30, what="the file says it")
    assert entry(0)["retry_config"] == {"retries": 2}

    settings(1)
    expect(retries).to_have_value("")
    enter(dialog.get_by_role("textbox", name="Looks at once"), "../secret.csv")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("cannot be watched")).to_be_visible()
    enter(dialog.get_by_role("textbox", name="Looks at once"), "data/*.csv")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    wait_until(lambda: entry(1).get("configuration") == {"watch": "data/*.csv"}, what="the file says it")
