"""What a message of the browser has drawn: all that it changed, and what was interrupted for it. Mended in Streamlit.

Four more faults of Streamlit 1.67, after those in `streamlit_mends`: they lose what is to be drawn, or a click. Each
has a test in `tests/ui/test_streamlit_mends.py` that fails without its mend.

7. Where a callback asks for named fragments, these are drawn and nothing else. What was half drawn when the message
   came, the fragments of other messages that were merged with it, and those of texts and choices in it that have no
   callback were never drawn: a search typed just before a click was not made. What is owed is now drawn as well.
8. The browser merges what is reported within one of its tasks (on a busy machine: a text that is left and the button
   pressed next) and names the fragment of the first one alone. What belongs elsewhere was not drawn. The server knows
   where each widget stands: their fragments are drawn, too.
9. A fragment's id says where it stands, so it has another one once something appears above it. A click that the browser
   sent before it heard of that was thrown away, or acted on but not shown. Old ids now lead to the same fragment.
10. The browser stops the timers of all fragments (`run_every`) when a run of the whole page begins, for it names them
    anew. One that ends in its callbacks, since they ask for fragments, never comes to that: clocks stood still after a
    click. The timers are then named again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.fragment import MemoryFragmentStorage
from streamlit.runtime.scriptrunner import RerunData, RerunException, get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests, ScriptRequestType
from streamlit.runtime.state.session_state import SessionState, WStates

_WHOLE = ""
"""Stands for the whole page among the ids of fragments."""

_CLAIMS = "_spellbook_claims"
"""Attribute of a request: its `_Claims`."""

_NOW = "_spellbook_now"
"""Attribute of a session's requests: the one that is being carried out."""

_ACT = "_spellbook_act"
"""Attribute of a session's requests: the `_Act` whose callbacks are at work."""

_NAMES = "_spellbook_names"
"""Attribute of a session's fragments: id -> key, of all that ever were."""

_TIMERS = "_spellbook_timers"
"""Attribute of a session: its `_Timers`."""


@dataclass(slots=True)
class _Timers:
    """The timers of a tab.

    Attributes:
        named: Fragment -> the message that starts its timer, as the browser knows them.
        stopped: Those that the beginning of a run of the whole page has stopped and that it has not named yet.
    """

    named: dict[str, ForwardMsg] = field(default_factory=dict)
    stopped: dict[str, ForwardMsg] = field(default_factory=dict)


@dataclass(slots=True)
class _Claims:
    """What is to be drawn for a request.

    Attributes:
        owed: Drawn whatever the callbacks ask for.
        told: What the browser's messages name; the callbacks of what they changed may ask for something else instead.
    """

    owed: dict[str, None] = field(default_factory=dict)
    told: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Act:
    """The changes in one message, and what their callbacks asked for.

    Attributes:
        homes: Where each changed widget stands.
        answered: Those whose callback asked for named fragments.
        has_asked: Whether a request of the callbacks was made.
    """

    homes: dict[str, str]
    answered: set[str] = field(default_factory=set)
    has_asked: bool = False

    def due(self, request: RerunData) -> dict[str, None]:
        """Return what has to be drawn besides what the callbacks asked for."""
        claims = _claims(request)
        due = _current(claims.owed)
        due.update((home, None) for widget, home in self.homes.items() if widget not in self.answered)
        if len(claims.told) > 1 or not self.homes:  # else a message of changes alone, and they say what it is for
            due.update((home, None) for home in _current(claims.told) if home not in self.homes.values())
        return due


def install() -> None:
    """Mend the faults for every session of this process; further calls change nothing."""
    if hasattr(ScriptRequests.request_rerun_batch, "__wrapped__"):
        return
    ScriptRequests._request_rerun_locked = _noting_claims(ScriptRequests._request_rerun_locked)  # type: ignore[method-assign]
    ScriptRequests.on_scriptrunner_yield = _noting_interrupted(ScriptRequests.on_scriptrunner_yield)  # type: ignore[method-assign]
    ScriptRequests.on_scriptrunner_ready = _noting_next(ScriptRequests.on_scriptrunner_ready)  # type: ignore[method-assign]
    ScriptRequests.request_rerun_batch = _with_what_is_due(ScriptRequests.request_rerun_batch)  # type: ignore[method-assign]
    SessionState._call_callbacks = _with_all_homes(SessionState._call_callbacks)  # type: ignore[method-assign]
    SessionState._execute_widget_callback = _noting_answer(SessionState._execute_widget_callback)  # type: ignore[method-assign]
    WStates.call_callback = _noting_answer_of_one(WStates.call_callback)  # type: ignore[method-assign]
    AppSession._enqueue_forward_msg = _naming_timers(AppSession._enqueue_forward_msg)  # type: ignore[method-assign]
    MemoryFragmentStorage.register = _noting_name(MemoryFragmentStorage.register)  # type: ignore[method-assign]
    MemoryFragmentStorage.contains = _or_ever_did(MemoryFragmentStorage.contains)  # type: ignore[method-assign]
    MemoryFragmentStorage.order_fragment_ids = _as_they_are_now(MemoryFragmentStorage.order_fragment_ids)  # type: ignore[method-assign]


