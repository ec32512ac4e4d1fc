"""Where errors meet the person: one panel for every error, a calm one for our own faults, and notices.

`guarded` is the third named place where a broad `except` is allowed (user code, executor loop, UI page).
"""

from __future__ import annotations

import os
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

import streamlit as st

from spellbook_core.errors import SpellbookError
from spellbook_core.ui import state, text

P = ParamSpec("P")
R = TypeVar("R")

_NOTICES = "_notices"
_UNDO = "_undo"


@contextmanager
def guarded() -> Iterator[None]:
    """Show what goes wrong inside as a panel in its place; Streamlit's own control flow passes through."""
    try:
        yield
    except SpellbookError as error:
        show_error(error.to_dict())
    except Exception as error:  # noqa: BLE001  # the UI page boundary: anything else is our fault, and the page must stay alive
        show_fault(record_fault(error))


def attempt(action: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """Call `action` from a widget callback; an error becomes a notice and None is returned."""
    try:
        return action(*args, **kwargs)
    except SpellbookError as error:
        st.session_state.setdefault(_NOTICES, []).append(("error", error.to_dict()))
    except Exception as error:  # noqa: BLE001  # the UI page boundary, reached from a callback
        st.session_state.setdefault(_NOTICES, []).append(("fault", record_fault(error)))
    return None


def notify(message: str, *, icon: str = ":material/check_circle:") -> None:
    """Say that something worked, at the next `notices()`; `message` is plain text."""
    st.session_state.setdefault(_NOTICES, []).append(("done", (message, icon)))


def offer_undo(message: str, undo: Callable[[], object]) -> None:
    """Offer to take the last act back, until it is used, dismissed or replaced; `message` is plain text."""
    st.session_state[_UNDO] = (message, undo)


def notices() -> None:
    """Show and forget waiting notices, and the undo bar. The shell does it per page; a fragment may at its end."""
    for kind, what in st.session_state.pop(_NOTICES, []):
        if kind == "done":
            st.toast(text.escape(what[0]), icon=what[1])
        elif kind == "error":
            show_error(what)
        else:
            show_fault(what)


def undo_bar() -> None:
    """Draw the offer to take the last act back, when there is one."""
    offer = st.session_state.get(_UNDO)
    if offer is None:
        return
    with st.container(key="undo_bar", horizontal=True, vertical_alignment="center", border=True):
        st.markdown(f":material/history: {text.escape(offer[0])}", width="content")
        st.space("stretch")
        st.button("Undo", key="undo", icon=":material/undo:", type="primary", on_click=_take_back)
        st.button("Dismiss", key="undo_dismiss", type="tertiary", on_click=_forget_undo)


def _take_back() -> None:
    offer = st.session_state.pop(_UNDO, None)
    if offer is not None:
        attempt(offer[1])
        notify("Restored.", icon=":material/undo:")


def _forget_undo() -> None:
    st.session_state.pop(_UNDO, None)


def show_error(error: Mapping[str, object]) -> None:
    """Draw an error's message, next action, code and place (`SpellbookError.to_dict`, `ErrorReport.to_json`)."""
    facts = error.get("facts")
    place = []
    if isinstance(facts, Mapping):
        place = [f"{name} {value}" for name, value in facts.items() if isinstance(value, (str, int)) and value != ""]
    lines = [f"**{text.escape(error.get('message', 'Something went wrong.'), max_chars=2000)}**"]
    if error.get("hint"):
        lines.append(f"Do this: {text.prose(error['hint'], max_chars=1000)}")
    where = " · ".join(text.escape(part, max_chars=200) for part in [str(error.get("code", "")), *place] if part)
    lines.append(f":small[{where}]")
    st.error("\n\n".join(lines), icon=":material/error:")


def record_fault(error: BaseException) -> tuple[str, str]:
    """Append the trace to the workspace's `ui.log` and return (id to quote, log file's path)."""
    ident = uuid.uuid4().hex[:8]
    try:
        folder = state.context().workspace.ensure_state_dir()
        path = folder / "ui.log"
        text_of_trace = "".join(traceback.format_exception(error))
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8") as log:
            log.write(f"--- {datetime.now(UTC).isoformat()} fault {ident}\n{text_of_trace}\n")
    except (OSError, SpellbookError):
        traceback.print_exception(error)  # no folder to write to: the server's own output is what is left
        return ident, "the server's output"
    return ident, str(path)


def show_fault(fault: tuple[str, str]) -> None:
    """Draw the panel for our own faults: no trace, but an id and where the trace is."""
    ident, path = fault
    with st.container(border=True, key=f"fault_{ident}"):
        st.markdown("#### :material/sentiment_dissatisfied: This part of the page failed, and it is our fault")
        st.markdown("Your files and runs are safe. Reload the page, or go on with another one.")
        st.caption(f"Fault {text.code_span(ident)} · details in {text.code_span(path)}")
        st.button("Try again", key=f"fault_retry_{ident}", icon=":material/refresh:")
