"""Whether a card's stored output still holds, why not, where it comes from and how old it is."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import streamlit as st

from spellbook_core.model.block import Block, BlockType
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.staleness import Freshness, Staleness
from spellbook_core.ui import reuse, text
from spellbook_core.ui.editor import actions, keys
from spellbook_core.ui.editor.view import Editor

_MOST_REASONS = 8


def word(status: str, found: Staleness | None, *, is_completed: bool) -> str:
    """Return the state for a card's badge: a completed block whose output still holds is `Completed · fresh`."""
    is_fresh = is_completed and found is not None and found.state is Freshness.FRESH
    return f"{status.capitalize()} · fresh" if is_fresh else status.capitalize()


def why(editor: Editor, uuid: str) -> str | None:
    """Return the badge's tooltip, as markdown: every reason why the output is stale; None where there is none."""
    found = editor.states.get(BlockUuid(uuid))
    if found is None or found.state is not Freshness.STALE:
        return None
    return "Running it again may bring something else:\n\n" + "\n".join(
        f"- {text.escape(reason, max_chars=200)}" for reason in found.reasons[:_MOST_REASONS]
    )


def draw(editor: Editor, block: Block) -> None:
    """Draw one line under the head: why it is stale, what it was reused from, and a loader's age with Refresh."""
    if editor.is_active(block.uuid):
        return
    words = _words(editor, block)
    if not words:
        return
    with st.container(
        key=keys.widget("note", block.uuid), horizontal=True, vertical_alignment="center", wrap=False, gap="small"
    ):
        st.caption(" :gray[·] ".join(words), width="content")
        if _is_source(block) and editor.results.get(block.uuid) is not None:
            st.button(
                "Refresh",
                key=keys.widget("refresh", block.uuid),
                icon=":material/refresh:",
                type="tertiary",
                help="Load it again: runs the block",
                on_click=partial(actions.on_run, editor, block.uuid),
            )


def _words(editor: Editor, block: Block) -> list[str]:
    found, run = editor.states.get(block.uuid), editor.latest.get(block.uuid)
    words = []
    if found is not None and found.state is Freshness.STALE:
        more = f" (and {len(found.reasons) - 1} more)" if len(found.reasons) > 1 else ""
        reason = text.escape(found.reasons[0], max_chars=120) if found.reasons else "it changed"
        words.append(f":orange[:material/history: stale: {reason}{more}]")
    if not editor.is_open(block.uuid):
        return words
    now = datetime.now(UTC)
    origin = reuse.origin(editor.ctx, run) if run is not None else None
    if origin is not None:
        words.append(reuse.words(origin, now))
    elif _is_source(block) and found is not None and found.made_at is not None:
        words.append(f":material/schedule: loaded {text.ago(found.made_at, now)}")
    return words


def _is_source(block: Block) -> bool:
    return block.type == BlockType.DATA_LOADER and not block.upstream_blocks and block.is_runnable
