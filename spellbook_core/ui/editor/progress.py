"""A block that waits or runs: clock, progress bar, metric curves and the end of its log, as they come."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from spellbook_core.model.block import BlockType
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.run import BlockRun, Status
from spellbook_core.services import runs as run_service
from spellbook_core.ui import attempts, boundary, children, figures, text, waiting
from spellbook_core.ui.editor import charts, keys
from spellbook_core.ui.editor.view import Editor

_CLOCK_S = 1.0
"""Seconds between redraws of the clock; news redraws the fragment at once."""

_TAIL_LINES = 12
_INSTALLER_LINES = 4


def draw(editor: Editor, uuid: BlockUuid) -> None:
    """Draw the running block as a fragment that redraws itself until the block has ended."""

    def body() -> None:
        with boundary.guarded():
            editor.refresh()
            if not editor.is_active(uuid):
                return  # the event of its end, or the safety net, draws the result
            editor.session.shown[keys.live(uuid)] = ""
            _running(editor, uuid)

    st.fragment(body, key=keys.live(uuid), run_every=_CLOCK_S)()


def note(editor: Editor, uuid: str) -> None:
    """Draw one line under the head of a closed card whose block waits: what for, until when and since when."""
    run = editor.latest.get(BlockUuid(uuid))
    if run is not None and run.waiting_for is not None and not editor.is_open(uuid):
        st.caption(f":material/hourglass_empty: {waiting.words(run)}")


def _waiting(editor: Editor, run: BlockRun) -> None:
    """Draw what a block waits for with a clock, and how its last attempt went."""
    with st.container(key=keys.widget("waiting", run.block)):
        st.markdown(f":orange[:material/hourglass_empty:] {waiting.words(run, datetime.now(UTC))}")
        if run.attempt:
            shown = attempts.choose(run, key=keys.widget("attempt", run.block))
            page = run_service.log_tail(editor.ctx, shown, lines=_TAIL_LINES)
            if page.lines:
                st.code("\n".join(line.text for line in page.lines), language=None, wrap_lines=True)


def _running(editor: Editor, uuid: BlockUuid) -> None:
    run = editor.latest.get(uuid)
    if run is not None and run.waiting_for is not None and uuid not in editor.session.pending:
        _waiting(editor, run)
        return
    if run is None or uuid in editor.session.pending or run.status is not Status.RUNNING:
        is_behind = run is not None and run.status is Status.INITIAL and uuid not in editor.session.pending
        st.caption(f":material/schedule: {'Waiting for its parents' if is_behind else 'Waiting for a free process'}…")
        return
    if run.children is not None:
        _children(editor, run)
        return
    log = editor.installers_log(run)
    if log is not None:
        _preparing(editor, run, log)
        return
    metrics = run_service.metrics(editor.ctx, run)
    with st.container(key=keys.widget("running", uuid)):
        _bar(run, metrics.progress)
        if metrics.series:
            charts.metrics(metrics, height=190)
        if metrics.figures:
            figures.draw(editor.ctx, metrics.figures, key=keys.widget("figures", uuid))
        page = run_service.log_tail(editor.ctx, run, lines=_TAIL_LINES)
        if page.lines:
            st.code("\n".join(line.text for line in page.lines), language=None, wrap_lines=True)


def _preparing(editor: Editor, run: BlockRun, log: str) -> None:
    """Draw that a block has not begun because its Python environment is being made, and what the installer says."""
    with st.container(key=keys.widget("running", run.block)):
        _bar(run, None)
        st.markdown(":blue[:material/hourglass_top:] Its Python environment is being made; the block begins after it.")
        lines = editor.needs.progress.lines[-_INSTALLER_LINES:]
        if lines:
            st.code("\n".join(lines), language=None, wrap_lines=True)
        st.caption(f"The installer's log: {text.code_span(editor.ctx.workspace.state_dir.name + '/' + log)}")


def _children(editor: Editor, run: BlockRun) -> None:
    """Draw how far the children are of a block that runs once per item."""
    counts = editor.counts.get(run.block, {})
    total, ended = sum(counts.values()), sum(n for status, n in counts.items() if status.is_terminal)
    elapsed = (datetime.now(UTC) - run.started_at).total_seconds() if run.started_at else 0.0
    clock = f":material/timer: {text.duration(max(0.0, elapsed))}"
    now = counts.get(Status.RUNNING, 0)
    with st.container(key=keys.widget("running", run.block)):
        st.progress(ended / total if total else 0.0, f"{clock} · {children.words(counts)} done · {now} running")


def _bar(run: BlockRun, done) -> None:
    elapsed = (datetime.now(UTC) - run.started_at).total_seconds() if run.started_at else 0.0
    again = f" · {'look' if run.block_type == BlockType.SENSOR else 'attempt'} {run.attempt}" if run.attempt > 1 else ""
    clock = f":material/timer: {text.duration(max(0.0, elapsed))}{again}"
    if done is not None and done.total:
        share = min(1.0, max(0.0, done.done / done.total))
        what = f" {text.escape(done.text, max_chars=60)}" if done.text else ""
        st.progress(share, f"{clock} ·{what} {done.done:,g} of {done.total:,g}")
    else:
        st.markdown(f":blue[{clock}]")
