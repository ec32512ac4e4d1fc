"""What a block run gave: outputs, metric curves, tests, and the code as it ran with a diff to now."""

from __future__ import annotations

import difflib
import json

import streamlit as st

from spellbook_core.errors import SpellbookError
from spellbook_core.model.output import OutputInfo
from spellbook_core.model.run import BlockRun, PipelineRun
from spellbook_core.services import blocks, outputs, runs
from spellbook_core.settings import PREVIEW_ROWS
from spellbook_core.ui import boundary, choices, downloads, figures, parts, state, text
from spellbook_core.ui.runs import chart_data
from spellbook_core.ui.status import coloured_as

SHORT_LINES = 24


def show_outputs(block_run: BlockRun) -> None:
    """Draw the stored outputs, tables in pages."""
    if not block_run.outputs:
        parts.empty("output", "No output is stored", "A block's returned values appear here once it has completed.")
        return
    for warning in block_run.warnings:
        st.warning(text.escape(warning, max_chars=1000), icon=":material/warning:")
    if block_run.children is not None:
        st.caption("Choose a child above to see what it returned.")
        return
    output = choices.choose(state.context(), block_run.outputs, key=f"output_{block_run.id}")
    if output is None:
        return
    st.caption(f"{text.escape(output.summary)} · {text.escape(output.type_name)} · {text.size(output.size_bytes)}")
    for warning in output.warnings:
        st.caption(f":orange[:material/warning: {text.escape(warning)}]")
    with boundary.guarded():
        if outputs.has_rows(state.context(), output):
            _table(block_run, output)
        else:
            _other(output)


def _table(block_run: BlockRun, output: OutputInfo) -> None:
    is_whole = output.artifact.format.startswith("arrow-")  # of anything else the first rows are there
    rows = output.rows or 0 if is_whole else min(output.rows or 0, PREVIEW_ROWS)
    own = f"{block_run.id}_{output.index}_{output.artifact.digest[:8]}"
    table = st.container()
    offset = parts.page_offset(rows, PREVIEW_ROWS, key=f"output_page_{own}", in_url=False)
    page = outputs.page(state.context(), output, offset=offset, limit=PREVIEW_ROWS)
    table.dataframe(page.table, hide_index=True, height=380)
    name = f"{block_run.block.replace('/', '-')}-{output.name}"
    if is_whole:
        downloads.table(state.context(), output, name=name, key=f"download_{own}")
    elif rows < (output.rows or 0):
        st.caption(f"The first {rows:,} of {output.rows:,} rows.")


def _other(output: OutputInfo) -> None:
    preview = outputs.preview(state.context(), output)
    if preview.problem:
        st.caption(f":orange[:material/warning: {text.escape(preview.problem, max_chars=600)}]")
    if preview.png is not None:
        st.image(preview.png)
    if preview.spec is not None:
        figures.specification(preview.spec, preview.spec_language or "", key=f"plot_{output.artifact.digest}")
    if preview.layers:
        st.dataframe([dict(layer) for layer in preview.layers], hide_index=True)
    if preview.has_json and isinstance(preview.json, (dict, list)):
        st.json(preview.json)
    elif preview.has_json:
        st.code(json.dumps(preview.json, ensure_ascii=False), language="json", wrap_lines=True)
    if preview.text:
        st.code(preview.text, language=None, wrap_lines=True, height=360)
    if preview.is_cut or preview.layers_left_out:
        st.caption("Only a part is shown.")


def show_metrics(block_run: BlockRun) -> None:
    """Draw each logged series as a curve, and the progress."""
    import altair as alt

    found = runs.metrics(state.context(), block_run)
    if found.progress is not None and not block_run.status.is_terminal and found.progress.total:
        done = min(1.0, found.progress.done / found.progress.total)
        label = f"{found.progress.text or 'progress'} {found.progress.done} of {found.progress.total}"
        st.progress(done, text=text.escape(label))
    if found.figures:
        figures.draw(state.context(), found.figures, key=f"figures_{block_run.id}")
    if not found.series:
        if not found.figures:
            parts.empty(
                "show_chart", "No metric was logged", "Call log_metric('loss', value) in the block to draw a curve."
            )
        return
    cells = st.columns(2)
    for number, (name, points) in enumerate(found.series.items()):
        with cells[number % 2], st.container(border=True):
            last = points[-1][1]
            st.markdown(f"**{text.escape(name, max_chars=60)}** :gray[{last:.6g}]")
            values = [{"step": x, "value": y} for x, y in chart_data.thin([(p[0], p[1]) for p in points])]
            chart = (
                alt.Chart(alt.Data(values=values))
                .mark_line(interpolate="linear", point=len(values) < 30)
                .encode(
                    x=alt.X("step:Q", title="step"),
                    y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
                    tooltip=["step:Q", "value:Q"],
                )
                .properties(height=200)
            )
            st.altair_chart(chart, key=f"metric_{block_run.id}_{number}")


def show_tests(block_run: BlockRun) -> None:
    """Draw the results of the block's `@test` functions."""
    if not block_run.tests:
        parts.empty("rule", "The block has no tests", "Add a function with the @test decorator below the block's own.")
        return
    for test in block_run.tests:
        mark = ":green[:material/check_circle: passed]" if test.passed else ":red[:material/error: failed]"
        st.markdown(f"{mark} {text.code_span(test.name, max_chars=120)}")
        if test.message:
            st.code(test.message, language=None, wrap_lines=True)


def show_code(run: PipelineRun, block_run: BlockRun) -> None:
    """Draw the block's text as it ran, or what changed since."""
    ran = runs.code(state.context(), block_run)
    if block_run.hangs_on:
        _code(ran, "python")
        return
    now: str | None
    language = "python"
    try:
        source = blocks.source(state.context(), run.project, run.pipeline, block_run.block)
        now, language = source.text, coloured_as(source.relative_path)
    except SpellbookError:  # the block or pipeline is gone; what ran is still known
        now = None
    if now is None:
        st.caption(":orange[:material/delete: The block's file is no longer there.] This is the code that ran.")
    elif now == ran:
        st.caption(":green[:material/check: The file has not changed since.]")
    else:
        st.caption(":orange[:material/edit: The file has changed since this run.]")
        if st.toggle("Show what changed", value=True, key=f"code_diff_{block_run.id}"):
            _code(diff(ran, now), "diff")
            return
    _code(ran, language)


def _code(shown: str, language: str) -> None:
    """Draw code in full when it is short, else in a box that scrolls."""
    height = "content" if shown.count("\n") < SHORT_LINES else 460
    st.code(shown, language=language, line_numbers=language == "python", height=height)


def diff(ran: str, now: str) -> str:
    """Return a unified diff from the code that ran to the file's text now."""
    pieces = difflib.unified_diff(ran.splitlines(), now.splitlines(), "as it ran", "now", lineterm="")
    return "\n".join(pieces)
