"""Three faults of Streamlit 1.67 that lose what a person did or garble the page, mended where they are.

Each was found in a log of its session and messages, and has a browser test that fails without its mend.

1. The callbacks of a message count as part of the script, which a newer request for the whole page may interrupt: at
   every use of `st.session_state`, so at any point of a callback, and even before the first. The message counts as
   handled all the same, and the click or the text that it brought is gone: 6 of 80 texts typed just before their
   editor was closed, 0 of 120 since. Callbacks now run to their end. (`runner.fastReruns` is off in `config.toml` for
   the same reason: with it, a newer request throws away a message that waits behind a running script.)
2. Without fast reruns, the thread that has drawn a fragment may draw the whole page next, and begins in the place of
   that fragment ("Bad delta path"). Every run now begins at the page's root.
3. A fragment that runs right after the whole page throws what that run drew in its place out of the queue to the
   browser. The browser removes the place with the end of the first run, its neighbours move up, and the fragment then
   overwrites one of them. Nothing of an ended run is thrown away for a fragment now.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from streamlit.delta_generator_singletons import context_dg_stack, get_default_dg_stack_value
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.state.safe_session_state import SafeSessionState


def install() -> None:
    """Mend the faults for every session of this process; further calls change nothing."""
    if not hasattr(SafeSessionState.on_script_will_rerun, "__wrapped__"):
        SafeSessionState.on_script_will_rerun = _from_root_and_whole(SafeSessionState.on_script_will_rerun)  # type: ignore[method-assign]
        ForwardMsgQueue.clear = _keeping_for_fragments(ForwardMsgQueue.clear)  # type: ignore[method-assign]


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


def _keeping_for_fragments(original: Any) -> Any:
    @wraps(original)
    def clear(
        self: ForwardMsgQueue, retain_lifecycle_msgs: bool = False, fragment_ids_this_run: list[str] | None = None
    ) -> None:
        if fragment_ids_this_run is None:
            original(self, retain_lifecycle_msgs)
        else:
            self._delta_index_map = {}  # what the fragment draws follows what is queued; it does not replace it there

    return clear


def _go_on() -> None:
    """Interrupt nothing."""
