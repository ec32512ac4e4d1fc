"""The screens beside the editor, in a real browser, on a served workspace."""

from __future__ import annotations

import re
import shutil

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import BlockFile, wait_until

pytestmark = pytest.mark.e2e

HOSTILE = "<img src=x onerror=window.__pwn=1> ![x](http://127.0.0.1:9/canary) :red[x]"
SLOW_S = 60_000

STEPS = {
    "load": BlockFile(
        "print('loading ' + '<b>')\n\n@data_loader\ndef load(*a, **k):\n    return {'n': 1}\n", "data_loader"
    ),
    "pass_on": BlockFile("@transformer\ndef pass_on(data, *a, **k):\n    return data\n", "transformer", ("load",)),
    "break_it": BlockFile(
        f"@transformer\ndef break_it(data, *a, **k):\n    raise ValueError({HOSTILE!r})\n", "transformer", ("pass_on",)
    ),
}


def test_run_from_the_list_shows_live_in_its_page(own, page_factory):
    """Run now → queued at once → the run's page shows states, the failing block's exception and its log."""
    own.make(blocks=STEPS)
    page = page_factory(own.address)
    page.locator(".st-key-run_main button").click()
    last = page.locator(".st-key-row_0 a").filter(has_text="failed")
    expect(last).to_be_visible(timeout=SLOW_S)
    last.click()
    expect(page.get_by_role("heading", name=re.compile(r"^Run \d+$"))).to_be_visible(timeout=SLOW_S)
    expect(page.get_by_text("ValueError: <img src=x").first).to_be_visible(timeout=SLOW_S)
    expect(page.locator(".st-key-run_bars_pane [data-testid=stVegaLiteChart]").first).to_be_visible(timeout=SLOW_S)
    assert page.evaluate("window.__pwn") is None
    page.locator(".st-key-block").click()
    page.get_by_role("option", name="load", exact=True).click()
    expect(page.get_by_text("loading <b>")).to_be_visible(timeout=SLOW_S)


@pytest.mark.guarantee("N18")
def test_hostile_texts_do_nothing_on_any_screen(own, page_factory):
    """Descriptions, tags, file contents and exceptions with script and images stay letters, on every screen."""
    project = own.make(blocks=STEPS, files={"notes.md": HOSTILE})
    file = project / "pipelines/main/metadata.yaml"
    file.write_text(file.read_text() + f"description: '{HOSTILE}'\ntags: ['{HOSTILE}']\n")
    page = page_factory(own.address)
    expect(page.locator(".st-key-row_0")).to_contain_text("<img src=x", timeout=SLOW_S)
    for screen in ("Library", "Files", "Runs", "Settings", "Pipelines"):
        page.locator(".st-key-nav").get_by_role("link", name=screen, exact=True).click()
        expect(page.get_by_role("heading", name=screen, exact=True)).to_be_visible(timeout=SLOW_S)
        assert page.evaluate("window.__pwn") is None
    page.goto(f"{own.origin}/no_such_page?project={own.name}")
    page.get_by_role("link", name="Go to Pipelines").click()
    expect(page.get_by_role("heading", name="Pipelines", exact=True)).to_be_visible(timeout=SLOW_S)
    page.locator(".st-key-nav").get_by_role("link", name="Files", exact=True).click()
    page.get_by_role("button", name="notes.md").click()
    expect(page.locator(".cm-content")).to_contain_text("onerror", timeout=SLOW_S)
    assert page.evaluate("window.__pwn") is None


def test_empty_workspace_leads_to_a_first_pipeline(served, page_factory, tmp_path):
    """Welcome → a project with a Korean name → New pipeline → the editor has it."""
    (tmp_path / "projects").mkdir()
    page = page_factory(served().address)
    page.locator(".st-key-first_project_create button").click()
    fill(page, ".st-key-new_project_name input", "매출 예측")
    page.locator(".st-key-new_project_create button").click()
    expect(page.get_by_text("Start with an example")).to_be_visible(timeout=SLOW_S)
    page.locator(".st-key-new_pipeline button").click()
    fill(page, ".st-key-new_pipeline_name input", "첫 파이프라인")
    page.locator(".st-key-new_pipeline_create button").click()
    page.wait_for_url("**/editor?**", timeout=SLOW_S)
    found = wait_until(lambda: list(tmp_path.glob("projects/*/pipelines/*/metadata.yaml")), what="the pipeline's file")
    assert [path.parent.name for path in found] == ["첫_파이프라인"]


