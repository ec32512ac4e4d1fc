"""What clicks do: each callback acts through a service, shows an error where it happened, and redraws what changed."""

from __future__ import annotations

import time
import uuid as uuids
from collections.abc import Callable, Mapping

import streamlit as st

from spellbook_core.errors import NotFoundError, SpellbookError
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.run import NewRun, Upstream
from spellbook_core.model.values import YamlValue
from spellbook_core.services import blocks as block_service
from spellbook_core.services import pipelines as pipeline_service
from spellbook_core.services import runs as run_service
from spellbook_core.ui import boundary
from spellbook_core.ui.editor import drafts, keys
from spellbook_core.ui.editor.session import DialogRequest
from spellbook_core.ui.editor.view import Editor


def redraw(*fragments: str) -> None:
    """Draw only the named fragments again; the whole page when one of them is not there any more."""
    try:
        st.rerun(list(fragments))
    except st.errors.StreamlitAPIException:
        st.rerun()


def guarded_by(editor: Editor, scope: str, action: Callable[[], object]) -> bool:
    """Call `action`; keep its error to be shown at `scope` and return whether it worked."""
    editor.session.errors.pop(scope, None)
    try:
        action()
    except SpellbookError as error:
        editor.session.errors[scope] = error.to_dict()
        return False
    except Exception as error:  # noqa: BLE001  # the UI page boundary, reached from a callback
        ident, path = boundary.record_fault(error)
        editor.session.errors[scope] = {
            "code": "SB-UI-000",
            "message": f"This did not work, and it is our fault (fault {ident}).",
            "hint": f"try again; the details are in {path}.",
            "facts": {},
        }
        return False
    return True


def show_scope_error(editor: Editor, scope: str) -> None:
    """Draw the error kept for `scope`, when there is one."""
    error = editor.session.errors.get(scope)
    if error is not None:
        boundary.show_error(error)


def open_dialog(editor: Editor, request: DialogRequest) -> None:
    """Ask for a dialog, from a callback."""
    editor.session.errors.pop("dialog", None)
    editor.session.dialog = request
    redraw(keys.DIALOGS)


# --- running


def start_pipeline(editor: Editor, variables: Mapping[str, YamlValue]) -> None:
    """Start a run of the whole pipeline and mark every runnable block as queued."""
    new = NewRun(
        project=editor.project,
        pipeline=editor.uuid,
        trigger="manual",
        variables=variables,
        request_id=uuids.uuid4().hex,
    )
    run = run_service.start(editor.ctx, new)
    editor.session.run_id = run.id
    for block in editor.pipeline.blocks:
        if block.is_runnable:
            editor.session.pending[block.uuid] = run.id


def on_run_pipeline(editor: Editor) -> None:
    """Run the pipeline, or ask for its variables first when it declares any."""
    if editor.pipeline.variables:
        open_dialog(editor, DialogRequest("run"))
        return
    guarded_by(editor, "page", lambda: start_pipeline(editor, {}))
    redraw_all_states(editor)


def redraw_all_states(editor: Editor) -> None:
    """Draw the toolbar, the graph and every card again."""
    cards = [keys.card(block.uuid) for block in editor.pipeline.blocks]
    redraw(keys.TOOLBAR, keys.SIDE, *cards)


RUN_CHOICES: Mapping[str, Mapping[str, object]] = {
    "run": {},
    "upstream": {"upstream": Upstream.ALL},
    "missing": {"upstream": Upstream.MISSING},
    "downstream": {"downstream": True},
    "tests": {"tests_only": True},
}


def run_block(editor: Editor, block: str, how: str = "run", *, request_id: str | None = None) -> bool:
    """Save what the editor last sent, then start a run of the block; False when it was refused (shown on the card)."""

    def act() -> None:
        save_waiting_text(editor, block)
        draft = editor.session.drafts.get(block)
        if draft is not None and draft.outside is not None:
            raise FileChangedError(
                f"The file of '{block}' changed on disk while you were editing it.",
                hint="choose Reload or Keep mine above the editor, then run again.",
                block=block,
            )
        options = RUN_CHOICES[how]
        run = run_service.run_block(
            editor.ctx,
            editor.project,
            editor.uuid,
            BlockUuid(block),
            request_id=request_id or uuids.uuid4().hex,
            **options,
        )
        editor.session.run_id = run.id
        for name in _selected_blocks(editor, block, how):
            editor.session.pending[name] = run.id

    return guarded_by(editor, keys.card(block), act)


class FileChangedError(SpellbookError):
    """A block cannot run while two texts of it wait for a decision."""

    code = "SB-UI-020"


def _selected_blocks(editor: Editor, block: str, how: str) -> list[str]:
    """Return the blocks that surely run; what `missing` adds is known when the store tells."""
    if how == "downstream":
        from spellbook_core.model.graph import reachable

        return [block, *reachable(editor.pipeline.children(), [BlockUuid(block)])]
    if how == "upstream":
        from spellbook_core.model.graph import reachable

        return [*reachable(editor.pipeline.parents(), [BlockUuid(block)]), block]
    return [block]


def on_run(editor: Editor, block: str, how: str = "run") -> None:
    """Run one block from its card."""
    run_block(editor, block, how)
    redraw_states(editor, _selected_blocks(editor, block, how))


def redraw_states(editor: Editor, blocks: list[str]) -> None:
    """Draw these cards, the toolbar and the graph again."""
    redraw(*(keys.card(block) for block in blocks), keys.TOOLBAR, keys.SIDE)


