from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.runtime.scriptrunner import script_runner

from spellbook_core.ui import streamlit_mends
from tests.ui import streamlit_session
from tests.ui.streamlit_session import Session, drawn

SCRIPT = """
import streamlit as st
from tests.ui.streamlit_session import drawn, hold

state = st.session_state


def note(what):
    drawn.append(what)
    st.text(what)


@st.fragment(key="list")
def rows():
    st.text_input("Search", key="search")
    hold("list")
    note(f"list {state.search}")


@st.fragment(key="counter")
def counter():
    st.button("Count", key="count", on_click=lambda: state.update(counted=state.get("counted", 0) + 1))
    hold("counter")
    note(f"counted {state.get('counted', 0)}")


@st.fragment(key="dialog")
def dialog():
    note("dialog")


@st.fragment(key="clock", run_every=60)
def clock():
    note("clock")


def ask():
    hold("ask")
    st.rerun(["dialog"])


st.button("Ask", key="ask", on_click=ask)
st.button("Tick", key="tick", on_click=lambda: st.rerun(["clock"]))
st.button("Warn", key="warn", on_click=lambda: state.update(warned=True))
st.text_input("Title", key="title")
hold("page")
if state.get("warned"):
    note("warned")
rows()
counter()
dialog()
clock()
note(f"page {state.title}")
"""


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Session]:
    streamlit_mends.install()
    script = tmp_path / "page.py"
    script.write_text(SCRIPT, encoding="utf-8")
    with streamlit_session.session(script) as opened:
        yield opened


def test_what_a_callback_asks_for_is_drawn_alone(tab: Session) -> None:
    tab.send(("ask", True))
    tab.settle()
    assert drawn == ["dialog"]


def test_a_fragment_that_a_click_interrupts_is_drawn(tab: Session) -> None:
    with tab.held("list", ("search", "iris")):
        tab.send(("ask", True))
    tab.settle()
    assert sorted(drawn) == ["dialog", "list iris"]


def test_a_page_that_a_click_interrupts_is_drawn(tab: Session) -> None:
    with tab.held("page", ("title", "new")):
        tab.send(("ask", True))
    tab.settle()
    assert drawn[-1] == "page new"
    assert "dialog" in drawn


def test_what_comes_with_a_click_is_drawn_with_it(tab: Session) -> None:
    with tab.held("counter", ("count", True)):
        tab.send(("search", "iris"))
        tab.send(("ask", True))
        tab.send(fragment=tab.fragment("clock"), timer=True)
    tab.settle()
    assert {*drawn} == {"counted 1", "clock", "dialog", "list iris"}


def test_what_a_callback_asked_for_is_drawn_though_another_click_comes_at_once(tab: Session) -> None:
    with tab.held("ask", ("ask", True)):
        tab.send(("tick", True))
    tab.settle()
    assert {*drawn} == {"dialog", "clock"}


def test_one_message_draws_where_each_of_its_widgets_stands(tab: Session) -> None:
    tab.send(("search", "iris"), ("count", True))
    tab.settle()
    assert drawn == ["list iris", "counted 1"]


def test_one_message_draws_the_page_when_a_widget_of_it_stands_there(tab: Session) -> None:
    tab.send(("search", "iris"), ("title", "new"))
    tab.settle()
    assert drawn[-1] == "page new"
    assert "list iris" in drawn


def test_a_click_on_a_fragment_that_has_moved_counts_and_shows(tab: Session) -> None:
    before = tab.fragment("counter")
    tab.send(("warn", True))
    tab.settle()
    assert tab.fragment("counter") != before
    drawn.clear()
    tab.send(("count", True), fragment=before)
    tab.settle()
    assert drawn == ["counted 1"]


def test_a_timer_of_a_fragment_that_is_gone_draws_nothing(tab: Session) -> None:
    tab.send(fragment="unknown", timer=True)
    tab.settle()
    assert drawn == []


def test_what_a_fragment_drew_is_sent_though_the_next_message_is_for_the_page(tab: Session) -> None:
    """Nothing is passed on to the browser between the two."""
    tab.sent.clear()
    tab.send(("count", True))
    tab.settle(is_sent=False)
    tab.send(("ask", True))
    tab.settle()
    assert "counted 1" in tab.texts()


def test_what_an_ended_run_has_drawn_is_sent_though_a_message_comes_before_it_is_passed_on(tab: Session) -> None:
    tab.sent.clear()
    tab.send(("count", True))
    tab.end_unheard()
    tab.send(fragment=tab.fragment("clock"), timer=True)
    tab.settle()
    assert [text for text in tab.texts() if text] == ["counted 1", "clock"]


def test_timers_go_on_after_a_click_that_asks_for_a_fragment(tab: Session) -> None:
    assert tab.timers() == {tab.fragment("clock")}
    tab.send(("ask", True))
    tab.settle()
    assert tab.timers() == {tab.fragment("clock")}
    before = tab.fragment("clock")
    tab.send(("warn", True))  # the clock moves down the page
    tab.settle()
    assert tab.timers() == {tab.fragment("clock")} != {before}
    tab.send(("ask", True))
    tab.settle()
    assert tab.timers() == {tab.fragment("clock")}


def test_terminal_hears_nothing_of_parts_that_were_left_and_all_the_rest():
    assert inspect.getsource(script_runner).count(f'"{streamlit_mends._OF_A_LEFT_PART} %s."') == 1
    streamlit_mends.install()
    log = logging.getLogger(script_runner.__name__)
    texts = [f"{streamlit_mends._OF_A_LEFT_PART} %s.", "Uncaught app execution"]
    records = [log.makeRecord(log.name, logging.WARNING, __file__, 1, text, (), None) for text in texts]
    assert [bool(log.filter(record)) for record in records] == [False, True]