@pytest.mark.guarantee("F15")
def test_file_is_saved_and_a_change_outside_is_never_overwritten(own, page_factory):
    """Ctrl+S writes; a change by someone else under unsaved typing asks instead of winning or losing."""
    notes = own.make(files={"notes.md": "one\n"}) / "notes.md"
    page = page_factory(own.address)
    page.locator(".st-key-nav").get_by_role("link", name="Files", exact=True).click()
    page.get_by_role("button", name="notes.md").click()
    editor = page.locator(".cm-content")
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("two")
    page.keyboard.press("Control+s")
    wait_until(lambda: notes.read_text() == "one\ntwo", what="the save")
    expect(page.locator(".st-key-file_bar")).to_contain_text("saved", timeout=SLOW_S)
    page.keyboard.type(" three")
    expect(page.locator(".st-key-file_bar")).to_contain_text("unsaved", timeout=SLOW_S)
    notes.write_text("theirs\n")
    expect(page.locator(".st-key-file_conflict")).to_be_visible(timeout=SLOW_S)
    assert notes.read_text() == "theirs\n"
    page.locator(".st-key-file_keep_mine button").click()
    expect(page.locator(".st-key-file_conflict")).to_be_hidden(timeout=SLOW_S)
    page.locator(".st-key-file_save button").click()
    wait_until(lambda: notes.read_text() == "one\ntwo three", what="the save of mine")


def test_pipeline_is_renamed_while_the_list_changes_then_deleted_and_comes_back(own, page_factory):
    project = own.make(blocks=STEPS)
    pipelines = project / "pipelines"
    page = page_factory(own.address)

    def choose(pipeline, act):
        page.locator(f".st-key-menu_{pipeline} button").click()
        page.get_by_role("menuitem", name=act).or_(page.get_by_role("option", name=act)).first.click()

    choose("main", "Rename")
    name = page.get_by_role("dialog").get_by_role("textbox", name="New name")
    name.fill("best")  # and not sent yet
    shutil.copytree(pipelines / "main", pipelines / "other")
    expect(page.locator(".st-key-run_other")).to_have_count(1)  # the list was drawn anew under the dialog
    expect(name).to_have_value("best")
    name.press("Enter")
    page.locator(".st-key-rename_apply button").click()
    expect(page.locator(".st-key-run_best")).to_be_visible()

    choose("best", "Delete")
    undo = page.locator(".st-key-undo button")
    expect(undo).to_be_visible(timeout=SLOW_S)
    assert not (pipelines / "best").exists()
    expect(page.locator(".st-key-run_best")).to_have_count(0)
    undo.click()
    expect(page.locator(".st-key-run_best")).to_be_visible(timeout=SLOW_S)
    assert (pipelines / "best/metadata.yaml").is_file()


def test_every_address_opens_by_itself(own, page_factory):
    """Deep links show their screen in both themes, without an error in the console or a request to another machine."""
    own.make(blocks=STEPS)
    page = page_factory(own.address, width=1024)
    for path, heading in (
        (f"/?project={own.name}&q=main", "Pipelines"),
        (f"/runs?project={own.name}&view=Grid", "Runs"),
        (f"/library?project={own.name}&source=Templates", "Library"),
        (f"/files?project={own.name}&path=metadata.yaml", "Files"),
        ("/settings", "Settings"),
        (f"/run?project={own.name}&id=777777", None),
    ):
        page.emulate_media(color_scheme="light")
        page.goto(own.origin + path)
        title = page.get_by_role("heading", name=heading, exact=True) if heading else page.get_by_text("Run not found")
        expect(title).to_be_visible(timeout=SLOW_S)
        page_factory.idle(page)
        page.emulate_media(color_scheme="dark")
        expect(page.get_by_test_id("stApp")).to_have_css("color-scheme", "dark", timeout=SLOW_S)
        expect(title).to_be_visible(timeout=SLOW_S)
        page_factory.idle(page)


def fill(page: Page, selector: str, value: str) -> None:
    """Type into a Streamlit text field and commit it; buttons that wait for text wake up then."""
    field = page.locator(selector)
    field.fill(value)
    field.press("Tab")