def on_cancel(editor: Editor, run_id: int) -> None:
    """Cancel a run; its blocks tell when they have ended."""
    guarded_by(editor, "page", lambda: run_service.cancel(editor.ctx, run_id))
    redraw_all_states(editor)


# --- text


def disk(editor: Editor, block: str) -> drafts.Outside:
    """Return what the block's file holds now."""
    source = block_service.source(editor.ctx, editor.project, editor.uuid, BlockUuid(block))
    return drafts.Outside(source.text, source.content_hash)


def saver(editor: Editor, block: str) -> drafts.Save:
    """Return the compare-and-swap writer of a block's file."""

    def save(text: str, expected_hash: str) -> str:
        saved = block_service.save_source(
            editor.ctx, editor.project, editor.uuid, BlockUuid(block), text, expected_hash=expected_hash
        )
        editor.session.saved_at = time.time()
        return saved.content_hash

    return save


def take_text(editor: Editor, block: str, text: str, rev: int) -> bool:
    """Save the text that a block's editor sent; False when that failed (shown above it)."""
    draft = editor.session.drafts.get(block)
    if draft is None:
        return False

    def act() -> None:
        save, read = saver(editor, block), lambda: disk(editor, block)
        editor.session.drafts[block] = drafts.accept(draft, text, rev, save, read)

    return guarded_by(editor, keys.code(block), act)


def save_waiting_text(editor: Editor, block: str) -> None:
    """Save the newest text that the browser sent together with a click or key, before that is acted on.

    A click beside the editor also ends typing; both may arrive at once, and the click's callback comes first.
    """
    sent = st.session_state.get(keys.widget("editor", block))
    messages = sent.get("messages") if isinstance(sent, Mapping) else None
    entries = [entry for entry in messages or () if isinstance(entry, Mapping) and isinstance(entry.get("text"), str)]
    newest = max(entries, key=lambda entry: entry.get("seq") or 0, default=None)
    if newest is not None:
        take_text(editor, block, newest["text"], int(newest.get("rev") or 0))


# --- the pipeline


def change(editor: Editor, scope: str, action: Callable[[], object]) -> bool:
    """Change the pipeline's file and read it again at once, so that the event about it finds nothing new."""

    def act() -> None:
        action()
        editor.read()

    return guarded_by(editor, scope, act)


def on_set_parents(editor: Editor, block: str, key: str) -> None:
    """Give a block the parents chosen in its card's list."""
    chosen = [BlockUuid(name) for name in st.session_state[key]]
    change(
        editor,
        keys.code(block),
        lambda: block_service.set_parents(editor.ctx, editor.project, editor.uuid, BlockUuid(block), chosen),
    )
    redraw(keys.card(block), keys.SIDE)


def on_toggle_open(editor: Editor, block: str) -> None:
    """Open or close a card."""
    editor.session.opened[block] = not editor.is_open(block)
    redraw(keys.card(block))


def select(editor: Editor, block: str) -> list[str]:
    """Make `block` the selected one and return the fragments that show it."""
    before = editor.session.selected
    editor.session.selected = block
    st.query_params["block"] = block
    touched = [keys.card(name) for name in dict.fromkeys([before, block]) if name and editor.block(name)]
    return [*touched, keys.SIDE]


def on_move(editor: Editor, block: str, by: int) -> None:
    """Move a block up or down in the notebook."""
    guarded_by(
        editor,
        keys.card(block),
        lambda: block_service.move(editor.ctx, editor.project, editor.uuid, BlockUuid(block), by=by),
    )
    st.rerun()


def remove(editor: Editor, block: str, *, delete_file: bool) -> bool:
    """Take a block out of the pipeline and offer to undo it."""

    def act() -> None:
        token = block_service.remove(editor.ctx, editor.project, editor.uuid, BlockUuid(block), delete_file=delete_file)
        editor.session.forget(block)
        ctx = editor.ctx
        what = f"Removed {block} and its file." if delete_file else f"Removed {block} from the pipeline."
        boundary.offer_undo(what, lambda: block_service.undo(ctx, token))

    return guarded_by(editor, "dialog", act)


def rename(editor: Editor, block: str, new_name: str) -> bool:
    """Rename a block in every pipeline that uses it."""

    def act() -> None:
        new_uuid = block_service.rename(editor.ctx, editor.project, editor.uuid, BlockUuid(block), new_name)
        was_selected = editor.session.selected == block
        editor.session.forget(block)
        if was_selected:
            editor.session.selected = new_uuid

    return guarded_by(editor, "dialog", act)


def set_variables(editor: Editor, variables: Mapping[str, YamlValue]) -> None:
    """Save the pipeline's variables."""
    block_service.set_variables(editor.ctx, editor.project, editor.uuid, variables)


def has_pipeline_changed(editor: Editor) -> bool:
    """Return whether the pipeline's file is another one than the page was drawn from."""
    try:
        return pipeline_service.load(editor.ctx, editor.project, editor.uuid).content_hash != editor.file_hash
    except (SpellbookError, NotFoundError):
        return True


def changed_sources(editor: Editor) -> list[str]:
    """Return the blocks whose file now differs from what the editor has; their drafts then say so."""
    changed = []
    for block in list(editor.session.drafts):
        if editor.block(block) is None or not editor.is_open(block):
            continue
        before = editor.session.drafts[block]
        try:
            after = drafts.noticed(before, disk(editor, block))
        except SpellbookError:
            continue
        if after != before:
            editor.session.drafts[block] = after
            changed.append(block)
    return changed
