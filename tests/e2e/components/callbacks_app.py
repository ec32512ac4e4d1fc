"""Callbacks that take a while and use the session at every step, as ours do."""

import time

import streamlit as st

from spellbook_core.ui import uninterrupted

uninterrupted.install()
state = st.session_state
state.setdefault("steps", {})


def slow(name: str) -> None:
    for step in range(1, 11):
        state.steps = {**state.steps, name: step}
        time.sleep(0.03)


@st.fragment
def within() -> None:
    st.button("Within", key="within", on_click=slow, args=("within",))
    st.button("Next", key="next", on_click=slow, args=("next",))


st.button("First", key="first", on_click=slow, args=("first",))
st.button("Second", key="second", on_click=slow, args=("second",))
within()
with st.container(key="steps_shown"):
    st.text(" ".join(f"{name}={step}" for name, step in sorted(state.steps.items())))
