"""The result under a block's code: what it returned, printed, logged, tested, or why it failed."""

from __future__ import annotations

import streamlit as st

from spellbook_core.model.block import Block
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.output import OutputInfo, OutputKind
from spellbook_core.model.run import BlockRun, Status
from spellbook_core.services import outputs as output_service
from spellbook_core.services import runs as run_service
from spellbook_core.ui import attempts, boundary, children, choices, figures, state, text
from spellbook_core.ui.editor import charts, failure, keys, progress, tables
from spellbook_core.ui.editor.view import Editor

_PAGED = frozenset({OutputKind.TABLE, OutputKind.SERIES, OutputKind.ARRAY, OutputKind.TENSOR})


_MOST_WARNINGS = 4


def draw(editor: Editor, uuid: str) -> None:
    """Draw the result as a fragment of its own, so that paging and sorting touch nothing else."""

    def body() -> None:
        with boundary.guarded():
            editor.refresh()
            block = editor.block(uuid)
            if block is not None:
                editor.drawn(keys.output(uuid))
                _result(editor, block)
                editor.drawn(keys.output(uuid))  # drawing gave its widgets their first values

    st.fragment(body, key=keys.output(uuid))()


def _result(editor: Editor, block: Block) -> None:
    uuid = BlockUuid(block.uuid)
    if editor.is_active(uuid):
        progress.draw(editor, uuid)
        return
    editor.session.shown.pop(keys.live(uuid), None)
    run, result = editor.latest.get(uuid), editor.results.get(uuid)
    if run is None:
        return
    _warnings(uuid, run)
    if run.children is not None:
        _children(editor, block, run)
        return
    has_failed = run.status in {Status.FAILED, Status.UPSTREAM_FAILED, Status.CANCELLED, Status.CONDITION_FAILED}
    if has_failed:
        failure.draw(editor, block, run)
    outputs = run.outputs or (result.outputs if result else ())
    _tabs(editor, block, run, outputs, is_old=not run.outputs and bool(outputs))


def _children(editor: Editor, block: Block, run: BlockRun) -> None:
    """Draw a block that ran once per item: its children, and the result of the one that is chosen."""
    found = children.choose(run_service.children(editor.ctx, run), key=keys.widget("children", block.uuid))
    if found is None:
        if run.status is not Status.COMPLETED:
            failure.draw(editor, block, run)
        elif run.children:
            st.caption(":material/touch_app: Choose a child to see what it returned.")
        if run.tests:
            failure.tests(run)
        return
    children.caption(found)
    if found.status is Status.FAILED:
        failure.draw(editor, block, found)
    _tabs(editor, block, found, found.outputs, is_old=False)


def _warnings(uuid: str, run: BlockRun) -> None:
    if not run.warnings:
        return
    with st.container(key=keys.widget("warnings", uuid)):
        for warning in run.warnings[:_MOST_WARNINGS]:
            st.markdown(f":orange[:material/warning:] {text.escape(warning, max_chars=600)}")
        if len(run.warnings) > _MOST_WARNINGS:
            st.caption(f"{text.count(len(run.warnings) - _MOST_WARNINGS, 'more warning')} in the logs.")


def _tabs(editor: Editor, block: Block, run: BlockRun, outputs: tuple[OutputInfo, ...], *, is_old: bool) -> None:
    uuid = block.uuid
    output = choices.choose(editor.ctx, outputs, key=keys.widget("chip", uuid))
    metrics = run_service.metrics(editor.ctx, run)
    has_rows = output is not None and output.kind in _PAGED and output_service.has_rows(editor.ctx, output)
    tabs = available_tabs(
        output,
        has_rows=has_rows,
        has_metrics=bool(metrics.series),
        has_tests=bool(run.tests),
        has_figures=bool(metrics.figures),
    )
    key = keys.widget("tab", uuid)
    if st.session_state.get(key) not in tabs:
        st.session_state[key] = "Logs" if is_old else tabs[0]
    with st.container(key=keys.widget("tabbar", uuid), horizontal=True, vertical_alignment="center"):
        chosen = st.segmented_control(
            "Result",
            tabs,
            key=key,
            required=True,
            persist_state="page",
            label_visibility="collapsed",
            format_func=lambda tab: _tab_label(tab, run),
        )
        st.space("stretch")
        with st.container(key=keys.widget("facts", uuid), width="content"):
            st.caption(_facts(run, output, is_old=is_old), width="content")
    with st.container(key=keys.widget("shown", uuid)):
        _content(editor, block, run, output, chosen or tabs[0], metrics)


