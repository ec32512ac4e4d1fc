"""Children of dynamic blocks, conditions and callbacks on the run's page, in the list of runs and in the editor."""

from __future__ import annotations

import pytest

from spellbook_core.model.run import NewRun
from spellbook_core.services import runs
from tests.conftest import LOADER, PASS_ON, BlockFile, make_project
from tests.engine.test_block_kinds import ITEMS, SQUARE, add_ons, condition, told
from tests.ui.conftest import texts


@pytest.fixture
def run(tmp_path, context):
    """A run with three children of which one failed, a skipped block and a callback."""
    blocks = {
        "items": BlockFile(ITEMS, "data_loader", settings={"configuration": {"dynamic": True}}),
        "square": SQUARE.replace("    return", "    assert number != 1, 'not one'\n    return"),
        "load": LOADER,
        "guarded": PASS_ON,
    }
    project = make_project(tmp_path, blocks=blocks)
    add_ons(
        project,
        conditionals=[("never", condition("False"), ["guarded"])],
        callbacks=[("tell", told("tell", "@callback('success')"), ["load"])],
    )
    return runs.run_here(context, NewRun("demo", "main", "cli"), lambda event: None)


def test_run_page_lists_blocks_once_and_the_children_of_the_chosen_one(open_screen, run):
    app = open_screen("run", id=str(run.id))
    assert not app.exception
    blocks = list(app.dataframe[0].value["Block"])
    assert sorted(blocks) == sorted(["items", "square", "load", "tell → load", "never → guarded", "guarded"])
    app = open_screen("run", id=str(run.id), block="square")
    assert not app.exception
    listed = app.dataframe[1].value
    assert list(listed["Child"]) == ["1", "0", "2"], "the failed one stands first"
    assert "AssertionError: not one" in listed["Result"].iloc[0]
    assert "Choose a child above to see its log, outputs and code." in texts(app)


def test_run_page_of_a_condition_says_what_it_decided(open_screen, run):
    app = open_screen("run", id=str(run.id), block="never@guarded")
    assert not app.exception
    why = dict(zip(app.dataframe[0].value["Block"], app.dataframe[0].value["Why"], strict=True))
    assert why["never → guarded"] == "it does not hold, so 'guarded' does not run"
    assert why["guarded"] == "its condition 'never' does not hold"


def test_list_of_runs_shows_blocks_and_not_their_children(open_screen, run):
    app = open_screen("runs", view="Grid")
    assert not app.exception


def test_card_shows_children_and_what_hangs_on_a_block(open_screen, run):
    app = open_screen("editor", project="demo", pipeline="main")
    assert not app.exception
    shown = texts(app)
    assert "Runs once per item: 3 children" in shown
    assert any("never" in info.value and "does not hold" in info.value for info in app.info), [
        i.value for i in app.info
    ]
