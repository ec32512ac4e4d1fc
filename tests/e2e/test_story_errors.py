"""Every way to fail is told once and clearly, where it happened; the app goes on and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.model.run import NewRun
from spellbook_core.services import engines, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import LOADER, PASS_ON, BlockFile, make_project, wait_until
from tests.e2e.conftest import PageFactory
from tests.e2e.steps import (
    SLOW_MS,
    Served,
    box_of,
    click_box,
    code_of,
    error_of,
    open_add_dialog,
    serve,
    show_tab,
    state_of,
)

pytestmark = pytest.mark.e2e


def custom(body: str, *, above: str = "") -> BlockFile:
    return BlockFile(f"{above}@custom\ndef f(*args, **kwargs):\n    {body}\n", "custom")


FAULTS = {
    "raise_it": custom(
        'frame = pd.DataFrame({"a": [1]})\n    print("about to look")\n    return frame["missing"]',
        above="import pandas as pd\n\n\n",
    ),
    "after_it": BlockFile(PASS_ON, "transformer", ("raise_it",)),
    "syntax": custom("return (1 +"),
    "sys_exit": custom("import sys\n    sys.exit(3)"),
    "os_exit": custom("import os\n    os._exit(7)"),
    "segfault": custom("import ctypes\n    ctypes.string_at(0)"),
    "bad_test": custom("return 41\n\n\n@test\ndef test_answer(output):\n    assert output == 42, 'not the answer'"),
    "unstorable": custom("return {'log': open(__file__)}"),
}
TOLD = {
    "raise_it": ("KeyError: 'missing'", 'return frame["missing"]'),
    "syntax": ("SyntaxError: '(' was never closed", "return (1 +"),
    "sys_exit": ("called sys.exit(3) instead of returning", "sys.exit(3)"),
    "os_exit": ("exited without a result (exit status 7)", None),
    "segfault": ("crashed: SIGSEGV in line 4 of its file", "ctypes.string_at(0)"),
    "unstorable": ("cannot be stored for the next block", None),
}
"""block -> what its card says, and the line that is marked in its editor."""


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served workspace where every faulty block has run once, and pipelines that cannot even begin."""
    root = tmp_path_factory.mktemp("faulty")
    make_project(root, blocks=FAULTS, pipeline="faults")
    make_project(root, blocks={"gone": LOADER, "below": PASS_ON}, pipeline="missing")
    make_project(root, blocks={"first": LOADER, "second": PASS_ON, "third": PASS_ON}, pipeline="chain")
    (root / "projects/demo/data_loaders/gone.py").unlink()
    ctx = open_context(root)
    run = runs.start(ctx, NewRun(ProjectName("demo"), PipelineUuid("faults"), "manual"))
    wait_until(lambda: runs.get(ctx, run.id).status.is_terminal, what="the run of the faulty blocks")
    page = serve(root)
    yield page
    page.stop()
    engines.stop(ctx)
    ctx.close()


@pytest.fixture(scope="module")
def cards(faulty: Served, browser: Browser) -> Iterator[Page]:
    """The editor of the faulty pipeline, opened once for the tests that only look."""
    yield from looked_at(browser, faulty, "faults", "unstorable")


@pytest.fixture(scope="module")
def names(faulty: Served, browser: Browser) -> Iterator[Page]:
    """The editor of the chain, opened once for the tests that are refused a name; each leaves it without a dialog."""
    yield from looked_at(browser, faulty, "chain", "third")


def looked_at(browser: Browser, faulty: Served, pipeline: str, block: str) -> Iterator[Page]:
    factory = PageFactory(browser)
    page = factory(address_of(faulty, "editor", pipeline=pipeline))
    expect(state_of(page, block)).to_be_visible(timeout=SLOW_MS)
    yield page
    factory.close()
    assert factory.problems == []


def address_of(faulty: Served, screen: str, **query: str) -> str:
    given = "&".join(f"{name}={value}" for name, value in query.items())
    return faulty.address.replace("/?", f"/{screen}?project=demo&{given}&", 1)


@pytest.fixture
def visit(faulty: Served, page_factory: PageFactory):
    """`visit("editor", pipeline="chain")` opens a screen of the faulty workspace."""

    def open_screen(screen: str, **query: str) -> Page:
        return page_factory(address_of(faulty, screen, **query))

    return open_screen


@pytest.mark.parametrize("block", TOLD)
def test_card_says_what_happened_and_where(cards, block):
    message, line = TOLD[block]
    expect(state_of(cards, block)).to_contain_text("Failed", timeout=SLOW_MS)
    expect(error_of(cards, block)).to_contain_text(message)
    expect(error_of(cards, block)).to_contain_text("SB-")
    for foreign in ("site-packages", "spellbook_core", "Traceback"):
        expect(error_of(cards, block)).not_to_contain_text(foreign)
    if line is not None:
        marked = code_of(cards, block).locator(".sb-line-error")
        expect(marked).to_have_count(1)
        expect(marked).to_contain_text(line)
        expect(cards.locator(f".st-key-editor_{block} .cm-lint-marker-error")).to_have_count(1)


