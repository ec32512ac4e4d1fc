"""One tab's session of Streamlit without a browser: messages go in, and the script notes what it draws.

`AppTest` runs one message after the other. Here a message can come while a run is at work, as it does in truth: a
script waits at `hold(name)` until the test lets it go on.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import MagicMock

from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime import Runtime
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.dataframe_source_manager import DataframeSourceManager
from streamlit.runtime.script_data import ScriptData
from streamlit.runtime.scriptrunner.script_cache import ScriptCache

_PATIENCE_S = 30.0

drawn: list[str] = []
"""What the scripts drew and their callbacks did, oldest first; a test empties it as it likes."""

_gates: dict[str, threading.Event] = {}
_waiting: dict[str, threading.Event] = {}


def hold(name: str) -> None:
    """For scripts: wait here if a test holds `name`."""
    gate = _gates.get(name)
    if gate is not None:
        _waiting[name].set()
        assert gate.wait(_PATIENCE_S)


class Session:
    """The session; the test's own thread is its event loop, which is at work only inside these methods."""

    def __init__(self, script: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self.sent: list[ForwardMsg] = []
        self._texts: dict[str, str] = {}
        self._app: AppSession = self._loop.run_until_complete(self._made(script))

    async def _made(self, script: Path) -> AppSession:
        return AppSession(ScriptData(str(script), False), MagicMock(), ScriptCache(), None, {})

    def send(self, *values: tuple[str, object], fragment: str | None = None, timer: bool = False) -> None:
        """Send a message as the browser does.

        Args:
            values: Key of a widget and its value, True for a click. Texts are sent again with every later message.
            fragment: Id of the fragment that the message names; that of the first widget when None.
            timer: Whether it is the message of a timer (`run_every`).
        """
        message = ClientState()
        self._texts.update((self._widget(key), str(value)) for key, value in values if value is not True)
        for widget, text in self._texts.items():
            message.widget_states.widgets.add(id=widget).string_value = text
        for key, value in values:
            if value is True:
                message.widget_states.widgets.add(id=self._widget(key)).trigger_value = True
        named = self.home(values[0][0]) if fragment is None and values else fragment
        message.fragment_id = named or ""
        message.is_auto_rerun = timer
        self._app.request_rerun(message)

    def home(self, key: str) -> str:
        """Return the id of the fragment in which a widget stands, empty for none."""
        metadata = self._app.session_state._new_widget_state.widget_metadata
        return metadata[self._widget(key)].fragment_id or ""

    def fragment(self, name: str) -> str:
        """Return the id of a fragment by its key."""
        return self._app._fragment_storage.resolve_target(name)[0]

    def end_unheard(self) -> None:
        """Wait until the run at work has ended, as if the event loop were busy: nothing it drew is passed on yet."""
        runner = self._app._scriptrunner
        assert runner is not None
        runner._script_thread.join(_PATIENCE_S)

    def settle(self, *, is_sent: bool = True) -> None:
        """Wait until nothing is at work any more, and send what was drawn to the browser unless `is_sent` is False."""
        deadline = time.monotonic() + _PATIENCE_S
        while self._app._scriptrunner is not None:
            assert time.monotonic() < deadline
            self._loop.run_until_complete(asyncio.sleep(0.001))
        if is_sent:
            self.sent.extend(self._app.flush_browser_queue())

    @contextmanager
    def held(self, name: str, *values: tuple[str, object]) -> Iterator[None]:
        """Send `values` and wait until the script is at `hold(name)`; it goes on when the block ends."""
        gate, waits = threading.Event(), threading.Event()
        _gates[name], _waiting[name] = gate, waits
        self.send(*values)
        assert waits.wait(_PATIENCE_S)
        del _gates[name]
        yield
        gate.set()

    def texts(self) -> list[str]:
        """Return the texts that reached the browser, oldest first."""
        return [message.delta.new_element.text.body for message in self.sent if message.HasField("delta")]

    def timers(self) -> set[str]:
        """Return the fragments whose timers go in the browser, which does as the messages say."""
        going: set[str] = set()
        for message in self.sent:
            kind = message.WhichOneof("type")
            if kind == "new_session" and not message.metadata.run.fragment_ids:
                going.clear()
            elif kind == "auto_rerun":
                going.add(message.auto_rerun.fragment_id)
            elif kind == "stop_auto_rerun":
                going.difference_update(message.stop_auto_rerun.fragment_ids)
        return going

    def close(self) -> None:
        self._app.shutdown()
        self._loop.close()

    def _widget(self, key: str) -> str:
        known = self._app.session_state._new_widget_state.widget_metadata
        return next(widget for widget in known if widget.endswith(f"-{key}"))


@contextmanager
def session(script: Path) -> Iterator[Session]:
    """Open a session of the script and draw its page once."""
    before, Runtime._instance = Runtime._instance, MagicMock(spec=Runtime)
    Runtime._instance.media_file_mgr = MagicMock()
    Runtime._instance.dataframe_source_mgr = DataframeSourceManager()
    opened = Session(script)
    try:
        opened.send()
        opened.settle()
        drawn.clear()
        yield opened
    finally:
        opened.close()
        Runtime._instance = before
