"""Stored outputs on the screen: pages of a table, column profiles, and previews of everything else."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib import import_module
from threading import Thread

import streamlit as st

from spellbook_core.model.output import OutputInfo
from spellbook_core.services import outputs as output_service
from spellbook_core.ui import downloads, figures, text
from spellbook_core.ui.editor import keys
from spellbook_core.ui.editor.view import Editor

ROWS_PER_PAGE = 100
_ROW_PX = 31
_MOST_PX = 330


@cache
def import_ahead() -> None:
    """Begin to import what the first table needs, half a second of work, while the person still reads or types."""

    def import_all() -> None:
        for name in ("pandas", "duckdb"):
            import_module(name)

    Thread(target=import_all, name="import-ahead", daemon=True).start()


def table(editor: Editor, uuid: str, output: OutputInfo) -> None:
    """Draw one page of a table, with sorting and a search over all its rows."""
    sort_key, search_key, page_key = (keys.widget(what, uuid) for what in ("sort", "search", "page"))
    orders = ["", *(f"{name}{way}" for name in _names(output) for way in (" ↑", " ↓"))]
    if st.session_state.get(sort_key, "") not in orders:
        del st.session_state[sort_key]
    _reset_page_of_another_table(uuid, output)
    slot = st.container()
    with st.container(key=keys.widget("tablebar", uuid), horizontal=True, vertical_alignment="center"):
        with st.container(width=210):
            search = st.text_input(
                "Search",
                key=search_key,
                placeholder="Search all rows",
                icon=":material/search:",
                label_visibility="collapsed",
                on_change=_to_first_page,
                args=(page_key,),
            )
        with st.container(width=190):
            order = st.selectbox(
                "Sort",
                orders,
                key=sort_key,
                format_func=lambda name: name or "Stored order",
                label_visibility="collapsed",
                on_change=_to_first_page,
                args=(page_key,),
            )
        st.space("stretch")
        sort, is_descending = _split(order)
        page = output_service.page(
            editor.ctx,
            output,
            offset=(st.session_state.get(page_key, 1) - 1) * ROWS_PER_PAGE,
            limit=ROWS_PER_PAGE,
            sort=sort,
            descending=is_descending,
            search=search or None,
        )
        _count(page, output, search)
        pages = max(1, math.ceil(page.total_rows / ROWS_PER_PAGE))
        if pages > 1:
            st.pagination(pages, key=page_key, max_visible_pages=5)
        downloads.table(
            editor.ctx, output, name=f"{uuid.replace('/', '-')}-{output.name}", key=keys.widget("download", uuid)
        )
    if page.rows:
        rows = min(_MOST_PX, _ROW_PX * (len(page.rows) + 1) + 2)
        slot.dataframe(_cut(page), hide_index=True, height=rows, key=keys.widget("grid", uuid))
    else:
        slot.caption("No row matches." if search else "The table has no rows.")


def _cut(page):
    """Return the page's table, its long cells cut: the browser needs no megabyte in a cell."""
    if not page.truncated_cells:
        return page.table
    import pyarrow as pa

    texts = [[None if cell is None else str(cell) for cell in column] for column in zip(*page.rows, strict=True)]
    return pa.Table.from_arrays([pa.array(column, pa.string()) for column in texts], [c.name for c in page.columns])


def _names(output: OutputInfo) -> list[str]:
    return [column.name for column in output.columns]


def _split(order: str | None) -> tuple[str | None, bool]:
    return (order[:-2], order.endswith("↓")) if order else (None, False)


def _to_first_page(page_key: str) -> None:
    st.session_state.pop(page_key, None)


def _reset_page_of_another_table(uuid: str, output: OutputInfo) -> None:
    shown_key = keys.widget("digest", uuid)
    if st.session_state.get(shown_key) != output.artifact.digest:
        st.session_state[shown_key] = output.artifact.digest
        for what in ("page", "search"):
            st.session_state.pop(keys.widget(what, uuid), None)


def _count(page, output: OutputInfo, search: str | None) -> None:
    if search and output.rows is not None:
        st.caption(f"{page.total_rows:,} of {output.rows:,} rows", width="content")
    elif page.truncated_cells:
        st.caption(f"{text.count(page.truncated_cells, 'long cell')} cut", width="content")


def profile(editor: Editor, output: OutputInfo) -> None:
    """Draw each column's type, missing values, distinct values, range and histogram."""
    columns = output_service.profile(editor.ctx, output)
    data = {
        "Column": [column.name for column in columns],
        "Type": [column.dtype for column in columns],
        "Histogram": [list(column.histogram) for column in columns],
        "Missing": [column.nulls / column.rows * 100 if column.rows else 0.0 for column in columns],
        "Distinct": [column.distinct for column in columns],
        "Min": [_cell(column.minimum) for column in columns],
        "Mean": [_cell(column.mean) for column in columns],
        "Max": [_cell(column.maximum) for column in columns],
    }
    st.dataframe(
        data,
        hide_index=True,
        height=min(_MOST_PX + 60, _ROW_PX * (len(columns) + 1) + 2),
        column_config={
            "Missing": st.column_config.ProgressColumn(
                "Missing", width="small", min_value=0, max_value=100, format="%.1f %%"
            ),
            "Histogram": st.column_config.BarChartColumn("Histogram", width="small"),
        },
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else text.one_line(value, max_chars=40)


def preview(editor: Editor, output: OutputInfo) -> None:
    """Draw what is not a table: text, JSON, a figure, a model's layers."""
    found = output_service.preview(editor.ctx, output)
    if found.layers:
        _layers(found)
    if found.png:
        st.image(found.png)
    elif found.spec is not None:
        figures.specification(found.spec, found.spec_language or "")
    elif found.has_json and isinstance(found.json, (dict, list)):
        st.json(found.json, expanded=2)
    elif found.has_json:
        st.code(json.dumps(found.json, ensure_ascii=False), language="json", wrap_lines=True)
    elif found.text:
        st.code(found.text, language=None, wrap_lines=True, height=320 if found.text.count("\n") > 14 else "content")
    elif not found.layers:
        st.caption("There is no preview of it; its children get it whole.")
    notes = [text.escape(output.type_name), text.size(output.size_bytes)]
    if found.is_cut:
        notes.append("only the beginning is shown")
    st.caption(" · ".join(notes))
    if found.problem:
        st.caption(f":orange[:material/warning:] {text.escape(found.problem)}")


def _layers(found) -> None:
    """Draw a model as the table of its layers, parameters counted."""
    columns = {
        "Layer": [str(layer.get("name", "")) for layer in found.layers],
        "Type": [str(layer.get("type", "")) for layer in found.layers],
        "What": [str(layer.get("text", "")) for layer in found.layers],
        "Parameters": [layer.get("parameters") for layer in found.layers],
    }
    if found.parameters is not None:
        learn = f", {found.trainable:,} of them learn" if found.trainable not in {None, found.parameters} else ""
        st.markdown(f"**{text.count(found.parameters, 'parameter')}**{learn}")
    st.dataframe(columns, hide_index=True, height=min(_MOST_PX, _ROW_PX * (len(found.layers) + 1) + 2))
    if found.layers_left_out:
        st.caption(f"{found.layers_left_out:,} more layers are not shown.")