def available_tabs(
    output: OutputInfo | None, *, has_rows: bool, has_metrics: bool, has_tests: bool, has_figures: bool = False
) -> list[str]:
    """Return the tabs that apply, the one to show first first."""
    tabs = []
    if output is not None:
        if has_rows:
            tabs += ["Table", "Profile", "Chart"]
        elif output.kind is OutputKind.FIGURE:
            tabs.append("Figure")
        elif output.kind is OutputKind.MODEL:
            tabs.append("Model")
        elif output.kind is OutputKind.JSON:
            tabs.append("JSON")
        else:
            tabs.append("Text")
    if has_figures:
        tabs.append("Figures")
    if has_metrics:
        tabs.append("Metrics")
    tabs.append("Logs")
    if has_tests:
        tabs.append("Tests")
    return tabs


def _tab_label(tab: str, run: BlockRun) -> str:
    if tab == "Tests":
        passed = sum(test.passed for test in run.tests)
        mark = ":green[✓]" if passed == len(run.tests) else ":red[✗]"
        return f"Tests {passed}/{len(run.tests)} {mark}"
    return tab


def _facts(run: BlockRun, output: OutputInfo | None, *, is_old: bool) -> str:
    parts = []
    if output is not None:
        parts.append(text.escape(output.summary.replace(" x ", " × "), max_chars=80))
    else:
        parts.append("no output")
    if is_old:
        parts.append("of an earlier run")
    elif run.duration_s is not None:
        parts.append(text.duration(run.duration_s))
        if run.reused:
            parts.append("reused")
    return " · ".join(parts)


def _content(editor: Editor, block: Block, run: BlockRun, output: OutputInfo | None, tab: str, metrics) -> None:
    if tab == "Logs":
        logs(editor, run)
    elif tab == "Tests":
        failure.tests(run)
    elif tab == "Metrics":
        charts.metrics(metrics)
    elif tab == "Figures":
        figures.draw(editor.ctx, metrics.figures, key=keys.widget("figures", block.uuid))
    elif output is None:
        st.caption("The block returned nothing.")
    elif tab == "Table":
        tables.table(editor, block.uuid, output)
    elif tab == "Profile":
        tables.profile(editor, output)
    elif tab == "Chart":
        charts.chart(editor, block.uuid, output)
    else:
        tables.preview(editor, output)
    if output is not None and tab not in {"Logs", "Tests", "Metrics", "Figures"}:
        for warning in output.warnings:
            st.caption(f":orange[:material/warning:] {text.escape(warning)}")


def logs(editor: Editor, run: BlockRun, *, lines: int = 200, height: int = 240, key: str = "attempt") -> None:
    """Draw the end of a block run's log, newest line in view; of the attempt that is chosen when there are several."""
    run = attempts.choose(run, key=f"{key}_{run.id}")
    page = run_service.log_tail(editor.ctx, run, lines=lines)
    if not page.lines:
        st.caption("Nothing was printed.")
        return
    shown = "\n".join(line.text for line in page.lines)
    with st.container(height=height if len(page.lines) > 10 else "content", autoscroll=True, border=False):
        st.code(shown, language=None, wrap_lines=True)
    state.link("run", "All logs of this run", icon=":material/open_in_new:", id=run.run_id)
