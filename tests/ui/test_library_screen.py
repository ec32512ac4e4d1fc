"""The library's cards and their filters."""

from __future__ import annotations

from spellbook_core.services import pipelines
from tests.conftest import chain, make_project
from tests.ui.conftest import texts


def test_project_blocks_say_who_uses_them(open_screen, tmp_path):
    make_project(tmp_path, blocks=chain(2))
    app = open_screen("library", source="This project")
    assert "**b0**" in texts(app)
    assert "used by main" in texts(app)


def test_search_narrows_the_cards(open_screen, tmp_path):
    make_project(tmp_path, blocks=chain(3))
    app = open_screen("library", source="This project", q="b1")
    assert [button.key for button in app.button if (button.key or "").startswith("add_")] == ["add_0"]


def test_block_is_added_from_a_dialog_that_outlasts_a_drawing_of_the_page(open_screen, tmp_path, context):
    make_project(tmp_path, blocks=chain(1))
    app = open_screen("library", source="Templates", q="classifier")
    app.button(key="add_0").click().run()
    app.text_input(key="add_name").set_value("model").run()
    app.run()
    app.button(key="add_apply").click().run()
    blocks = pipelines.load(context, "demo", "main").pipeline.blocks
    assert [block.uuid for block in blocks] == ["b0", "model"]


def test_nothing_found_is_said(open_screen, tmp_path):
    make_project(tmp_path)
    assert "No block matches" in texts(open_screen("library", q="zzzz"))
