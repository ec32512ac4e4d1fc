"""A person has a block retried and a sensor woken by a file: the settings of a card, saved in the pipeline's file."""

from __future__ import annotations

import yaml
from playwright.sync_api import expect

from tests.conftest import BlockFile, chain, wait_until
from tests.e2e import steps


def test_settings_of_a_card_are_saved(own, page_factory):
    project = own.make(blocks={**chain(1), "look": BlockFile("", "sensor")})
    page = steps.open_editor(page_factory, own.address)
    dialog = page.get_by_role("dialog")
    retries = dialog.get_by_role("spinbutton", name="Retries")

    def settings(block):
        steps.card(page, block).get_by_role("button", name="more_vert").click()
        page.get_by_role("menuitem").filter(has_text="Settings").click()
        expect(retries).to_be_visible()

    def enter(field, text):
        field.fill(text)
        field.press("Enter")

    def entry(number):
        return yaml.safe_load((project / "pipelines/main/metadata.yaml").read_text())["blocks"][number]

    settings("b0")
    enter(retries, "5")
    expect(dialog.get_by_text("room for 3 of 5 retries")).to_be_visible()
    enter(retries, "2")
    expect(dialog.get_by_text("Retried after 5 s, 10 s.")).to_be_visible()
    enter(dialog.get_by_role("spinbutton", name="Time limit"), "30")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    wait_until(lambda: entry(0).get("timeout") == 30, what="the file says it")
    assert entry(0)["retry_config"] == {"retries": 2}

    settings("look")
    expect(retries).to_have_value("")
    enter(dialog.get_by_role("textbox", name="Looks at once"), "../secret.csv")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("cannot be watched")).to_be_visible()
    enter(dialog.get_by_role("textbox", name="Looks at once"), "data/*.csv")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    wait_until(lambda: entry(1).get("configuration") == {"watch": "data/*.csv"}, what="the file says it")


def test_what_is_typed_outlasts_a_redrawn_page_and_a_save_comes_first(own, page_factory):
    """The file changes outside under an open dialog; then something else is sent together with the click on Save."""
    project = own.make(blocks=chain(1))
    file = project / "pipelines/main/metadata.yaml"
    page = steps.open_editor(page_factory, own.address)
    steps.card(page, "b0").get_by_role("button", name="more_vert").click()
    page.get_by_role("menuitem").filter(has_text="Settings").click()
    dialog = page.get_by_role("dialog")
    retries = dialog.get_by_role("spinbutton", name="Retries")
    retries.fill("4")
    retries.press("Enter")
    expect(dialog.get_by_text("Retried after")).to_be_visible()
    environment = dialog.get_by_role("textbox", name="Environment variables")
    environment.fill("NAME=typed")  # and not sent yet

    file.write_text(file.read_text().replace("name: main", "name: changed outside", 1))
    code = project / "data_loaders/b0.py"
    code.write_text(code.read_text() + "# written after it\n")
    expect(steps.card(page, "b0")).to_contain_text("Keep mine")  # both changes have come to the page
    expect(retries).to_have_value("4")
    expect(environment).to_have_value("NAME=typed")

    environment.press("Control+Enter")
    page.evaluate(_SAVE_WITH_ANOTHER_CLICK)
    expect(dialog).to_have_count(0)
    entry = yaml.safe_load(file.read_text())["blocks"][0]
    assert entry["retry_config"] == {"retries": 4}
    assert entry["configuration"] == {"env": {"NAME": "typed"}}
    expect(page.locator(".st-key-toolbar").get_by_text("changed outside")).to_have_count(1)
    page_factory.idle(page)
    page.reload()  # what was closed stays closed
    page_factory.idle(page)
    expect(dialog).to_have_count(0)


_SAVE_WITH_ANOTHER_CLICK = """() => {
  document.querySelector('.st-key-side [data-testid="stCheckbox"] input').click();
  document.querySelector('.st-key-block_settings_save button').click();
}"""
"""Both reach the server in one message, which names the place of the first: as an event does that comes just then."""
