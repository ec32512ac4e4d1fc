"""Counts what the listener brings."""

import streamlit as st

from spellbook_core.ui.components.live import live

state = st.session_state
state.setdefault("seen", [])
state.setdefault("batches", 0)
state.setdefault("reruns", 0)


def receive(events: list[dict[str, object]]) -> None:
    state.batches += 1
    state.seen.extend(events)


st.text("above")


@st.fragment
def follow() -> None:
    state.reruns += 1
    live(key="events", query={"project": "titanic & co"}, on_event=receive)
    opened = sum(event["kind"] == "open" for event in state.seen)
    steps = [event["step"] for event in state.seen if event["kind"] == "metric"]
    st.text(f"opened {opened} last {steps[-1] if steps else None} count {len(steps)} batches {state.batches}")
    statuses = [event["status"] for event in state.seen if event["kind"] == "run"]
    st.text(f"status {statuses[-1] if statuses else None}")


follow()
st.text("below")
