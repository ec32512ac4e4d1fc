"""Pages show the right rows, whatever the table holds, and never fail on an odd cell."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from spellbook_core.artifacts.preview import page
from spellbook_core.artifacts.problems import CorruptArtifactError


def show(store, value, **arguments):
    arguments = {"offset": 0, "limit": 100} | arguments
    result = page(store, store.put(value).artifact, **arguments)
    json.dumps([result.rows, [column.name for column in result.columns]], allow_nan=False)
    return result


PEOPLE = pd.DataFrame(
    {'이름 "n"': ["김", "Lee", None, "park"], "age": [30, 20, None, 40.5], "ok": [True, False, True, True]}
)


def test_page_has_columns_rows_and_total(store):
    result = show(store, PEOPLE, offset=1, limit=2)
    assert [(c.name, c.dtype) for c in result.columns] == [('이름 "n"', "str"), ("age", "float64"), ("ok", "bool")]
    assert result.rows == [["Lee", 20.0, False], [None, None, True]]
    assert (result.total_rows, result.truncated_cells, result.table.num_rows) == (4, 0, 2)


def test_page_behind_the_end_is_empty(store):
    result = show(store, PEOPLE, offset=10)
    assert (result.rows, result.total_rows) == ([], 4)


@pytest.mark.parametrize(
    ("sort", "descending", "expected"),
    [
        ("age", False, [20.0, 30.0, 40.5, None]),
        ("age", True, [40.5, 30.0, 20.0, None]),
        ('이름 "n"', False, [20.0, 40.5, 30.0, None]),
    ],
)
def test_sorting_puts_nulls_last(store, sort, descending, expected):
    assert [row[1] for row in show(store, PEOPLE, sort=sort, descending=descending).rows] == expected


def test_equal_cells_keep_the_stored_order(store):
    frame = pd.DataFrame({"k": [1, 0] * 500, "n": range(1000)})
    result = show(store, frame, sort="k", limit=3, offset=1)
    assert [row[1] for row in result.rows] == [3, 5, 7]


@pytest.mark.parametrize(
    ("search", "expected"), [("LEE", 1), ("김", 1), ("40.5", 1), ("true", 3), ("%", 0), ("'; DROP TABLE stored; --", 0)]
)
def test_search_looks_into_every_column(store, search, expected):
    result = show(store, PEOPLE, search=search)
    assert (result.total_rows, len(result.rows)) == (expected, expected)


def test_search_sorts_and_pages(store):
    frame = pd.DataFrame({'나이\'s "x"': [f"v{n % 10}" for n in range(100)], "n": range(100)})
    result = show(store, frame, search="V3", sort="n", descending=True, offset=2, limit=2)
    assert (result.rows, result.total_rows) == ([["v3", 73], ["v3", 63]], 10)


def test_index_is_shown_first(store):
    frame = pd.DataFrame({"index": [1, 2]}, index=["x", "y"])
    result = show(store, frame, sort="index_", descending=True)
    assert [column.name for column in result.columns] == ["index_", "index"]
    assert result.rows == [["y", 2], ["x", 1]]


ODD = {
    "binary": (pa.array([b"\xff\x00" * 500, None], pa.binary()), None),
    "list": (pa.array([list(range(10_000)), None]), None),
    "struct": (pa.array([{"a": 1, "b": [None]}, None]), "{a: 1, b: [null]}"),
    "map": (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int32())), None),
    "nan": (pa.array([float("nan"), float("-inf")]), "nan"),
    "half": (pa.array(np.array([1.5, 2], "float16")), 1.5),
    "decimal": (pa.array([decimal.Decimal("1.50"), None]), "1.50"),
    "decimal256": (pa.array([decimal.Decimal("1.50"), None], pa.decimal256(60, 2)), "1.50"),
    "duration": (pa.array([90_061_000_000_001, None], pa.duration("ns")), "1 day, 1:01:01.000000001"),
    "huge duration": (pa.array([2**62, None], pa.duration("s")), "4611686018427387904 s"),
    "nanoseconds": (pa.array([1, None], pa.timestamp("ns")), "1970-01-01 00:00:00.000000001"),
    "zone": (pa.array([0, None], pa.timestamp("s", "Asia/Seoul")), "1970-01-01 09:00:00+0900"),
    "far future": (pa.array([2**55, None], pa.timestamp("s")), None),
    "date": (pa.array([dt.date(2026, 1, 2), None]), "2026-01-02"),
    "time": (pa.array([dt.time(1, 2, 3), None]), "01:02:03.000000"),
    "big int": (pa.array([2**60, None]), str(2**60)),
    "dictionary": (pa.array(["x", None]).dictionary_encode(), "x"),
    "null": (pa.array([None, None]), None),
    "month interval": (pa.array([(1, 2, 3), None], pa.month_day_nano_interval()), None),
    "long text": (pa.array(["가" * 10_000, None]), "가" * 300 + "…"),
    "control characters": (pa.array(["\x00\x1b[31m\n", None]), "\x00\x1b[31m\n"),
    "view": (pa.array(["x", None], pa.string_view()), "x"),
    "fixed": (pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), "[1, 2]"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_cells_never_fail_a_page(store, name):
    column, expected = ODD[name]
    table = pa.table({"c": column, "n": [1, 2]})
    result = show(store, table)
    if expected is not None:
        assert result.rows[0][0] == expected
    assert len(json.dumps(result.rows)) < 4_000
    for more in ({"sort": "c"}, {"search": "1"}, {"sort": "c", "search": "2", "descending": True}):
        show(store, table, **more)


UNITS = ["Y", "Y-MAR", "Q-DEC", "2Q-JAN", "M", "W-SUN", "W-MON", "W-SAT", "D", "h", "15min", "s", "ms", "us", "ns"]


def test_periods_are_shown_as_pandas_prints_them(store):
    spans = {unit: pd.PeriodIndex.from_ordinals(np.array([-7, 0, 123_456 % 997]), freq=unit) for unit in UNITS}
    result = show(store, pd.DataFrame(spans, index=pd.period_range("2026-01", periods=3, freq="M")))
    expected = [[str(spans[unit][row]) for unit in UNITS] for row in range(3)]
    assert [row[1:] for row in result.rows] == expected
    assert [row[0] for row in result.rows] == ["2026-01", "2026-02", "2026-03"]
    frame = pd.DataFrame({"p": pd.array(["2026-02", None, "2025-11"], "period[M]")})
    assert show(store, frame, sort="p").rows == [["2025-11"], ["2026-02"], [None]]
    assert show(store, frame, search="2026").rows == [["2026-02"]]


def test_pickled_frame_shows_its_first_rows(store):
    frame = pd.DataFrame({"o": [{n} for n in range(500)], "n": range(500)}, index=[f"r{n}" for n in range(500)])
    result = show(store, frame, search="r42")
    assert ([c.name for c in result.columns], result.rows) == (["index", "o", "n"], [["r42", "{42}", "42"]])
    assert (result.is_partial, show(store, frame).total_rows) == (True, 100)


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        (np.arange(3), [[0], [1], [2]]),
        (np.array([[1.5, np.nan]]), [[1.5, "nan"]]),
        (torch.ones(1, 2, 2), [[1.0, 1.0, 1.0, 1.0]]),
        (torch.ones(1, dtype=torch.bfloat16), [[1.0]]),
        (np.array(["a", "b"]), [["a"], ["b"]]),
        (pd.Series([1, 2], name="s"), [[1], [2]]),
        (pd.DataFrame({"a": []}), []),
    ],
)
def test_arrays_and_series_have_pages(store, value, rows):
    assert show(store, value).rows == rows


def test_frame_without_columns_has_no_cells(store):
    assert show(store, pd.DataFrame(index=range(3))).rows == []


def test_value_without_rows_says_so(store):
    with pytest.raises(TypeError, match="dict has no rows"):
        show(store, {"a": 1})


@pytest.mark.parametrize("arguments", [{"offset": -1}, {"limit": 0}, {"limit": 1001}, {"sort": "nope"}])
def test_impossible_pages_are_refused(store, arguments):
    with pytest.raises(ValueError, match=r"cannot be shown|no column 'nope'"):
        show(store, PEOPLE, **arguments)


@pytest.mark.guarantee("F22")
def test_damaged_table_is_told_not_shown(store):
    ref = store.put(PEOPLE).artifact
    path = store.data_path(ref)
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(CorruptArtifactError, match="corrupt"):
        page(store, ref, offset=0, limit=10)


@pytest.mark.guarantee("N36")
def test_query_engine_reaches_no_files(monkeypatch):
    import duckdb

    from spellbook_core.artifacts import query

    view = pa.table({"row": [1]})
    for text in (
        "SELECT content AS row FROM read_text('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/leak.csv'",
        "INSTALL httpfs",
        "ATTACH '/tmp/leak.db'",
        "SET enable_external_access = true",
    ):
        with pytest.raises(duckdb.Error):
            query._run(view, text)


@pytest.mark.thorough
def test_screens_load_neither_pandas_nor_torch(store):
    frame, odd = store.put(PEOPLE), store.put(pd.DataFrame({"o": [{1}], "z": pd.to_datetime(["2026-01-01T00:00Z"])}))
    period = store.put(pd.DataFrame({"p": pd.array(["2026-01"], "period[M]"), "t": pd.to_timedelta([1], unit="ns")}))
    code = f"""
import pathlib, sys
from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.artifacts.preview import page
from spellbook_core.artifacts.profile import profile
from spellbook_core.artifacts.export import export
from spellbook_core.model.output import ArtifactRef
store = LocalArtifactStore(pathlib.Path({str(store._root)!r}))
for digest, name in {[(i.artifact.digest, i.artifact.format) for i in (frame, odd, period)]!r}:
    ref = ArtifactRef(digest, name)
    for more in [dict(), dict(search="1"), dict(sort=page(store, ref, offset=0, limit=1).columns[0].name)]:
        page(store, ref, offset=0, limit=10, **more)
    profile(store, ref)
    for kind in ("csv", "json", "parquet") if name.startswith("arrow") else ():
        export(store, ref, pathlib.Path({str(store._root)!r}) / f"out.{{kind}}", kind)
print([name for name in ("pandas", "torch", "pickle5", "streamlit") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")
