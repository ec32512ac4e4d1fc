"""A dialog of a screen is open until it is closed, whatever else has the page drawn."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def _page() -> None:
    import streamlit as st

    from spellbook_core.ui import open_dialog, state

    state.note_visit(st.session_state.get("route", "pipelines"))
    st.button("Open", on_click=open_dialog.ask, args=("new_pipeline",))
    st.button("Something else")
    st.button("Close", on_click=open_dialog.close)
    for name in ("new_pipeline", "new_project"):
        if open_dialog.is_open(name):
            st.write(name)


def shown(page: AppTest) -> list[str]:
    return [found.value for found in page.markdown]


def test_dialog_outlasts_other_drawings_of_the_page():
    page = AppTest.from_function(_page).run()
    assert shown(page) == []
    page.button[0].click().run()
    assert shown(page) == ["new_pipeline"]
    page.run()
    page.button[1].click().run()
    assert shown(page) == ["new_pipeline"]
    page.button[2].click().run()
    assert shown(page) == []


def test_dialog_stays_behind_on_the_screen_that_was_left():
    page = AppTest.from_function(_page).run()
    page.button[0].click().run()
    page.session_state["route"] = "runs"
    page.run()
    assert shown(page) == []
