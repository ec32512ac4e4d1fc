"""Lets what a person did be carried out to its end, whatever they do next.

Streamlit 1.67 takes the callbacks of a message for part of the script, which a newer request for the whole page may
interrupt: at every use of `st.session_state`, so at any point of a callback, and even before the first one begins. The
message counts as handled all the same, and the click or the text that it brought is gone. In a loop that typed and at
once closed the editor, 2 to 10 of 100 texts were lost.

Two parts prevent that: here, callbacks are not interrupted; and `runner.fastReruns` is off in `config.toml`, since
with it a newer request throws away a message that waits behind a running script.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from streamlit.runtime.state.safe_session_state import SafeSessionState


def install() -> None:
    """Have callbacks of every session of this process run to their end; further calls change nothing."""
    original = SafeSessionState.on_script_will_rerun
    if hasattr(original, "__wrapped__"):
        return

    @wraps(original)
    def on_script_will_rerun(self: SafeSessionState, *args: Any, **kwargs: Any) -> None:
        interrupt = self._yield_callback
        # Its own __setattr__ would write to the session.
        object.__setattr__(self, "_yield_callback", _go_on)
        try:
            original(self, *args, **kwargs)
        finally:
            object.__setattr__(self, "_yield_callback", interrupt)

    SafeSessionState.on_script_will_rerun = on_script_will_rerun  # type: ignore[method-assign]


def _go_on() -> None:
    """Interrupt nothing."""