def test_frames_are_the_persons_own(cards):
    """pandas raised, three of its frames deep; the card shows the one line that the person can change."""
    shown = error_of(cards, "raise_it")
    expect(shown).to_contain_text("custom/raise_it.py, line 8, in f")
    expect(shown.locator("code").filter(has_text="line")).to_have_count(1)
    shown.get_by_text("Full traceback").click()
    expect(shown).to_contain_text("site-packages", timeout=SLOW_MS)
    shown.get_by_text("Full traceback").click()
    expect(shown).not_to_contain_text("site-packages", timeout=SLOW_MS)


def test_block_below_says_whose_fault_it_is(cards):
    expect(state_of(cards, "after_it")).to_contain_text("Upstream failed")
    expect(cards.locator(".st-key-failure_after_it")).to_contain_text("Not run: raise_it failed")
    expect(cards.locator(".st-key-fix_upstream_after_it button")).to_be_visible()


def test_failing_test_is_shown_with_its_line(cards):
    expect(cards.locator(".st-key-tab_bad_test")).to_contain_text("Tests 0/1")
    cards.locator(".st-key-tab_bad_test").get_by_text("Tests 0/1").click()
    expect(cards.locator(".st-key-shown_bad_test")).to_contain_text("not the answer", timeout=SLOW_MS)
    expect(code_of(cards, "bad_test").locator(".sb-line-error")).to_contain_text("assert output == 42")


def test_logs_tell_the_same(cards, visit):
    shown = show_tab(cards, "raise_it", "Logs")
    expect(shown).to_contain_text("about to look", timeout=SLOW_MS)
    page = visit("run", id="1")
    for block, (message, _) in TOLD.items():
        expect(page.locator(".stMain")).to_contain_text(block, timeout=SLOW_MS)
        expect(page.locator(".stMain")).to_contain_text(message)


def test_run_without_the_parents_output_offers_to_make_it(visit):
    page = visit("editor", pipeline="chain")
    page.locator(".st-key-run_third button").first.click()
    said = page.locator(".st-key-card_third")
    expect(said).to_contain_text("needs the output of 'second', which has not run yet", timeout=SLOW_MS)
    page.locator(".st-key-mend_upstream_third button").click()
    expect(state_of(page, "third")).to_contain_text("Completed", timeout=SLOW_MS)
    expect(state_of(page, "first")).to_contain_text("Completed")
    expect(said).not_to_contain_text("needs the output")


def test_cycle_is_refused_with_its_path(visit, faulty):
    file = faulty.root / "projects/demo/pipelines/chain/metadata.yaml"
    before = file.read_bytes()
    page = visit("editor", pipeline="chain")
    page.get_by_test_id("stButtonGroup").get_by_text("Link parents").click()
    expect(page.locator(".st-key-link_hint")).to_be_visible(timeout=SLOW_MS)
    click_box(page, "first")
    expect(page.locator(".st-key-link_hint")).to_contain_text("Parents of first", timeout=SLOW_MS)
    click_box(page, "third")
    expect(page.locator(".st-key-graph_words")).to_contain_text("first → second → third → first", timeout=SLOW_MS)
    assert file.read_bytes() == before
    box_of(page, "third")


def test_missing_file_is_named_and_made_again(visit, faulty):
    page = visit("editor", pipeline="missing")
    expect(page.locator(".st-key-card_gone")).to_contain_text("data_loaders/gone.py is missing", timeout=SLOW_MS)
    page.locator(".st-key-run_pipeline button").click()
    said = page.locator(".st-key-toolbar")
    expect(said).to_contain_text("The file of block 'gone' is missing: data_loaders/gone.py", timeout=SLOW_MS)
    page.locator(".st-key-recreate_gone button").click()
    expect(code_of(page, "gone")).to_contain_text("@data_loader", timeout=SLOW_MS)
    assert "@data_loader" in (faulty.root / "projects/demo/data_loaders/gone.py").read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("first", "first"),
        ("FIRST", "first"),
        ("..", "reads like a path to another folder"),
        ("../way_out", "reads like a path to another folder"),
        ("가" * 100, "more than 240 bytes"),
    ],
    ids=["duplicate", "other case", "dots", "way out", "too long"],
)
def test_name_that_cannot_be_is_refused_in_the_dialog(names, faulty, name, message):
    file = faulty.root / "projects/demo/pipelines/chain/metadata.yaml"
    before, files = yaml.safe_load(file.read_text()), set(faulty.root.rglob("*.py"))
    dialog = open_add_dialog(names, "data_loader")
    field = names.locator(".st-key-add_name input")
    field.fill(name)
    field.press("Tab")
    names.locator(".st-key-add_confirm button").click()
    alert = dialog.get_by_test_id("stAlert")
    expect(alert).to_contain_text(message, timeout=SLOW_MS)
    expect(alert).to_contain_text("Do this:")
    assert yaml.safe_load(file.read_text()) == before
    assert set(faulty.root.rglob("*.py")) == files
    names.locator(".st-key-add_confirm_cancel button").click()
    expect(dialog).to_have_count(0)


def test_empty_name_is_refused(names):
    page = names
    page.locator(".st-key-name_second button").first.click()
    field = page.locator(".st-key-rename_name input")
    field.fill("")
    field.press("Tab")
    page.locator(".st-key-rename_confirm button").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_test_id("stAlert")).to_contain_text("A block needs a name", timeout=SLOW_MS)
