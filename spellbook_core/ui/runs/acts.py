"""What can be done with a run, and where it leads: cancel, retry, run again, open."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Literal

import streamlit as st

from spellbook_core.model.naming import BlockUuid, RunId
from spellbook_core.model.run import Code, PipelineRun, Status
from spellbook_core.services import code_then, retries, runs
from spellbook_core.ui import boundary, state


def elapsed(run: PipelineRun) -> float | None:
    """Return the run's duration so far in seconds; None when it has not started."""
    if run.started_at is None or run.duration_s is not None:
        return run.duration_s
    return None if run.status.is_terminal else (state.context().clock.now() - run.started_at).total_seconds()


def run_acts(run: PipelineRun, *, with_retry: bool = False) -> None:
    """Draw Cancel while the run is active, else Run again; with `with_retry` also Retry, and with which code."""
    if not run.status.is_terminal:
        st.button("Cancel", key=f"cancel_{run.id}", icon=":material/stop_circle:", on_click=_cancel, args=(run.id,))
        return
    if not with_retry:
        _button("Run again", f"again_{run.id}", _again, run.id, Code.NOW)
        return
    if run.status is not Status.COMPLETED:
        _button(
            "Retry from failed",
            f"retry_{run.id}",
            _retry,
            run.id,
            None,
            type="primary",
            help="A new run of what did not complete and of what was edited since; the other stored outputs are used",
        )
    with st.popover("Run again", icon=":material/replay:", key=f"again_menu_{run.id}"):
        _button("With today's code", f"again_{run.id}", _again, run.id, Code.NOW, type="tertiary", help=_NOW_HELP)
        _button("As it was", f"as_it_was_{run.id}", _again, run.id, Code.THEN, type="tertiary", help=_THEN_HELP)


def retry_from(run: PipelineRun, block: str) -> None:
    """Draw the act that repeats an ended run from a block on."""
    if run.status.is_terminal:
        _button(
            "Retry from this block",
            f"retry_from_{run.id}",
            _retry,
            run.id,
            BlockUuid(block),
            help="A new run of this block and all below it; stored outputs of the others are used",
        )


_NOW_HELP = "A new run with the files as they are now, and the variables and execution date of this run"
_THEN_HELP = "A new run with the blocks, their code, the project modules they import and the variables of this run"


def _button(
    label: str,
    key: str,
    act: Callable[[RunId, Any], None],
    run_id: RunId,
    choice: object,
    *,
    type: Literal["primary", "secondary", "tertiary"] = "secondary",  # Streamlit's name for it
    help: str | None = None,
) -> None:
    icon = ":material/replay:" if type != "tertiary" else None
    st.button(label, key=key, icon=icon, type=type, help=help, on_click=act, args=(run_id, choice))


def _again(run_id: RunId, code: Code) -> None:
    started = boundary.attempt(retries.run_again, state.context(), run_id, code=code, request_id=uuid.uuid4().hex)
    if code is Code.THEN:
        modules = boundary.attempt(code_then.modules_written_since, state.context(), run_id)
        if modules:
            boundary.notify(code_then.sentence(run_id, modules), icon=":material/warning:")
    _open(started)


def _retry(run_id: RunId, start: BlockUuid | None) -> None:
    _open(boundary.attempt(retries.retry, state.context(), run_id, start=start, request_id=uuid.uuid4().hex))


def _open(started: PipelineRun | None) -> None:
    if started is not None:
        state.leave("run", id=started.id)


def _cancel(run_id: RunId) -> None:
    boundary.attempt(runs.cancel, state.context(), run_id)
    boundary.notify(f"Run {run_id} is being cancelled.", icon=":material/stop_circle:")
