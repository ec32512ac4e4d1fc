"""Why a block did not complete, where it happened, and the button that mends it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from spellbook_core.model.block import Block
from spellbook_core.model.outcome import ErrorReport
from spellbook_core.model.run import BlockRun, Status
from spellbook_core.ui import frames, state, text
from spellbook_core.ui.editor import actions, keys, scope
from spellbook_core.ui.editor.view import Editor

_MOST_FRAMES = 8

_NEEDS_UPSTREAM = "upstream"
"""The word by which the engine's hint says that running the parents is the fix."""


def draw(editor: Editor, block: Block, run: BlockRun) -> None:
    """Draw the failed, cancelled or passed-over run of a block."""
    edged = "failure" if run.status is Status.UPSTREAM_FAILED else "ended"  # an error has a frame of its own
    with st.container(key=keys.widget(edged, block.uuid)):
        if run.status is Status.CANCELLED:
            st.info("The run was cancelled before this block ended.", icon=":material/cancel:")
            return
        if run.status is Status.UPSTREAM_FAILED:
            _upstream(editor, block, run)
            return
        if run.status is Status.CONDITION_FAILED:
            reason = run.reason or "a condition was false"
            st.info(f"Skipped: {text.escape(reason)}.", icon=":material/alt_route:")
            return
        if run.error is not None:
            _error(editor, block, run.error, run)


def refused(editor: Editor, uuid: str) -> None:
    """Draw why a run of the block was refused, and the button that mends it when its parents have not run."""
    scope.show_scope_error(editor, keys.card(uuid))
    error = editor.session.errors.get(keys.card(uuid))
    if error is not None and _NEEDS_UPSTREAM in str(error.get("hint")).lower():
        st.button(
            "Run with upstream",
            key=keys.widget("mend_upstream", uuid),
            type="primary",
            icon=":material/vertical_align_bottom:",
            on_click=partial(actions.on_run, editor, uuid, "upstream"),
        )


def _upstream(editor: Editor, block: Block, run: BlockRun) -> None:
    failed = [parent for parent in block.upstream_blocks if editor.status_key(parent) in {"failed", "upstream_failed"}]
    names = ", ".join(text.code_span(name) for name in failed) or "a block above"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":orange[:material/link_off:] Not run: {names} failed.", width="content")
        st.button(
            "Run with upstream",
            key=keys.widget("fix_upstream", block.uuid),
            icon=":material/vertical_align_bottom:",
            on_click=partial(actions.on_run, editor, block.uuid, "upstream"),
        )


def _error(editor: Editor, block: Block, error: ErrorReport, run: BlockRun) -> None:
    headline = error.exception or error.message
    with st.container(key=keys.widget("error", block.uuid)):
        st.markdown(f":red[:material/error:] **{text.escape(headline, max_chars=600)}**")
        if error.exception and error.message and error.exception not in error.message:
            st.caption(text.escape(error.message, max_chars=600))
        if error.frames:
            st.code(_frames(editor, error), language=None, wrap_lines=True)
        with st.container(horizontal=True, vertical_alignment="center"):
            if error.hint:
                st.markdown(f":material/lightbulb: {text.prose(error.hint, max_chars=400)}", width="content")
            st.space("stretch")
            if _mends_upstream(error):
                st.button(
                    "Run with upstream",
                    key=keys.widget("fix_upstream", block.uuid),
                    type="primary",
                    icon=":material/vertical_align_bottom:",
                    on_click=partial(actions.on_run, editor, block.uuid, "upstream"),
                )
            state.link("run", "Run page", icon=":material/open_in_new:", id=run.run_id)
            st.caption(text.escape(error.code), width="content")
        if error.traceback and st.toggle("Full traceback", key=keys.widget("trace", block.uuid)):
            st.code(error.traceback, language=None, height=300)


def _frames(editor: Editor, error: ErrorReport) -> str:
    root = editor.ctx.workspace.project(editor.project).root
    lines = []
    for frame in frames.own(error.frames, root)[-_MOST_FRAMES:]:
        inside = "" if frame.function == "<module>" else f", in {frame.function}"
        lines.append(f"{frames.place(frame, root)}, line {frame.line}{inside}\n    {frame.text}")
    return "\n".join(lines)


def _mends_upstream(error: ErrorReport) -> bool:
    """Return whether running the parents is the fix."""
    return _NEEDS_UPSTREAM in error.hint.lower()


def tests(run: BlockRun) -> None:
    """Draw the `@test` results, one line each."""
    for test in run.tests:
        mark = ":green[:material/check_circle:]" if test.passed else ":red[:material/cancel:]"
        line = f" :gray[line {test.line}]" if test.line and not test.passed else ""
        st.markdown(f"{mark} {text.code_span(test.name)}{line}")
        if test.message and not test.passed:
            st.code(test.message, language=None, wrap_lines=True)
