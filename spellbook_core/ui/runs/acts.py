"""What can be done with a run, and where it leads: cancel, run again, open."""

from __future__ import annotations

import uuid

import streamlit as st

from spellbook_core.model.naming import RunId
from spellbook_core.model.run import NewRun, PipelineRun, Selection, Status
from spellbook_core.services import runs
from spellbook_core.ui import boundary, state

_OPEN = "_open_run"


def open_next(run_id: RunId) -> None:
    """Ask, from a widget callback, that the next `open_started()` opens this run's page."""
    st.session_state[_OPEN] = run_id


def open_started() -> None:
    """Open the run that a callback started, if one did. Callbacks themselves cannot leave the page."""
    run_id = st.session_state.pop(_OPEN, None)
    if run_id is not None:
        state.go("run", id=run_id)


def elapsed(run: PipelineRun) -> float | None:
    """Return the run's duration so far in seconds; None when it has not started."""
    if run.started_at is None or run.duration_s is not None:
        return run.duration_s
    return None if run.status.is_terminal else (state.context().clock.now() - run.started_at).total_seconds()


def run_acts(run: PipelineRun, *, with_retry: bool = False) -> None:
    """Draw Cancel while the run is active, else Run again and, after a failure, Retry: today's code, same variables."""
    if run.status.is_terminal:
        if with_retry and run.status is Status.FAILED:
            st.button(
                "Retry from failed",
                key=f"retry_{run.id}",
                icon=":material/replay:",
                type="primary",
                help="Run only what failed and what waited for it; the stored outputs above are used",
                on_click=_retry,
                args=(run,),
            )
        st.button(
            "Run again",
            key=f"again_{run.id}",
            icon=":material/replay:",
            on_click=_again,
            args=(run,),
        )
    else:
        st.button("Cancel", key=f"cancel_{run.id}", icon=":material/stop_circle:", on_click=_cancel, args=(run.id,))


def _again(run: PipelineRun) -> None:
    trigger = "notebook" if run.trigger == "notebook" else "manual"
    new = NewRun(run.project, run.pipeline, trigger, run.selection, run.variables, uuid.uuid4().hex)
    started = boundary.attempt(runs.start, state.context(), new)
    if started is not None:
        open_next(started.id)


def _retry(run: PipelineRun) -> None:
    missed = tuple(
        block_run.block
        for block_run in runs.block_runs(state.context(), run.id)
        if block_run.status in {Status.FAILED, Status.UPSTREAM_FAILED, Status.CANCELLED}
    )
    trigger = "notebook" if run.trigger == "notebook" else "manual"
    new = NewRun(run.project, run.pipeline, trigger, Selection(missed or None), run.variables, uuid.uuid4().hex)
    started = boundary.attempt(runs.start, state.context(), new)
    if started is not None:
        open_next(started.id)


def _cancel(run_id: RunId) -> None:
    boundary.attempt(runs.cancel, state.context(), run_id)
    boundary.notify(f"Run {run_id} is being cancelled.", icon=":material/stop_circle:")
