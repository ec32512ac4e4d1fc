"""What Streamlit's faults garble: callbacks that take a while, and a fragment above others that runs by itself."""

import time

import streamlit as st

from spellbook_core.ui import streamlit_mends

streamlit_mends.install()
state = st.session_state
state.setdefault("steps", {})
state.setdefault("redrawn", 0)
state.setdefault("counted", 0)


def slow(name: str) -> None:
    for step in range(1, 11):
        state.steps = {**state.steps, name: step}
        time.sleep(0.03)


def redraw() -> None:
    state.redrawn += 1


@st.fragment
def within() -> None:
    st.button("Within", key="within", on_click=slow, args=("within",))
    st.button("Next", key="next", on_click=slow, args=("next",))


@st.fragment(run_every=0.02)
def clock() -> None:
    with st.container(key="clock"):
        st.text("ticking")


def count() -> None:
    state.counted += 1


@st.fragment
def counter() -> None:
    st.button("Count", key="count", on_click=count)
    with st.container(key="counted"):
        st.text(f"counted {state.counted}")


def clocked() -> None:
    st.button("Redraw", key="redraw", on_click=redraw)
    counter()
    with st.container(key="column"):
        clock()
        st.text("second")
        st.text(f"redrawn {state.redrawn}")


def acts() -> None:
    st.button("First", key="first", on_click=slow, args=("first",))
    st.button("Second", key="second", on_click=slow, args=("second",))
    within()
    with st.container(key="steps_shown"):
        st.text(" ".join(f"{name}={step}" for name, step in sorted(state.steps.items())))
    st.page_link(elsewhere, label="Go elsewhere")
    st.page_link(ticking, label="Go to the clock")


def other() -> None:
    with st.container(key="elsewhere"):
        for number in range(9):
            st.text(f"line {number}")


elsewhere = st.Page(other, url_path="elsewhere")
ticking = st.Page(clocked, url_path="clocked")
st.navigation([st.Page(acts, default=True), ticking, elsewhere], position="hidden").run()
