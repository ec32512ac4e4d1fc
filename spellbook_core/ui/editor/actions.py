"""What clicks do: each callback acts through a service, shows an error where it happened, and redraws what changed."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Mapping, Sequence

import streamlit as st

from spellbook_core.errors import SpellbookError
from spellbook_core.model.graph import reachable
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.run import NewRun, Selection, Upstream
from spellbook_core.model.values import YamlValue
from spellbook_core.services import blocks as block_service
from spellbook_core.services import runs as run_service
from spellbook_core.ui import boundary
from spellbook_core.ui.editor import keys, saving, scope
from spellbook_core.ui.editor.session import DialogRequest
from spellbook_core.ui.editor.view import Editor


def open_dialog(editor: Editor, request: DialogRequest) -> None:
    """Ask for a dialog, from a callback."""
    editor.session.errors.pop("dialog", None)
    editor.session.dialogs.open(request)
    scope.redraw(keys.DIALOGS)


def close_dialog(editor: Editor, request: DialogRequest | None) -> None:
    """Close the dialog of a request, from a callback."""
    editor.session.dialogs.close(request)
    scope.redraw(keys.DIALOGS)


# --- running


def start_pipeline(editor: Editor, variables: Mapping[str, YamlValue], *, is_fresh: bool = False) -> None:
    """Start a run of the whole pipeline and mark every runnable block as queued; `is_fresh` reuses nothing."""
    new = NewRun(
        project=editor.project,
        pipeline=editor.uuid,
        trigger="manual",
        selection=Selection(is_fresh=is_fresh),
        variables=variables,
        request_id=uuids.uuid4().hex,
    )
    run = run_service.start(editor.ctx, new)
    _await(editor, run.id, [block.uuid for block in editor.pipeline.blocks if block.is_runnable])


def _await(editor: Editor, run_id: int, blocks: Sequence[str]) -> None:
    """Show these blocks as queued until the store tells what became of them in that run."""
    editor.session.run_id = run_id
    editor.session.pending.update(dict.fromkeys(blocks, run_id))


def on_run_pipeline(editor: Editor, *, is_fresh: bool = False) -> None:
    """Run the pipeline, or ask for its variables first when it declares any."""
    if editor.pipeline.variables:
        open_dialog(editor, DialogRequest("run_fresh" if is_fresh else "run"))
        return
    scope.guarded_by(editor, "page", lambda: start_pipeline(editor, {}, is_fresh=is_fresh))
    redraw_all_states(editor)


def on_run_stale(editor: Editor) -> None:
    """Run the blocks whose stored output is missing or stale."""

    def act() -> None:
        run = run_service.run_stale(editor.ctx, editor.project, editor.uuid, request_id=uuids.uuid4().hex)
        _await(editor, run.id, editor.unfresh())

    scope.guarded_by(editor, "page", act)
    redraw_all_states(editor)


def redraw_all_states(editor: Editor, *others: str) -> None:
    """Draw the toolbar, the graph and the head of every card again; what runs replaces results when it starts."""
    blocks = [block.uuid for block in editor.pipeline.blocks]
    scope.redraw(*others, keys.TOOLBAR, *_heads(editor, blocks), keys.SIDE)


def _heads(editor: Editor, blocks: Sequence[str]) -> list[str]:
    return [keys.head(block) for block in blocks if editor.session.has_card(block)]


RUN_CHOICES: Mapping[str, Mapping[str, object]] = {
    "run": {},
    "upstream": {"upstream": Upstream.ALL},
    "stale": {"upstream": Upstream.STALE},
    "downstream": {"downstream": True},
    "tests": {"tests_only": True},
}


def run_block(editor: Editor, block: str, how: str = "run", *, request_id: str | None = None) -> bool:
    """Save what the editor last sent, then start a run of the block; False when it was refused (shown on the card)."""

    def act() -> None:
        saving.save_waiting_text(editor, block)
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
        _await(editor, run.id, _selected_blocks(editor, block, how))

    return scope.guarded_by(editor, keys.card(block), act)


class FileChangedError(SpellbookError):
    """A block cannot run while two texts of it wait for a decision."""

    code = "SB-UI-020"


def _selected_blocks(editor: Editor, block: str, how: str) -> list[str]:
    """Return the blocks that such a run is about to execute."""
    if how == "downstream":
        return [block, *reachable(editor.pipeline.children(), [BlockUuid(block)])]
    if how == "upstream":
        return [*reachable(editor.pipeline.parents(), [BlockUuid(block)]), block]
    if how == "stale":
        above = reachable(editor.pipeline.parents(), [BlockUuid(block)])
        return [*(name for name in editor.unfresh() if name in above and name != block), block]
    return [block]


def on_run(editor: Editor, block: str, how: str = "run") -> None:
    """Run one block from its card."""
    run_block(editor, block, how)
    redraw_states(editor, _selected_blocks(editor, block, how))


def redraw_states(editor: Editor, blocks: list[str]) -> None:
    """Draw the heads of these cards, the toolbar and the graph again."""
    scope.redraw(*_heads(editor, blocks), keys.TOOLBAR, keys.SIDE)


def on_cancel(editor: Editor, run_id: int) -> None:
    """Cancel a run; its blocks tell when they have ended."""
    scope.guarded_by(editor, "page", lambda: run_service.cancel(editor.ctx, run_id))
    redraw_all_states(editor)


# --- the pipeline


def on_set_parents(editor: Editor, block: str, key: str, drawn: Sequence[str]) -> None:
    """Give a block the parents chosen in its card's list.

    A list that is just leaving the page may be sent once more, together with some event; it then has the value it was
    drawn with, and nothing was chosen.
    """
    chosen = [BlockUuid(name) for name in st.session_state.get(key, drawn)]
    if chosen == list(drawn):
        return
    scope.change(
        editor,
        keys.code(block),
        lambda: block_service.set_parents(editor.ctx, editor.project, editor.uuid, BlockUuid(block), chosen),
    )
    scope.redraw(keys.card(block), keys.SIDE)


def on_toggle_open(editor: Editor, block: str) -> None:
    """Open or close a card."""
    editor.session.opened[block] = not editor.is_open(block)
    scope.redraw(keys.card(block))


def select(editor: Editor, block: str) -> list[str]:
    """Make `block` the selected one and return the fragments that show it.

    A card that is not on the page is named, too: the whole page is drawn then, with the cards around that one.
    """
    before = editor.session.selected
    if not editor.session.has_card(block):
        editor.session.paged_for = None
    if before == block:
        return [keys.head(block), keys.SIDE]
    editor.session.selected = block
    st.query_params["block"] = block
    left = [keys.card(before)] if before and editor.block(before) and editor.session.has_card(before) else []
    return [*left, keys.card(block), keys.SIDE]


def on_move(editor: Editor, block: str, by: int) -> None:
    """Move a block up or down in the notebook."""
    scope.guarded_by(
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

    return scope.guarded_by(editor, "dialog", act)


def rename(editor: Editor, block: str, new_name: str) -> bool:
    """Rename a block in every pipeline that uses it."""

    def act() -> None:
        new_uuid = block_service.rename(editor.ctx, editor.project, editor.uuid, BlockUuid(block), new_name)
        was_selected = editor.session.selected == block
        editor.session.forget(block)
        if was_selected:
            editor.session.selected = new_uuid

    return scope.guarded_by(editor, "dialog", act)


def set_variables(editor: Editor, variables: Mapping[str, YamlValue]) -> None:
    """Save the pipeline's variables."""
    block_service.set_variables(editor.ctx, editor.project, editor.uuid, variables)
