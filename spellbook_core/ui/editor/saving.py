"""Block files from the editor's side: saved by compare-and-swap as the person types, watched for other hands."""

from __future__ import annotations

import time
from collections.abc import Mapping

import streamlit as st

from spellbook_core.errors import SpellbookError
from spellbook_core.model.naming import BlockUuid
from spellbook_core.services import blocks as block_service
from spellbook_core.ui.editor import drafts, keys, scope
from spellbook_core.ui.editor.view import Editor


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

    return scope.guarded_by(editor, keys.code(block), act)


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
