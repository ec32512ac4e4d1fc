"""The dialogs of a chart: what it shows, and its code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.output import Column
from spellbook_core.services import charts as chart_service
from spellbook_core.ui import text
from spellbook_core.ui.editor import confirm, scope
from spellbook_core.ui.editor.charts import is_number
from spellbook_core.ui.editor.session import DialogRequest
from spellbook_core.ui.editor.view import Editor

_COUNTS = {"count", "count_distinct", "mode"}
_STYLES = ["vertical", "horizontal"]
_ORDERS = [None, "ascending", "descending"]
_OWNED = {"chart_type", "group_by", "metrics", "buckets", "limit", "order_by", "y_sort_order"}
_OWNED |= {"time_interval", "chart_style"}
"""Settings that the dialog sets; all others of a chart stay as they are."""


def add(editor: Editor, request: DialogRequest) -> None:
    """Draw the dialog that adds a chart to a block."""
    parent = request.block or ""
    columns = _columns(editor, parent)
    kind = st.selectbox("Type", chart_service.TYPES, key="chart_type", format_func=str.capitalize)
    settings = {"chart_type": kind, **_fields(kind, columns, {})}
    default = chart_service.free_name(editor.pipeline, f"{kind} of {parent.rsplit('/', 1)[-1]}")
    st.text_input("Name", key="chart_name", placeholder=default, max_chars=200)

    def act() -> None:
        name = (st.session_state.get("chart_name") or "").strip() or default
        made = partial(chart_service.add, editor.ctx, editor.project, editor.uuid, parent=parent, name=name)
        if scope.guarded_by(editor, "dialog", lambda: made(settings=settings)):
            confirm.finish(editor)

    _buttons(editor, "Add chart", ":material/add_chart:", act, is_ready=_is_ready(settings))


def settings_of(editor: Editor, request: DialogRequest) -> None:
    """Draw the dialog that changes what a chart shows."""
    chart = chart_service.chart(editor.pipeline, request.block or "")
    given = chart.configuration
    current = str(given.get("chart_type") or chart_service.TYPES[0])
    kinds = list(dict.fromkeys([*chart_service.TYPES, current]))
    kind = st.selectbox("Type", kinds, index=kinds.index(current), key="chart_type", format_func=str.capitalize)
    named = [f"{name} = {given[name]}" for name in ("x", "y", "index") if given.get(name)]
    if named and not given.get("group_by"):
        st.caption(f":material/code: Its code names what is drawn: {text.escape(', '.join(named))}.")
    chosen = _fields(kind, _columns(editor, next(iter(chart.upstream_blocks), "")), given)
    settings = {**{name: value for name, value in given.items() if name not in _OWNED}, "chart_type": kind, **chosen}

    def act() -> None:
        save = partial(chart_service.set_settings, editor.ctx, editor.project, editor.uuid, chart.uuid, settings)
        if scope.guarded_by(editor, "dialog", save):
            confirm.finish(editor)

    is_ready = bool(named) or _is_ready(settings) or chart_service.source(editor.ctx, editor.project, chart).exists
    _buttons(editor, "Save", ":material/save:", act, is_ready=is_ready)


def code(editor: Editor, request: DialogRequest) -> None:
    """Draw the dialog with a chart's file."""
    chart = chart_service.chart(editor.pipeline, request.block or "")
    file = chart_service.source(editor.ctx, editor.project, chart)
    st.caption(
        f"{text.code_span(file.relative_path)} finds its parents' values as `df_1`, `df_2`, …; `@data_source`, `@x`, "
        "`@y`, `@xy`, `@columns`, `@configuration` and `@render` work as in mage."
    )
    written = st.text_area("Code", file.text, key="chart_code", height=360, label_visibility="collapsed")

    def act() -> None:
        new = st.session_state.get("chart_code", written)
        save = partial(chart_service.save_source, editor.ctx, editor.project, editor.uuid, chart.uuid, new)
        if scope.guarded_by(editor, "dialog", lambda: save(expected_hash=file.content_hash)):
            confirm.finish(editor)

    _buttons(editor, "Save", ":material/save:", act, is_ready=True)


def _buttons(editor: Editor, label: str, icon: str, act, *, is_ready: bool) -> None:
    confirm.buttons(editor, label, key="chart_confirm", icon=icon, act=act, is_ready=is_ready)


def _columns(editor: Editor, parent: str) -> Sequence[Column]:
    result = editor.results.get(BlockUuid(parent))
    return next((output.columns for output in result.outputs if output.columns), ()) if result is not None else ()


