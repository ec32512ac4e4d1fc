"""The dialog with a pipeline's settings: what happens when it is started while it runs, limits, and priority."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import streamlit as st

from spellbook_core.errors import SpellbookError
from spellbook_core.model.concurrency import IfRunning
from spellbook_core.model.run import MAX_PRIORITY
from spellbook_core.model.values import YamlValue
from spellbook_core.services import pipeline_settings as service
from spellbook_core.services.pipeline_settings import PipelineSettings
from spellbook_core.ui import boundary
from spellbook_core.ui.editor import confirm, scope
from spellbook_core.ui.editor.session import DialogRequest
from spellbook_core.ui.editor.view import Editor

_POLICIES: Mapping[IfRunning, tuple[str, str]] = {
    IfRunning.QUEUE: ("The new run waits", "It begins when its turn comes."),
    IfRunning.SKIP: ("The new run is skipped", "It is kept in the list, as cancelled, with the reason."),
    IfRunning.CANCEL_RUNNING: ("The new run takes its place", "Older runs are cancelled, those that wait are skipped."),
    IfRunning.ALLOW: ("Both run", "No limit on runs. Two that write the same file spoil each other's work."),
}


def draw(editor: Editor, request: DialogRequest) -> None:
    """Draw the fields of the pipeline and the button that saves them."""
    try:
        own = service.settings_of(editor.pipeline)
    except SpellbookError as wrong:
        boundary.show_error(wrong.to_dict())  # saving what the fields say mends it
        own = PipelineSettings()
    key = f"pipeline_settings_{id(request)}"  # what was typed and not saved is gone when the dialog opens again
    policy = st.radio(
        "When it is started while it still runs",
        list(_POLICIES),
        index=list(_POLICIES).index(own.if_running),
        format_func=lambda found: _POLICIES[found][0],
        captions=[words for _, words in _POLICIES.values()],
        key=f"{key}_policy",
    )
    is_free = policy is IfRunning.ALLOW
    left, right = st.columns(2)
    with left:
        runs = _limit("Runs at once", own.run_limit, "1", "However they were started.", f"{key}_runs", is_off=is_free)
    with right:
        how = "Of those that were started by hand, by the API, or from a shell, each on its own."
        same = _limit("Runs at once per way", own.trigger_run_limit, "no limit", how, f"{key}_same", is_off=is_free)
    left, right = st.columns(2)
    with left:
        what = "Fewer leave room for other runs. Without a number: as many as the engine and the project allow."
        blocks = _limit("Blocks of a run at once", own.block_limit, "no limit", what, f"{key}_blocks")
    with right:
        priority = st.number_input(
            "Priority of its runs",
            min_value=-MAX_PRIORITY,
            max_value=MAX_PRIORITY,
            value=own.priority,
            step=1,
            key=f"{key}_priority",
            help=f"Higher goes first, up to {MAX_PRIORITY}. A run that is started with a priority of its own keeps it.",
        )
    st.caption("Runs of single blocks from the editor are never held back by the limits on runs.")
    wanted = PipelineSettings(blocks, runs, same, policy, priority)
    save = partial(_save, editor, wanted)
    confirm.buttons(editor, "Save", key="pipeline_settings_save", icon=":material/save:", act=save)


def _limit(label: str, value: int | None, empty: str, words: str, key: str, *, is_off: bool = False) -> int | None:
    typed = st.number_input(
        label, min_value=1, value=value, step=1, placeholder=empty, help=words, key=key, disabled=is_off
    )
    return None if typed is None else int(typed)


def _save(editor: Editor, wanted: PipelineSettings) -> None:
    ctx, project, uuid = editor.ctx, editor.project, editor.uuid
    before: dict[str, YamlValue] = {}

    def act() -> None:
        before.update(service.save_settings(ctx, project, uuid, wanted))

    if scope.change(editor, "dialog", act):
        boundary.offer_undo("Changed the pipeline's settings.", lambda: service.restore(ctx, project, uuid, before))
        confirm.finish(editor)
