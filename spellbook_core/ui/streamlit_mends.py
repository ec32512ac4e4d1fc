"""Six faults of Streamlit 1.67 that lose what a person did or garble the page, mended where they are.

Each was found in a log of its session and messages, and has a test that fails without its mend, most in a browser.
Four more, about what a message has drawn, are in `streamlit_scopes`.

1. The callbacks of a message count as part of the script, which a newer request for the whole page may interrupt: at
   every use of `st.session_state`, so at any point of a callback, and even before the first. The message counts as
   handled all the same, and the click or the text that it brought is gone: 6 of 80 texts typed just before their
   editor was closed, 0 of 120 since. Callbacks now run to their end. (`runner.fastReruns` is off in `config.toml` for
   the same reason: with it, a newer request throws away a message that waits behind a running script.)
2. Without fast reruns, the thread that has drawn a fragment may draw the whole page next, and begins in the place of
   that fragment ("Bad delta path"). Every run now begins at the page's root.
3. A fragment that runs right after the whole page throws what that run drew in its place out of the queue to the
   browser. The browser removes the place with the end of the first run, its neighbours move up, and the fragment then
   overwrites one of them. And a message for the whole page throws out all that was drawn before, though its callbacks
   may ask for a fragment alone. Nothing that was drawn is thrown away now.
4. What a fragment reports while the person goes to another page reaches the server behind the change of page, and
   names the page that was left: the new page is then emptied, or the person is taken back. `quiet.js` keeps our own
   components from reporting once a link was clicked, but not what was on its way then. Such reports are left aside.
5. The browser sends a click in a task of its own, after the one in which it was made. The timer of a fragment
   (`run_every`) that comes between the two sends all it has, the click too, and the click is then sent again: one click
   runs a block twice. What a timer's message says of clicks is left aside; they follow in their own.
6. What a run draws is passed on by the event loop, which also takes in messages. A message that it takes in after a run
   has ended, but before it has passed on all of that, starts the next run in a new thread, and the rest of the ended
   run is thrown away as if it had been stopped: a click was counted and its count never shown. The ended run's rest is
   now passed on; it stands in the loop before anything of the next run.
"""

from __future__ import annotations

import logging
from functools import wraps
from typing import Any

from streamlit.delta_generator_singletons import context_dg_stack, get_default_dg_stack_value
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner, ScriptRunnerEvent
from streamlit.runtime.state.safe_session_state import SafeSessionState

from spellbook_core.ui import streamlit_scopes

_PAGE = "_spellbook_page"
"""Attribute of a session: the hash of the page that was asked for or begun last."""

_STOPPED = "_spellbook_stopped"
"""Attribute of a run's thread of Streamlit: set once it was told to stop, so that what it draws is of no use."""

_OF_A_LEFT_PART = "Couldn't find fragment with id"
"""Begins what Streamlit warns of, for its own makers, when a report comes from a part of the page that is gone."""

_CLICKS = frozenset({"trigger_value", "string_trigger_value", "chat_input_value", "json_trigger_value"})
"""Values that stand for something done, not for how something stands: the browser sends each once and forgets it."""


def install() -> None:
    """Mend the faults for every session of this process; further calls change nothing."""
    streamlit_scopes.install()
    if not hasattr(SafeSessionState.on_script_will_rerun, "__wrapped__"):
        SafeSessionState.on_script_will_rerun = _from_root_and_whole(SafeSessionState.on_script_will_rerun)  # type: ignore[method-assign]
        AppSession._clear_queue = _keeping_what_was_drawn(AppSession._clear_queue)  # type: ignore[method-assign]
        AppSession._create_new_session_message = _noting_page(AppSession._create_new_session_message)  # type: ignore[method-assign]
        ScriptRunner.request_stop = _noting_stop(ScriptRunner.request_stop)  # type: ignore[method-assign]
        AppSession._handle_scriptrunner_event_on_event_loop = _with_the_rest(  # type: ignore[method-assign]
            AppSession._handle_scriptrunner_event_on_event_loop
        )
        logging.getLogger(ScriptRunner.__module__).addFilter(_concerns_the_person)
        AppSession.request_rerun = _clicks_once(_without_left_pages(AppSession.request_rerun))  # type: ignore[method-assign]


def _from_root_and_whole(original: Any) -> Any:
    @wraps(original)
    def on_script_will_rerun(self: SafeSessionState, *args: Any, **kwargs: Any) -> None:
        context_dg_stack.set(get_default_dg_stack_value())
        interrupt = self._yield_callback
        # Its own __setattr__ would write to the session.
        object.__setattr__(self, "_yield_callback", _go_on)
        try:
            original(self, *args, **kwargs)
        finally:
            object.__setattr__(self, "_yield_callback", interrupt)

    return on_script_will_rerun


def _keeping_what_was_drawn(original: Any) -> Any:
    @wraps(original)
    def clear_queue(self: AppSession, fragment_ids_this_run: list[str] | None = None) -> None:
        # What the run draws follows what is queued; it does not replace it there.
        self._browser_queue._delta_index_map = {}

    return clear_queue


def _noting_page(original: Any) -> Any:
    @wraps(original)
    def create_new_session_message(self: AppSession, page_script_hash: str, *args: Any, **kwargs: Any) -> Any:
        if page_script_hash != self._pages_manager.main_script_hash:  # which page that is, is not known yet
            setattr(self, _PAGE, page_script_hash)
        return original(self, page_script_hash, *args, **kwargs)

    return create_new_session_message


def _without_left_pages(original: Any) -> Any:
    @wraps(original)
    def request_rerun(self: AppSession, client_state: Any) -> None:
        if client_state is not None and client_state.page_script_hash:
            if not client_state.fragment_id:
                setattr(self, _PAGE, client_state.page_script_hash)
            elif client_state.page_script_hash != getattr(self, _PAGE, client_state.page_script_hash):
                return
        original(self, client_state)

    return request_rerun


def _clicks_once(original: Any) -> Any:
    @wraps(original)
    def request_rerun(self: AppSession, client_state: Any) -> None:
        if client_state is not None and client_state.is_auto_rerun:
            kept = [state for state in client_state.widget_states.widgets if not _is_click(state)]
            del client_state.widget_states.widgets[:]
            client_state.widget_states.widgets.extend(kept)
        original(self, client_state)

    return request_rerun


def _noting_stop(original: Any) -> Any:
    @wraps(original)
    def request_stop(self: ScriptRunner) -> None:
        setattr(self, _STOPPED, True)
        original(self)

    return request_stop


def _with_the_rest(original: Any) -> Any:
    @wraps(original)
    def handle(self: AppSession, sender: ScriptRunner | None, event: ScriptRunnerEvent, *args: Any, **kw: Any) -> None:
        current = self._scriptrunner
        ended = sender is not None and sender is not current and not hasattr(sender, _STOPPED)
        if not ended or event == ScriptRunnerEvent.SHUTDOWN:  # which would forget the runner at work
            original(self, sender, event, *args, **kw)
            return
        self._scriptrunner = sender  # the events of any other are left aside
        try:
            original(self, sender, event, *args, **kw)
        finally:
            self._scriptrunner = current

    return handle


def _concerns_the_person(record: logging.LogRecord) -> bool:
    """Keep from the terminal what is usual when a page is left, and tells nobody there what to do."""
    return not str(record.msg).startswith(_OF_A_LEFT_PART)


def _is_click(state: Any) -> bool:
    return str(state.WhichOneof("value")) in _CLICKS


def _go_on() -> None:
    """Interrupt nothing."""