def _is_ready(settings: Mapping[str, object]) -> bool:
    kind = str(settings.get("chart_type"))
    needs_metrics = kind in {"bar chart", "line chart"} or kind.startswith("time series")
    return kind in {"custom", "table"} or bool(
        settings.get("group_by") and (settings.get("metrics") or not needs_metrics)
    )


def _fields(kind: str, columns: Sequence[Column], given: Mapping[str, object]) -> dict[str, object]:
    """Draw the fields of a type and return the settings that they say."""
    if kind == "custom":
        st.caption("Its code returns what is shown from a function with @render.")
        return {}
    names = [column.name for column in columns]
    kept = [str(name) for name in given.get("group_by") or []]
    names += [name for name in kept if name not in names]
    if not names:
        st.caption("The block's output has no columns here: the chart's code has to name what is drawn.")
        return {name: given[name] for name in _OWNED - {"chart_type"} if name in given}
    if kind == "table":
        return _table_fields(names, kept, given)
    if kind in {"histogram", "pie chart"}:
        fitting = [column.name for column in columns if kind == "pie chart" or is_number(column.dtype)] or names
        chosen = _one("Column", fitting, kept)
        default = 10 if kind == "histogram" else 8
        buckets = st.number_input("Most parts", 1, 200, _number(given.get("buckets"), default), key="chart_buckets")
        return {"group_by": [chosen], "buckets": int(buckets)}
    if kind.startswith("time series"):
        times = [column.name for column in columns if "time" in column.dtype or "date" in column.dtype]
        chosen = _one("Time", [*times, *(name for name in names if name not in times)], kept)
        intervals = list(chart_service.INTERVALS)
        index = intervals.index(given["time_interval"]) if given.get("time_interval") in intervals else 0
        interval = st.selectbox("Interval", intervals, index=index, key="chart_interval")
        return {"group_by": [chosen], "time_interval": interval, "metrics": _metrics(columns, given)}
    groups = st.multiselect("Group by", names, default=kept or [_grouping(columns, names)], key="chart_groups")
    found: dict[str, object] = {"group_by": groups, "metrics": _metrics(columns, given)}
    if kind == "bar chart":
        style = _choice("Bars", _STYLES, given.get("chart_style"), "chart_style")
        order = _choice("Sorted by value", _ORDERS, given.get("y_sort_order"), "chart_order")
        found |= {"chart_style": style, **({"y_sort_order": order} if order else {})}
    return found


def _table_fields(names: list[str], kept: list[str], given: Mapping[str, object]) -> dict[str, object]:
    groups = st.multiselect("Columns", names, default=kept or names[:8], key="chart_groups")
    order = _choice("Order by", [None, *names], given.get("order_by"), "chart_order_by")
    limit = st.number_input("Most rows", 1, 3000, _number(given.get("limit"), 100), key="chart_limit")
    found: dict[str, object] = {"group_by": groups, "limit": int(limit)}
    if order is not None:
        found["order_by"] = order
        way = _choice("Way", _ORDERS[1:], given.get("y_sort_order"), "chart_order")
        found["y_sort_order"] = way
    return found


def _metrics(columns: Sequence[Column], given: Mapping[str, object]) -> list[dict[str, str]]:
    from_file = [
        (str(metric["aggregation"]), str(metric["column"]))
        for metric in given.get("metrics") or []
        if isinstance(metric, Mapping) and metric.get("column") and metric.get("aggregation")
    ]
    offers = [
        (how, column.name)
        for column in columns
        for how in chart_service.AGGREGATIONS
        if how in _COUNTS or is_number(column.dtype)
    ]
    default = from_file or offers[:1]
    chosen = st.multiselect(
        "Metrics",
        list(dict.fromkeys([*offers, *from_file])),
        default=default,
        key="chart_metrics",
        format_func=lambda pair: text.one_line(f"{pair[0]}({pair[1]})", max_chars=60),
    )
    return [{"aggregation": how, "column": column} for how, column in chosen]


def _grouping(columns: Sequence[Column], names: list[str]) -> str:
    texts = [column.name for column in columns if not is_number(column.dtype)]
    return texts[0] if texts else names[0]


def _one(label: str, names: list[str], kept: list[str]) -> str:
    index = names.index(kept[0]) if kept and kept[0] in names else 0
    return st.selectbox(label, names, index=index, key="chart_column")


def _choice(label: str, offers: list, given: object, key: str):
    index = offers.index(given) if given in offers else 0
    return st.selectbox(label, offers, index=index, key=key, format_func=lambda value: value or "no")


def _number(value: object, default: int) -> int:
    try:
        return max(1, int(float(str(value))))
    except ValueError:
        return default
