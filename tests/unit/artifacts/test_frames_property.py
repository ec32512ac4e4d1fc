"""Any frame that pickle5 keeps, the store keeps too: dtypes, labels, indexes and null markers drawn at random."""

from __future__ import annotations

import datetime as dt
import decimal
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from spellbook_core.artifacts.local import LocalArtifactStore

pytestmark = pytest.mark.thorough

TEXT = st.text(max_size=5)
ODD_TEXT = st.text(st.characters(), max_size=3)
ZONES = ("UTC", "Asia/Seoul", "Europe/Berlin", "America/New_York")
INSTANTS = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
NUMBERS = ("int8", "int16", "int32", "int64", "uint8", "uint64", "float16", "float32", "float64")
OBJECTS = (
    ODD_TEXT,
    st.integers(-(2**80), 2**80),
    st.booleans(),
    st.dates(),
    st.times(),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
    st.just(decimal.Decimal("NaN")),
    st.binary(max_size=4),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(TEXT, st.integers(0, 3), max_size=2),
    st.sets(st.integers(0, 3), max_size=2),
)


def numbers(dtype: str):
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return st.floats(width=kind.itemsize * 8)
    return st.integers(int(np.iinfo(kind).min), int(np.iinfo(kind).max))


@st.composite
def columns(draw, rows: int):
    """Draw one column of `rows` cells, of any dtype."""
    family = draw(st.sampled_from(["number", "nullable", "text", "time", "category", "object", "bool", "arrow"]))

    def cells(one):
        return draw(st.lists(one, min_size=rows, max_size=rows))

    if family == "number":
        dtype = draw(st.sampled_from(NUMBERS))
        return pd.array(np.array(cells(numbers(dtype)), dtype=dtype))
    if family == "bool":
        return pd.array(np.array(cells(st.booleans()), dtype=bool))
    if family == "nullable":
        dtype = draw(st.sampled_from(["Int8", "Int64", "UInt16", "Float64", "Float32", "boolean"]))
        one = {"b": st.booleans(), "F": st.floats(-1e6, 1e6, width=32)}.get(dtype[0], st.integers(0, 100))
        return pd.array(cells(st.none() | one), dtype=dtype)
    if family == "text":
        dtype = draw(st.sampled_from(["str", "string", pd.StringDtype("python")]))
        return pd.array(cells(st.none() | TEXT), dtype=dtype)
    if family == "arrow":
        dtype = draw(st.sampled_from(["int64[pyarrow]", "double[pyarrow]", "bool[pyarrow]"]))
        return pd.array(cells(st.none() | st.integers(0, 1)), dtype=dtype)
    if family == "time":
        return draw_times(draw, cells)
    if family == "category":
        labels = draw(st.lists(st.one_of(TEXT) if draw(st.booleans()) else st.integers(0, 9), unique=True, max_size=4))
        codes = cells(st.integers(-1, len(labels) - 1))
        return pd.Categorical.from_codes(codes, pd.Index(labels), ordered=draw(st.booleans()))
    one = draw(st.sampled_from(OBJECTS))
    nulls = draw(st.sampled_from([st.nothing(), st.none(), st.just(np.nan), st.sampled_from([None, np.nan, pd.NA])]))
    result = np.empty(rows, dtype=object)
    result[:] = cells(one | nulls) if rows else []
    return result


def draw_times(draw, cells):
    unit = draw(st.sampled_from(["s", "ms", "us", "ns"]))
    kind = draw(st.sampled_from(["naive", "zone", "delta", "period"]))
    if kind == "delta":
        return pd.array(np.array(cells(st.integers(-(2**31), 2**31)), dtype=f"timedelta64[{unit}]"))
    if kind == "period":
        return pd.array([pd.Period(at, "D") if at else pd.NaT for at in cells(st.none() | INSTANTS)], dtype="period[D]")
    values = np.array([np.datetime64(at) if at else np.datetime64("NaT") for at in cells(st.none() | INSTANTS)])
    array = pd.Series(values.astype(f"datetime64[{unit}]"))
    return (
        array.array
        if kind == "naive"
        else array.dt.tz_localize("UTC").dt.tz_convert(draw(st.sampled_from(ZONES))).array
    )


@st.composite
def indexes(draw, rows: int):
    """Draw an index of `rows` labels."""
    kind = draw(st.sampled_from(["range", "int", "text", "date", "freq", "multi", "object"]))
    name = draw(st.none() | TEXT | st.integers(0, 3))
    if kind == "range":
        step = draw(st.sampled_from([1, 2, -1]))
        return pd.RangeIndex(5, 5 + rows * step, step, name=name)
    if kind == "freq":
        return pd.date_range("2026-01-01", periods=rows, freq=draw(st.sampled_from(["D", "h", "MS", "B"])), name=name)
    if kind == "multi":
        pairs = draw(st.lists(st.tuples(st.integers(0, 2), TEXT), min_size=max(rows, 1), max_size=max(rows, 1)))
        return pd.MultiIndex.from_tuples(pairs, names=[name, draw(st.none() | TEXT)])[:rows]
    one = {"int": st.integers(0, 9), "text": ODD_TEXT, "date": INSTANTS, "object": st.none() | TEXT | st.integers()}[
        kind
    ]
    labels = draw(st.lists(one, min_size=rows, max_size=rows))
    return pd.Index(
        labels, name=name, dtype="datetime64[us]" if kind == "date" else object if kind == "object" else None
    )


@st.composite
def frames(draw):
    """Draw a frame with unique column labels."""
    rows = draw(st.integers(0, 5))
    labels = draw(st.lists(ODD_TEXT | st.integers(-2, 5) if draw(st.booleans()) else TEXT, unique=True, max_size=4))
    index = draw(indexes(rows))
    frame = pd.DataFrame({position: draw(columns(rows)) for position in range(len(labels))}, index=index)
    frame.columns = pd.Index(labels, name=draw(st.none() | TEXT), dtype=draw(st.sampled_from([None, object])))
    return frame


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(frame=frames())
def test_frames_survive_as_in_pickle5(frame):
    with tempfile.TemporaryDirectory() as folder:
        store = LocalArtifactStore(Path(folder) / "state" / "artifacts")
        info = store.put(frame)
        back = store.get(info.artifact)
        problem = store.meta(info.artifact)["preview_problem"]
    expected = pickle.loads(pickle.dumps(frame, protocol=5))
    assert problem is None
    assert_frame_equal(back, expected, check_exact=True, check_index_type="equiv", check_column_type="equiv")
    assert back.columns.dtype == expected.columns.dtype
    assert (back.index.names, back.columns.names) == (expected.index.names, expected.columns.names)
    for position in range(expected.shape[1]):
        after, before = back.iloc[:, position], expected.iloc[:, position]
        assert after.dtype == before.dtype
        assert [(type(x), repr(x)) for x in after] == [(type(x), repr(x)) for x in before]