# --- what is owed


def _noting_claims(original: Any) -> Any:
    @wraps(original)
    def request_rerun_locked(self: ScriptRequests, new_data: RerunData) -> bool:
        before = _claims(self._rerun_data) if self._state == ScriptRequestType.RERUN else _Claims()
        is_accepted: bool = original(self, new_data)
        if is_accepted:
            claims = _Claims(dict(before.owed), dict(before.told))
            if new_data.widget_states is not None and not new_data.is_auto_rerun:
                claims.told.update(_drawn_by(new_data))
            elif new_data.page_script_hash or _WHOLE not in _drawn_by(new_data):  # AppTest begins with one of nothing
                claims.owed.update(_drawn_by(new_data))
            object.__setattr__(self._rerun_data, _CLAIMS, claims)  # a frozen dataclass, handed on as it is
        return is_accepted

    return request_rerun_locked


def _noting_interrupted(original: Any) -> Any:
    @wraps(original)
    def on_scriptrunner_yield(self: ScriptRequests) -> Any:
        taken = original(self)
        if taken is not None and taken.type == ScriptRequestType.RERUN:
            before: RerunData | None = getattr(self, _NOW, None)
            if before is not None:
                _claims(taken.rerun_data).owed.update(_drawn_by(before))
            setattr(self, _NOW, taken.rerun_data)
        return taken

    return on_scriptrunner_yield


def _noting_next(original: Any) -> Any:
    @wraps(original)
    def on_scriptrunner_ready(self: ScriptRequests) -> Any:
        taken = original(self)
        setattr(self, _NOW, taken.rerun_data if taken.type == ScriptRequestType.RERUN else None)
        return taken

    return on_scriptrunner_ready


def _with_what_is_due(original: Any) -> Any:
    @wraps(original)
    def request_rerun_batch(self: ScriptRequests, rerun_batch: list[RerunData]) -> bool:
        act: _Act | None = getattr(self, _ACT, None)
        now: RerunData | None = getattr(self, _NOW, None)
        if act is None or now is None or not rerun_batch:
            return bool(original(self, rerun_batch))
        act.has_asked = True
        if all(asked.fragment_id_queue for asked in rerun_batch):
            due = act.due(now)
            if due:
                plain = replace(rerun_batch[-1], replay_trigger_states=None, replay_trigger_values=None)
                rerun_batch = [*rerun_batch, _for(plain, due)]
        setattr(self, _NOW, None)  # what it was to draw is asked for by now
        return bool(original(self, rerun_batch))

    return request_rerun_batch


def _with_all_homes(original: Any) -> Any:
    @wraps(original)
    def call_callbacks(self: SessionState, **kwargs: Any) -> None:
        ctx = get_script_run_ctx()
        requests = ctx.script_requests if ctx is not None else None
        now: RerunData | None = getattr(requests, _NOW, None)
        if ctx is None or requests is None or now is None:
            original(self, **kwargs)
            return
        act = _Act(_homes(self))
        setattr(requests, _ACT, act)
        try:
            original(self, **kwargs)
        finally:
            setattr(requests, _ACT, None)
        if act.has_asked or now.is_auto_rerun:  # what a timer's message says of changes comes again in their own
            return
        drawn, due = _current(_drawn_by(now)), act.due(now)
        missing = {home: None for home in due if home not in drawn}
        if missing and _WHOLE not in drawn:
            states = self._filter_active_trigger_widget_states(self._current_interaction_widget_states)
            values = self._capture_replay_trigger_values(states)
            plain = replace(self._build_full_app_rerun(ctx), replay_trigger_states=states, replay_trigger_values=values)
            requests.request_rerun(_for(plain, missing))

    return call_callbacks


def _noting_answer(original: Any) -> Any:
    @wraps(original)
    def execute_widget_callback(self: SessionState, votes: Any, callback: Any, metadata: Any, *args: Any) -> None:
        before = len(votes.pending_reruns)
        original(self, votes, callback, metadata, *args)
        if any(asked.fragment_id_queue for asked in votes.pending_reruns[before:]):
            _answered(metadata.id)

    return execute_widget_callback


