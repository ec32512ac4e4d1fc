"""A counter beside a clock, where each message of the clock's timer is taken in just after a run has ended.

The server takes in messages and passes on what runs draw in one thread, the event loop's, and a run draws in another.
Here that thread is held while a message is taken in, as a busy machine does at times, until the run at work has ended.
"""

from functools import wraps
from typing import Any

import streamlit as st
from streamlit.runtime.app_session import AppSession

from spellbook_core.ui import streamlit_mends

streamlit_mends.install()
state = st.session_state
state.setdefault("counted", 0)


def _taken_in_late(original: Any) -> Any:
    @wraps(original)
    def request_rerun(self: AppSession, client_state: Any) -> None:
        runner = self._scriptrunner
        if client_state is not None and client_state.is_auto_rerun and runner is not None and runner._script_thread:
            runner._script_thread.join(timeout=5)
        original(self, client_state)

    request_rerun.late = True
    return request_rerun


if not hasattr(AppSession.request_rerun, "late"):
    AppSession.request_rerun = _taken_in_late(AppSession.request_rerun)


@st.fragment(run_every=0.02)
def clock() -> None:
    st.text("ticking")


def count() -> None:
    state.counted += 1


@st.fragment
def counter() -> None:
    st.button("Count", key="count", on_click=count)
    with st.container(key="counted"):
        st.text(f"counted {state.counted}")


counter()
clock()
