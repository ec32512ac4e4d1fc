"""The bar above the notebook: what this is, whether it is saved, what runs, and what can be done with it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from spellbook_core.model import not_run
from spellbook_core.ui import boundary, state, text
from spellbook_core.ui.editor import actions, keys, scope
from spellbook_core.ui.editor.session import DialogRequest
from spellbook_core.ui.editor.view import Editor
from spellbook_core.ui.status import status_look

_MORE = {
    "fresh": ":material/restart_alt: Run all fresh",
    "validate": ":material/fact_check: Validate",
    "variables": ":material/tune: Variables",
    "pipeline_settings": ":material/settings: Pipeline settings",
    "yaml": ":material/code: View metadata.yaml",
    "expand": ":material/unfold_more: Open all cards",
    "collapse": ":material/unfold_less: Close all cards",
    "help": ":material/keyboard: Keyboard shortcuts",
}


def draw(editor: Editor) -> None:
    """Draw the bar as a fragment, which runs redraw alone."""

    def body() -> None:
        with boundary.guarded():
            editor.refresh()
            editor.drawn(keys.TOOLBAR)
            with st.container(key="toolbar"):
                _bar(editor)
                scope.show_scope_error(editor, "page")

    st.fragment(body, key=keys.TOOLBAR)()


def _bar(editor: Editor) -> None:
    pipeline = editor.pipeline
    with st.container(key="toolbar_row", horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(key="toolbar_title", width="content"):
            st.markdown(f"**{text.escape(pipeline.name or pipeline.uuid, max_chars=60)}**", width="content")
        if pipeline.type != "python":
            st.badge(text.escape(pipeline.type), color="gray")
        st.button(
            "Saved",
            key="save_state",
            icon=":material/cloud_done:",
            type="tertiary",
            shortcut="Mod+S",
            help="Every change is saved to its file as you type.",
            on_click=partial(_on_save, editor),
        )
        _last_run(editor)
        st.space("stretch")
        _button(editor, "Validate", "validate", ":material/fact_check:", "Check the pipeline without running it")
        _button(editor, "Variables", "variables", ":material/tune:", "Values that every block receives")
        st.menu_button(
            "",
            list(_MORE),
            key="toolbar_more",
            icon=":material/more_horiz:",
            format_func=_MORE.__getitem__,
            on_click=partial(_on_more, editor),
        )
        st.button(
            "Add block",
            key="add_block",
            icon=":material/add:",
            shortcut="Alt+N",
            on_click=partial(actions.open_dialog, editor, DialogRequest("add")),
        )
        _run_stale(editor)
        st.button(
            "Run pipeline now",
            key="run_pipeline",
            icon=":material/play_arrow:",
            type="primary",
            disabled=pipeline.type in not_run.PIPELINES or not any(block.is_runnable for block in pipeline.blocks),
            on_click=partial(actions.on_run_pipeline, editor),
        )


def _run_stale(editor: Editor) -> None:
    """Offer to run what does not hold any more, once there is something that does or did."""
    waiting = [name for name in editor.unfresh() if not editor.is_active(name)]
    if not waiting or not any(editor.is_stale(name) for name in waiting):
        return
    st.button(
        f"Run stale ({len(waiting)})",
        key="run_stale",
        icon=":material/update:",
        help="Run only the blocks whose stored output is missing or stale",
        on_click=partial(actions.on_run_stale, editor),
    )


def _button(editor: Editor, label: str, what: str, icon: str, help_text: str) -> None:
    st.button(
        label,
        key=f"toolbar_{what}",
        icon=icon,
        type="tertiary",
        help=help_text,
        on_click=partial(actions.open_dialog, editor, DialogRequest(what)),
    )


def _last_run(editor: Editor) -> None:
    run = editor.last_run()
    if run is None:
        return
    look = status_look(run.status)
    is_active = not run.status.is_terminal
    with st.container(key="last_run", horizontal=True, vertical_alignment="center", gap="xsmall", width="content"):
        count = f" {run.blocks_done}/{run.blocks_total}" if is_active and run.blocks_total else ""
        state.link("run", f":{look.color}[{look.icon} Run {run.id} {look.word}{count}]", id=run.id)
        if run.waiting_for is not None:
            st.caption(f"for {text.escape(run.waiting_for, max_chars=60)}", width="content")
        if is_active:
            st.button(
                "",
                key="cancel_run",
                icon=":material/stop_circle:",
                type="tertiary",
                help="Cancel the run",
                on_click=partial(actions.on_cancel, editor, run.id),
            )


def _on_save(editor: Editor) -> None:
    waiting = [name for name, draft in editor.session.drafts.items() if draft.outside is not None]
    if waiting:
        st.toast(
            f"{text.escape(waiting[0])} changed on disk: choose Reload or Keep mine.", icon=":material/sync_problem:"
        )
    else:
        st.toast("Everything is saved.", icon=":material/cloud_done:")


def _on_more(editor: Editor) -> None:
    choice = st.session_state.get("toolbar_more")
    if choice in {"expand", "collapse"}:
        editor.session.opened = {block.uuid: choice == "expand" for block in editor.pipeline.blocks}
        st.rerun()
    elif choice == "fresh":
        actions.on_run_pipeline(editor, is_fresh=True)
    elif choice is not None:
        actions.open_dialog(editor, DialogRequest(choice))