def _noting_answer_of_one(original: Any) -> Any:
    @wraps(original)
    def call_callback(self: WStates, widget_id: str) -> None:
        try:
            original(self, widget_id)
        except RerunException as asked:
            if asked.rerun_data.fragment_id_queue:
                _answered(widget_id)
            raise

    return call_callback


def _answered(widget_id: str) -> None:
    ctx = get_script_run_ctx()
    act: _Act | None = getattr(ctx.script_requests, _ACT, None) if ctx is not None else None
    if act is not None:
        act.answered.add(widget_id)


def _homes(session: SessionState) -> dict[str, str]:
    """Return where each widget stands whose value is another one than at the last run."""
    states = session._new_widget_state
    known = ((widget, states.widget_metadata.get(widget)) for widget in states if session._widget_changed(widget))
    return {widget: found.fragment_id or _WHOLE for widget, found in known if found is not None and not found.disabled}


def _claims(request: RerunData) -> _Claims:
    found: _Claims | None = getattr(request, _CLAIMS, None)
    if found is None:
        found = _Claims()
        object.__setattr__(request, _CLAIMS, found)
    return found


def _drawn_by(request: RerunData) -> dict[str, None]:
    named = [*request.fragment_id_queue, request.fragment_id]
    return dict.fromkeys(name for name in named if name) or {_WHOLE: None}


def _for(request: RerunData, drawn: Iterable[str]) -> RerunData:
    names = list(drawn)
    if _WHOLE in names:
        return replace(request, fragment_id_queue=[], is_fragment_scoped_rerun=False)
    return replace(request, fragment_id_queue=names)


# --- timers


def _naming_timers(original: Any) -> Any:
    @wraps(original)
    def enqueue_forward_msg(self: AppSession, message: ForwardMsg) -> None:
        original(self, message)
        timers: _Timers | None = getattr(self, _TIMERS, None)
        if timers is None:
            timers = _Timers()
            setattr(self, _TIMERS, timers)
        for stopped in _follow(timers, message):
            original(self, stopped)

    return enqueue_forward_msg


def _follow(timers: _Timers, message: ForwardMsg) -> list[ForwardMsg]:
    """Note what a message does to the timers; return the messages that start again what was stopped for nothing."""
    kind = message.WhichOneof("type")
    if kind == "auto_rerun":
        timers.named[message.auto_rerun.fragment_id] = message
        timers.stopped.pop(message.auto_rerun.fragment_id, None)
    elif kind == "stop_auto_rerun":
        for fragment_id in message.stop_auto_rerun.fragment_ids:
            timers.named.pop(fragment_id, None)
            timers.stopped.pop(fragment_id, None)
    elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
        timers.stopped.clear()  # fragments that are not there any more
    elif kind == "new_session" and not message.metadata.run.fragment_ids:
        timers.stopped.update(timers.named)
        timers.named.clear()
    elif kind == "new_session":
        again = list(timers.stopped.values())
        timers.named.update(timers.stopped)
        timers.stopped.clear()
        return again
    return []


# --- where fragments stand


def _noting_name(original: Any) -> Any:
    @wraps(original)
    def register(self: MemoryFragmentStorage, key: str, *args: Any, target_key: str | None = None, **kw: Any) -> None:
        original(self, key, *args, target_key=target_key, **kw)
        if target_key is not None:
            _names(self)[key] = target_key

    return register


def _or_ever_did(original: Any) -> Any:
    @wraps(original)
    def contains(self: MemoryFragmentStorage, key: str) -> bool:
        return bool(original(self, key)) or key in _names(self)

    return contains


def _as_they_are_now(original: Any) -> Any:
    @wraps(original)
    def order_fragment_ids(self: MemoryFragmentStorage, fragment_ids: list[str]) -> list[str]:
        return list(original(self, list(_moved(self, fragment_ids))))

    return order_fragment_ids


def _current(ids: Iterable[str]) -> dict[str, None]:
    ctx = get_script_run_ctx()
    storage = ctx.fragment_storage if ctx is not None else None
    return _moved(storage, ids) if isinstance(storage, MemoryFragmentStorage) else dict.fromkeys(ids)


def _moved(storage: MemoryFragmentStorage, ids: Iterable[str]) -> dict[str, None]:
    """Return the ids with those of fragments that moved replaced by what they are now; unknown ones stay."""
    now: dict[str, None] = {}
    for fragment_id in ids:
        found = storage._ids_by_target_key.get(_names(storage).get(fragment_id, ""), {})
        now.update(dict.fromkeys([fragment_id] if fragment_id in storage._fragments else found or [fragment_id]))
    return now


def _names(storage: MemoryFragmentStorage) -> dict[str, str]:
    found: dict[str, str] | None = getattr(storage, _NAMES, None)
    if found is None:
        found = {}
        setattr(storage, _NAMES, found)
    return found
