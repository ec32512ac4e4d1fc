"""A dialog is open until it is closed, and a click in it is acted on, whatever else has the page drawn."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from spellbook_core.ui.open_dialog import OpenDialog


def test_late_word_of_a_closed_dialog_leaves_the_one_opened_after_it():
    opened = OpenDialog()
    first, second = object(), object()
    opened.open(first)
    opened.open(second)  # its click was handled before the word that the first was closed
    opened.close(first)
    assert opened.request is second
    opened.close(second)
    assert opened.request is None


def test_closing_a_dialog_takes_back_what_was_confirmed_in_it():
    opened = OpenDialog("settings", confirmed="block_settings_save")
    opened.close("settings")
    assert not opened.taken("block_settings_save")


def test_click_is_acted_on_once():
    opened = OpenDialog("settings", confirmed="block_settings_save")
    assert not opened.taken("another")
    assert opened.taken("block_settings_save")
    assert not opened.taken("block_settings_save")


def _page() -> None:
    import streamlit as st

    from spellbook_core.ui import open_dialog, state

    def rename() -> None:
        name = st.text_input("Name", key="name")

        def act() -> None:
            st.session_state["renamed"] = name
            open_dialog.finish()

        open_dialog.buttons("Rename", key="apply", icon=":material/edit:", act=act)

    state.note_visit(st.session_state.get("route", "pipelines"))
    open_dialog.draw()
    asked = open_dialog.Dialog("Rename", rename, fields=("name",))
    st.button("Open", key="open", on_click=open_dialog.ask, args=(asked,))
    st.button("Something else", key="else")


def opened_page() -> AppTest:
    page = AppTest.from_function(_page).run()
    assert not page.text_input
    return page.button(key="open").click().run()


@pytest.mark.thorough
def test_dialog_and_what_was_typed_outlast_other_drawings_of_the_page():
    page = opened_page()
    page.text_input(key="name").set_value("best").run()
    page.run()
    page.button(key="else").click().run()
    assert page.text_input(key="name").value == "best"
    page.button(key="apply").click().run()
    assert page.session_state["renamed"] == "best"
    assert not page.text_input


def test_click_noted_before_another_drawing_is_not_lost():
    """An event that comes together with the click has the page drawn in its own name: the button returns False then."""
    page = opened_page()
    page.text_input(key="name").set_value("best").run()
    page.session_state["_open_dialog"][1].confirmed = "apply"
    page.button(key="else").click().run()
    assert page.session_state["renamed"] == "best"


def test_dismissed_dialog_is_gone_and_begins_anew():
    page = opened_page()
    page.text_input(key="name").set_value("half a na").run()
    page.button(key="apply_cancel").click().run()
    assert not page.text_input
    page.run().button(key="open").click().run()
    assert page.text_input(key="name").value == ""
    assert "renamed" not in page.session_state


def test_dialog_stays_behind_on_the_screen_that_was_left():
    page = opened_page()
    page.session_state["route"] = "runs"
    page.run()
    assert not page.text_input
