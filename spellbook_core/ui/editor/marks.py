"""What a block is besides its type: dynamic, a replica, or nothing that runs here, and what to use instead."""

from __future__ import annotations

from functools import partial

import streamlit as st

from spellbook_core.model import not_run
from spellbook_core.model.block import Block, BlockType
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.model.products import product_of
from spellbook_core.services import charts as chart_service
from spellbook_core.services import pipelines as pipeline_service
from spellbook_core.ui import text
from spellbook_core.ui.editor import addons, keys, widgets
from spellbook_core.ui.editor.view import Editor
from spellbook_core.ui.status import type_look


def badges(block: Block) -> None:
    """Draw what a block is besides its type as badges."""
    for number, (icon, word, what) in enumerate(_marks(block)):
        with st.container(key=keys.widget(f"mark_{number}", block.uuid), width="content"):
            st.badge(text.escape(word, max_chars=30), icon=icon, color="gray", help=text.escape(what))


def words(block: Block) -> str:
    """Return the same in a few plain words, for the graph."""
    return " · ".join(word for _, word, _ in _marks(block))


def _marks(block: Block) -> list[tuple[str, str, str]]:
    found = []
    if block.is_dynamic:
        found.append((":material/call_split:", "dynamic", "Each item it returns becomes a run of the blocks below it."))
    if block.reduces_output:
        found.append((":material/call_merge:", "joins", "The results of its runs are joined into one list."))
    if block.replicated_block is not None:
        original = block.replicated_block
        found.append((":material/content_copy:", "replica", f"It shares the code of '{original}'."))
    return found


def note(block: Block) -> None:
    """Draw why a block does not run here, and what to do instead."""
    found = not_run.of_block(block)
    if found is not None:
        _note(keys.widget("notrun", block.uuid), "Not run here", found)


def of_pipeline(pipeline: Pipeline) -> None:
    """Draw why a pipeline of this type does not run here; nothing for one that does."""
    found = not_run.PIPELINES.get(pipeline.type)
    if found is not None:
        with st.container(key="pipeline_notrun"):
            st.info(
                f"**This pipeline is shown and kept, but not run here:** {text.escape(found.why)}.\n\n"
                f"Instead: {text.escape(found.instead)}",
                icon=":material/block:",
            )


def _note(key: str, begin: str, found: not_run.NotRun) -> None:
    with st.container(key=key):
        st.caption(
            f":material/block: **{begin}**: {text.escape(found.why)}. "
            f"Instead: {text.escape(found.instead, max_chars=300)}"
        )


def product(block: Block) -> None:
    """Draw which data product a block stands for, in the place of code."""
    name = product_of(block) or block.uuid
    st.markdown(
        f":material/public: {text.code_span(name)}, declared in {text.code_span('global_data_products.yaml')} "
        "of the project: the stored outputs of another pipeline, which runs first when they are outdated."
    )


# --- everything that hangs on blocks


def add_ons(editor: Editor) -> None:
    """Draw the list of the pipeline's conditions, callbacks and extensions, and of charts that hang on no block."""
    pipeline = editor.pipeline
    hanging = (*pipeline.conditionals, *pipeline.callbacks)
    extensions = pipeline_service.extensions(editor.ctx, editor.project, editor.uuid)
    loose = chart_service.loose(pipeline)
    if not (hanging or extensions or loose):
        st.caption("No condition, callback or extension hangs on a block of this pipeline.")
        return
    for add_on in hanging:
        what = "guards" if add_on.type == BlockType.CONDITIONAL else "hears of"
        _line(editor, add_on.type, add_on.uuid, what, add_on.upstream_blocks, opens=add_on)
    for extension in extensions:
        _line(editor, BlockType.EXTENSION, extension.uuid, f"{extension.kind} on", extension.blocks)
    if extensions:
        _note("notrun_extensions", "Extensions are not run here", not_run.EXTENSION)
    for chart in loose:
        widgets.one(editor, chart)


def _line(
    editor: Editor, kind: str, uuid: str, what: str, names: tuple[str, ...], *, opens: Block | None = None
) -> None:
    look = type_look(kind)
    known = [name for name in names if editor.pipeline.has(name)]
    with st.container(key=keys.widget(f"addonline_{look.word}", uuid), gap=None):
        with st.container(
            key=keys.widget(f"addontitle_{look.word}", uuid), horizontal=True, vertical_alignment="center"
        ):
            st.badge(look.word, icon=look.icon, color=look.color)
            with st.container(key=keys.widget(f"path_{look.word}", uuid), width="stretch"):
                st.markdown(f"**{text.escape(uuid, max_chars=50)}**")
            if opens is not None:
                st.button(
                    "Code",
                    key=keys.widget(f"addonopen_{look.word}", uuid),
                    icon=":material/code:",
                    type="tertiary",
                    on_click=partial(addons.show_code, editor, opens),
                )
        listed = ", ".join(known) if known else "no block of this pipeline"
        st.caption(text.escape(f"{what} {listed}", max_chars=120))
