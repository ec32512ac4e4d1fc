"""Cards of SQL, shell, scratchpad and Markdown blocks without a browser."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import BlockFile, make_project
from tests.unit.ui.test_markdown_text import HOSTILE, is_inert


@pytest.fixture
def app(open_screen, tmp_path) -> AppTest:
    blocks = {
        "ask": BlockFile("select 1 as a", "data_loader", language="sql"),
        "more": BlockFile("select * from {{ df_1 }}", "transformer", ("ask",), language="sql"),
        "script": BlockFile("true", "custom", language="shell"),
        "tried": BlockFile("1 + 1", "scratchpad"),
        "notes": BlockFile(f"# Plan\n\n{HOSTILE}", "markdown", language="markdown"),
        "old": BlockFile("x <- 1", "transformer", language="r"),
    }
    make_project(tmp_path, blocks=blocks)
    return open_screen("editor", pipeline="main")


def test_cards_name_their_language_and_can_be_run(app):
    assert not app.exception
    drawn = "\n".join(element.value for element in app.markdown)
    assert "SQL" in drawn
    assert "Shell" in drawn
    assert "`df_1` ← ask" in drawn
    keys = {button.key: button.disabled for button in app.button if button.key and button.key.startswith("run_")}
    assert {name: keys[f"run_{name}"] for name in ("ask", "more", "script", "tried", "old")} == {
        **dict.fromkeys(("ask", "more", "script", "tried"), False),
        "old": True,
    }
    assert "run_notes" not in keys


@pytest.mark.guarantee("N19")
def test_markdown_card_shows_its_text_and_no_picture(app):
    shown = next(element.value for element in app.markdown if element.value.startswith("### Plan"))
    assert is_inert(shown)


def test_library_shows_templates_of_every_language(open_screen, tmp_path):
    make_project(tmp_path, blocks={"ask": BlockFile("select 1 as a", "data_loader", language="sql")})
    library = open_screen("library")
    assert not library.exception
    library.text_input(key="q").set_value("SQL").run()
    assert "Select with SQL" in "\n".join(element.value for element in library.markdown)
