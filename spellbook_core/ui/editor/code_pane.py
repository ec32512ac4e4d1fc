"""The middle of a card: parents, which parent feeds which parameter, the editor, and a file changed from outside."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from functools import partial

import streamlit as st

from spellbook_core.model.block import FILELESS_TYPES, Block, BlockType
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.run import BlockRun
from spellbook_core.services import blocks as block_service
from spellbook_core.ui import boundary, text
from spellbook_core.ui.components.editor import Completion, Diagnostic, EditorEvent, code_editor
from spellbook_core.ui.editor import actions, drafts, keys, marks, saving, scope, signature
from spellbook_core.ui.editor.drafts import Draft
from spellbook_core.ui.editor.view import Editor

_SILENT = frozenset({BlockType.SCRATCHPAD, BlockType.MARKDOWN})

_LANGUAGES = {
    **{name: name for name in ("python", "sql", "yaml", "markdown", "shell")},
    "bash": "shell",
}
"""Language of a block -> what the editor calls it; all others are plain text."""


def draw(editor: Editor, uuid: str) -> None:
    """Draw the pane as a fragment of its own, so that a saved draft does not send the result again."""

    def body() -> None:
        with boundary.guarded():
            editor.refresh()
            block = editor.block(uuid)
            if block is not None:
                _pane(editor, block)

    st.fragment(body, key=keys.code(uuid))()


def _pane(editor: Editor, block: Block) -> None:
    source = block_service.source(editor.ctx, editor.project, editor.uuid, block.uuid)
    draft = _draft(editor, block.uuid, source.text, source.content_hash)
    editor.drawn(keys.code(block.uuid))
    _links(editor, block, source)
    scope.show_scope_error(editor, keys.code(block.uuid))
    if not source.exists:
        if block.type in FILELESS_TYPES:
            marks.product(block)
        else:
            _missing_file(editor, block, source)
        return
    if draft.outside is not None:
        _outside_bar(editor, block, draft)
    with st.container(key=keys.widget("source", block.uuid)):
        code_editor(
            draft.text,
            key=keys.widget("editor", block.uuid),
            rev=draft.rev,
            language=_LANGUAGES.get(block.language, "text"),
            height_px=460,
            diagnostics=_diagnostics(editor, block, source),
            completions=_completions(editor, block),
            label=f"Code of {text.one_line(block.uuid, max_chars=80)}",
            on_draft=partial(_on_text, editor, block.uuid),
            on_save=partial(_on_text, editor, block.uuid),
            on_run=partial(_on_run, editor, block.uuid),
            on_run_next=partial(_on_run_next, editor, block.uuid),
        )


def _draft(editor: Editor, uuid: str, disk_text: str, disk_hash: str) -> Draft:
    known = editor.session.drafts.get(uuid)
    if known is None:
        known = Draft(disk_text, disk_hash, editor.session.next_rev())
    draft = drafts.noticed(known, drafts.Outside(disk_text, disk_hash))
    editor.session.drafts[uuid] = draft
    return draft


# --- links


def _links(editor: Editor, block: Block, source) -> None:
    others = [other.uuid for other in editor.pipeline.blocks if other.uuid != block.uuid]
    present = [parent for parent in block.upstream_blocks if parent in others]
    key = _parents_key(editor, block.uuid, present, others)
    fit = _signature(editor, block, source)
    with st.container(key=keys.widget("links", block.uuid), horizontal=True, wrap=False, vertical_alignment="center"):
        if others:
            with st.container(key=keys.widget("parentbox", block.uuid), width=230):
                st.multiselect(
                    "Parents",
                    others,
                    default=present,
                    key=key,
                    placeholder="No parents: add one",
                    label_visibility="collapsed",
                    format_func=lambda name: text.one_line(name, max_chars=40),
                    on_change=partial(actions.on_set_parents, editor, block.uuid, key, present),
                )
        if len(fit.feeds) == 1:
            _feed(editor, fit.feeds[0])
        st.space("stretch")
        used_by = _used_by(editor, block)
        if len(used_by) > 1:
            st.badge(f"used in {len(used_by)} pipelines", icon=":material/share:", color="gray", help=_names(used_by))
        with st.container(key=keys.widget("path", block.uuid), width="content"):
            if block.type not in FILELESS_TYPES:
                st.caption(text.escape(source.relative_path, max_chars=60), width="content")
    if len(fit.feeds) > 1:
        with st.container(key=keys.widget("feeds", block.uuid), horizontal=True):
            for feed in fit.feeds:
                _feed(editor, feed)
    if fit.problem:
        st.warning(text.escape(fit.problem), icon=":material/link_off:")


def _parents_key(editor: Editor, uuid: str, present: Sequence[str], others: Sequence[str]) -> str:
    """Return the key of a list that begins with the file's parents; another one when they changed elsewhere.

    A list whose value the script sets may be sent back by the browser with its old value, together with some event,
    and that would look like the person's choice and unlink blocks.
    """
    revs = editor.session.parent_revs
    options = zlib.crc32("\n".join(others).encode("utf-8", "surrogatepass"))

    def key() -> str:
        return f"{keys.widget('parents', uuid)}_{options:08x}_{revs.setdefault(uuid, 0)}"

    if list(st.session_state.get(key(), present)) != list(present):
        revs[uuid] += 1
    return key()


_WITHOUT_OUTPUT = {
    "completed": "no output",
    "failed": "failed",
    "upstream_failed": "upstream failed",
    "cancelled": "cancelled",
}
"""What is said of a parent that left nothing to hand over; of any other state, that it has not run yet."""


def _feed(editor: Editor, feed: signature.Feed) -> None:
    nothing = _WITHOUT_OUTPUT.get(editor.status_key(feed.parent), "not run yet")
    shape = text.escape(feed.shape, max_chars=60) if feed.shape else nothing
    st.markdown(f"{text.code_span(feed.parameter)} ← {text.escape(feed.parent)} :gray[· {shape}]", width="content")


def short_shape(summary: str) -> str:
    """Return `891 × 12` for `891 rows x 12 columns`; other summaries stay."""
    found = re.fullmatch(r"([\d,]+) rows? x ([\d,]+) columns?", summary)
    return f"{found[1]} × {found[2]}" if found else summary


def _shapes(run: BlockRun) -> list[str]:
    """Return a text per value that a block hands over: one item, a list over its children, or its outputs."""
    items = next((output.items for output in run.outputs if output.items is not None), None)
    if items is not None:
        return [f"one of {text.count(len(items), 'item')}"]
    if run.children is not None:
        return [f"of {text.count(len(run.children), 'child', 'children')}"]
    return [short_shape(output.summary) for output in run.outputs]


def _names(names: Sequence[str]) -> str:
    return ", ".join(text.escape(name, max_chars=60) for name in names[:20])


def _used_by(editor: Editor, block: Block) -> Sequence[str]:
    return block_service.uses(editor.ctx, editor.project, block.type, block.uuid)


def _signature(editor: Editor, block: Block, source) -> signature.Signature:
    inspected = source.inspected
    if block.language == "sql":
        return signature.Signature(_tables(editor, block), None)
    if inspected is None or getattr(inspected, "function", None) is None:
        return signature.Signature((), None)
    parameters = [
        signature.Parameter(parameter.name, not parameter.has_default)
        for parameter in inspected.parameters
        if parameter.kind == "positional"
    ]
    known = [parent for parent in block.upstream_blocks if editor.block(parent) is not None]
    shapes = {parent: _shapes(editor.results[parent]) for parent in known if parent in editor.results}
    return signature.match(parameters, has_varargs=inspected.has_varargs, parents=known, shapes=shapes)


def _heard(editor: Editor, block: Block) -> list[BlockUuid]:
    """Return the parents that hand something over, in argument order."""
    known = [(parent, editor.block(parent)) for parent in block.upstream_blocks]
    return [parent for parent, found in known if found is not None and found.type not in _SILENT]


def _tables(editor: Editor, block: Block) -> tuple[signature.Feed, ...]:
    """Return which parent is which table of a SQL block."""
    found = []
    for number, parent in enumerate(_heard(editor, block), start=1):
        run = editor.results.get(parent)
        shape = short_shape(run.outputs[0].summary) if run is not None and run.outputs else ""
        found.append(signature.Feed(f"df_{number}", parent, shape))
    return tuple(found)


# --- marks in the editor


_PLACE = re.compile(r"^\S.*?, line \d+, column \d+: ")
"""What a mark need not repeat: it stands in that file, below that line."""


def _diagnostics(editor: Editor, block: Block, source) -> list[Diagnostic]:
    found = []
    problem = source.inspected.problem if source.inspected else None
    if problem is not None:
        found.append(Diagnostic(problem.line or 1, _PLACE.sub("", problem.message)))
    run = editor.latest.get(BlockUuid(block.uuid))
    is_same_code = run is not None and (not run.code_hash or run.code_hash == source.content_hash)
    if run is not None and is_same_code and not editor.is_active(block.uuid):
        if run.error is not None and run.error.line is not None:
            found.append(Diagnostic(run.error.line, run.error.exception or run.error.message))
        found.extend(
            Diagnostic(test.line, f"{test.name}: {test.message or 'failed'}", "warning")
            for test in run.tests
            if not test.passed and test.line is not None
        )
    return found


def _completions(editor: Editor, block: Block) -> list[Completion]:
    words: dict[str, Completion] = {}
    for number, parent in enumerate(_heard(editor, block), start=1):
        if block.language == "sql":
            words[parent] = Completion(parent, "type", "parent")
            words[f"df_{number}"] = Completion(f"df_{number}", "type", parent)
        run = editor.results.get(parent)
        for output in run.outputs if run else ():
            for column in output.columns[:200]:
                words.setdefault(column.name, Completion(column.name, "property", column.dtype))
    return list(words.values())


# --- what the editor sends


def _on_text(editor: Editor, uuid: str, event: EditorEvent) -> None:
    # No keyed redraw here: it would end the batch of events that this one came with.
    saving.take_text(editor, uuid, event.text, event.rev)


def _on_run(editor: Editor, uuid: str, event: EditorEvent) -> None:
    if saving.take_text(editor, uuid, event.text, event.rev):
        actions.run_block(editor, uuid, request_id=event.request_id)
    touched = actions.select(editor, uuid)
    scope.redraw(*touched, keys.TOOLBAR)


def _on_run_next(editor: Editor, uuid: str, event: EditorEvent) -> None:
    if saving.take_text(editor, uuid, event.text, event.rev):
        actions.run_block(editor, uuid, request_id=event.request_id)
    target = editor.next_block(uuid) or uuid
    editor.session.opened[target] = True
    editor.session.scroll_to, editor.session.focus = target, True
    editor.session.moves += 1
    touched = actions.select(editor, target)
    scope.redraw(keys.card(uuid), *touched, keys.TOOLBAR, keys.DIALOGS)


# --- the file


def _outside_bar(editor: Editor, block: Block, draft: Draft) -> None:
    uuid = block.uuid
    with st.container(key=keys.widget("outside", uuid), border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(":orange[:material/sync_problem:] **This file changed on disk.**", width="content")
            st.space("stretch")
            st.button(
                "Reload",
                key=keys.widget("reload", uuid),
                type="primary",
                icon=":material/refresh:",
                on_click=partial(_on_reload, editor, uuid),
            )
            st.button(
                "Keep mine",
                key=keys.widget("keep", uuid),
                icon=":material/save:",
                on_click=partial(_on_keep, editor, uuid),
            )
            shows = st.toggle("Diff", key=keys.widget("diff", uuid))
        if shows:
            changes = drafts.diff(draft) or "The texts differ only in line ends."
            st.code(changes, language="diff", height=260 if changes.count("\n") > 12 else "content")


def _on_reload(editor: Editor, uuid: str) -> None:
    editor.session.drafts[uuid] = drafts.reload(editor.session.drafts[uuid])


def _on_keep(editor: Editor, uuid: str) -> None:
    saving.save_waiting_text(editor, uuid)
    draft = editor.session.drafts[uuid]

    def act() -> None:
        save, read = saving.saver(editor, uuid), lambda: saving.disk(editor, uuid)
        editor.session.drafts[uuid] = drafts.keep_mine(draft, save, read)

    scope.guarded_by(editor, keys.code(uuid), act)


def _missing_file(editor: Editor, block: Block, source) -> None:
    st.error(
        f"The file {text.code_span(source.relative_path)} is missing.\n\n"
        "Do this: put it back, or create it again from the template of its type.",
        icon=":material/file_present:",
    )
    st.button(
        "Create the file again",
        key=keys.widget("recreate", block.uuid),
        icon=":material/note_add:",
        on_click=partial(_on_recreate, editor, block),
    )


def _on_recreate(editor: Editor, block: Block) -> None:
    from spellbook_core.services import library

    def act() -> None:
        template = next(iter(library.templates(block.type, block.language)), None)
        source = block_service.source(editor.ctx, editor.project, editor.uuid, block.uuid)
        text_of_template = template.source if template else ""
        block_service.save_source(
            editor.ctx,
            editor.project,
            editor.uuid,
            block.uuid,
            text_of_template,
            expected_hash=source.content_hash,
        )
        editor.session.drafts.pop(block.uuid, None)

    scope.guarded_by(editor, keys.code(block.uuid), act)
    scope.redraw(keys.card(block.uuid))
