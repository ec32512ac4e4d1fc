"""What goes into the store comes out exactly, and by which encoder."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import pickle
import subprocess
import sys
import types
import uuid
import zoneinfo
from collections import OrderedDict

import cloudpickle
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from pandas.testing import assert_frame_equal, assert_series_equal

PLAIN = {
    "none": (None, "json"),
    "bool": (True, "json"),
    "int": (-(2**70), "json"),
    "huge int": (10**6000, "pickle5"),
    "float": (0.1, "json"),
    "inf": (-math.inf, "json"),
    "text": ("가나다 \x00 🙂", "json"),
    "surrogate": ("\ud83d\ude00", "pickle5"),
    "nested": ({"a": [1, {"b": None}], "": []}, "json"),
    "int keys": ({1: 2}, "pickle5"),
    "tuple": ((1, "a", (None,)), "pickle5"),
    "tuple in list": ([(1, 2)], "pickle5"),
    "set": ({1, "a"}, "pickle5"),
    "bytes": (b"\x00\xff", "pickle5"),
    "datetime": (dt.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("Asia/Seoul")), "pickle5"),
    "date": (dt.date(2026, 1, 1), "pickle5"),
    "decimal": (decimal.Decimal("1.10"), "pickle5"),
    "uuid": (uuid.UUID(int=7), "pickle5"),
    "complex": (1 + 2j, "pickle5"),
    "numpy scalar": (np.float32(1.5), "pickle5"),
    "numpy bool": (np.True_, "pickle5"),
    "text class": (type("Text", (str,), {})("x").upper(), "json"),
    "class by reference": (OrderedDict(b=1, a=2), "pickle5"),
    "function by reference": (math.sqrt, "pickle5"),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_values_come_back_exactly(store, name):
    value, expected_format = PLAIN[name]
    info = store.put(value)
    back = store.get(info.artifact)
    assert type(back) is type(value)
    assert back == value
    assert info.artifact.format == expected_format


def test_not_a_number_comes_back(store):
    assert math.isnan(store.get(store.put(math.nan).artifact))


def test_value_that_contains_itself_comes_back(store):
    value: list = [1]
    value.append(value)
    back = store.get(store.put(value).artifact)
    assert back[1] is back


def test_key_order_survives(store):
    assert list(store.get(store.put({"z": 1, "a": 2}).artifact)) == ["z", "a"]


ARRAYS = {
    "ints": np.arange(6, dtype="int16").reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(10)[::3],
    "scalar": np.array(3.5),
    "empty": np.empty((0, 4), dtype="float32"),
    "text": np.array(["a", "가"]),
    "bytes": np.array([b"a", b"bc"]),
    "dates": np.array(["2026-01-01", "NaT"], dtype="datetime64[D]"),
    "big endian": np.arange(3, dtype=">i4"),
    "complex": np.array([1j, 2]),
    "half": np.array([1, np.nan], dtype="float16"),
    "structured": np.array([(1, 2.5, "x")], dtype=[("a", "i4"), ("b", "f8"), ("c", "U3")]),
    "aligned": np.array([(1, 2.5)], dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "objects": np.array([{}, None, "x"], dtype=object),
    "masked": np.ma.masked_array([1, 2], mask=[True, False]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_come_back_exactly(store, name):
    value = ARRAYS[name]
    back = store.get(store.put(value).artifact)
    assert type(back) is type(value)
    assert (back.dtype, back.shape, back.flags.writeable) == (value.dtype, value.shape, True)
    np.testing.assert_array_equal(back, value)
    if name == "masked":
        assert back.mask.tolist() == value.mask.tolist()


TZ_INDEX = pd.date_range("2026-03-28", periods=3, freq="h", tz="Europe/Berlin")
FRAMES = {
    "mixed": (pd.DataFrame({"i": [1, 2], "f": [1.5, np.nan], "s": ["a", None], "b": [True, False]}), "arrow-frame"),
    "no rows": (pd.DataFrame({"a": pd.Series([], dtype="int8"), "s": pd.Series([], dtype="str")}), "arrow-frame"),
    "no columns": (pd.DataFrame(index=range(3)), "pickle5"),
    "nothing": (pd.DataFrame(), "pickle5"),
    "named index": (pd.DataFrame({"a": [1]}, index=pd.Index(["k"], name="key")), "arrow-frame"),
    "text index": (pd.DataFrame({"a": [1, 2]}, index=["x", "x"]), "arrow-frame"),
    "stepped range": (pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(4, 8, 2, name="r")), "arrow-frame"),
    "date index": (pd.DataFrame({"a": [1, 2, 3]}, index=TZ_INDEX), "arrow-frame"),
    "business days": (pd.DataFrame({"a": [1, 2]}, index=pd.bdate_range("2026-01-01", periods=2)), "arrow-frame"),
    "period index": (pd.DataFrame({"a": [1]}, index=pd.period_range("2026-01", periods=1, freq="M")), "arrow-frame"),
    "multi index": (pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_product([["x"], [1, 2]])), "arrow-frame"),
    "multi with gaps": (pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([(None, 1)])), "pickle5"),
    "object index": (pd.DataFrame({"a": [1]}, index=pd.Index([dt.date(2026, 1, 1)])), "pickle5"),
    "category index": (pd.DataFrame({"a": [1]}, index=pd.CategoricalIndex(["x"])), "pickle5"),
    "int labels": (pd.DataFrame({3: [1], 1: [2]}), "arrow-frame"),
    "range labels": (pd.DataFrame(np.eye(2)), "arrow-frame"),
    "object labels": (pd.DataFrame([[1]], columns=pd.Index(["a"], dtype=object)), "arrow-frame"),
    "named labels": (pd.DataFrame([[1]], columns=pd.Index(["a"], name="cols")), "arrow-frame"),
    "mixed labels": (pd.DataFrame([[1, 2]], columns=["a", 1]), "pickle5"),
    "date labels": (pd.DataFrame([[1]], columns=[pd.Timestamp("2026")]), "pickle5"),
    "multi labels": (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", 1)])), "pickle5"),
    "index named as a column": (pd.DataFrame({"a": [1]}, index=pd.Index([5], name="a")), "pickle5"),
    "column like an index": (pd.DataFrame({"__index_level_0__": [1]}, index=["x"]), "pickle5"),
    "quotes and hangul": (pd.DataFrame({'a"b': [1], "나이; --": [2], "": [3]}), "arrow-frame"),
    "surrogate label": (pd.DataFrame([[1]], columns=pd.Index(["\ud800"], dtype=object)), "pickle5"),
    "small numbers": (
        pd.DataFrame({"h": np.array([1, np.nan], "float16"), "u": np.array([1, 2], "uint8")}),
        "arrow-frame",
    ),
    "complex": (pd.DataFrame({"c": [1j]}), "pickle5"),
    "sparse": (pd.DataFrame({"s": pd.arrays.SparseArray([0, 0, 1])}), "pickle5"),
    "categories": (pd.DataFrame({"c": pd.Categorical(["b", None], ["c", "b"], ordered=True)}), "arrow-frame"),
    "int categories": (pd.DataFrame({"c": pd.Categorical([5, 3])}), "arrow-frame"),
    "date categories": (pd.DataFrame({"c": pd.Categorical(pd.to_datetime(["2026"]))}), "pickle5"),
    "no categories": (pd.DataFrame({"c": pd.Categorical([None])}), "pickle5"),
    "nullable": (
        pd.DataFrame({"i": pd.array([1, None], "Int8"), "b": pd.array([True, None], "boolean")}),
        "arrow-frame",
    ),
    "nullable floats": (pd.DataFrame({"f": pd.array([1.5, None], "Float32")}), "arrow-frame"),
    "string": (pd.DataFrame({"s": pd.array(["a", None], "string")}), "arrow-frame"),
    "python string": (pd.DataFrame({"s": pd.array(["a", None], pd.StringDtype("python"))}), "pickle5"),
    "arrow types": (
        pd.DataFrame({"i": pd.array([1, None], "int64[pyarrow]"), "s": pd.array(["a", None], "string[pyarrow]")}),
        "arrow-frame",
    ),
    "arrow date": (pd.DataFrame({"d": pd.array([dt.date(2026, 1, 1)], pd.ArrowDtype(pa.date32()))}), "arrow-frame"),
    "arrow list": (pd.DataFrame({"l": pd.array([[1, 2]], pd.ArrowDtype(pa.list_(pa.int64())))}), "pickle5"),
    "datetime units": (
        pd.DataFrame({u: pd.Series(["2026-01-01", None], dtype=f"datetime64[{u}]") for u in ("s", "ms", "us", "ns")}),
        "arrow-frame",
    ),
    "timedelta": (pd.DataFrame({"t": pd.to_timedelta(["1D", None])}), "arrow-frame"),
    "zone": (pd.DataFrame({"z": TZ_INDEX}), "arrow-frame"),
    "utc": (pd.DataFrame({"z": pd.to_datetime(["2026-01-01T00:00Z"])}), "arrow-frame"),
    "utc index": (pd.DataFrame({"a": [1, 2]}, index=pd.date_range("2026", periods=2, tz="UTC")), "arrow-frame"),
    "fixed offset": (pd.DataFrame({"z": pd.to_datetime(["2026-01-01T00:00+05:30"])}), "pickle5"),
    "period": (pd.DataFrame({"p": pd.array(["2026-01", None], "period[M]")}), "arrow-frame"),
    "interval": (pd.DataFrame({"i": pd.arrays.IntervalArray.from_breaks([0, 1, 2])}), "pickle5"),
    "objects: text": (pd.DataFrame({"o": pd.Series(["a", None], dtype=object)}), "arrow-frame"),
    "objects: text, nan": (pd.DataFrame({"o": pd.Series(["a", np.nan], dtype=object)}), "arrow-frame"),
    "objects: two nulls": (pd.DataFrame({"o": pd.Series(["a", None, np.nan], dtype=object)}), "pickle5"),
    "objects: only none": (pd.DataFrame({"o": pd.Series([None, None], dtype=object)}), "arrow-frame"),
    "objects: only nan": (pd.DataFrame({"o": pd.Series([np.nan], dtype=object)}), "arrow-frame"),
    "objects: none at all": (pd.DataFrame({"o": pd.Series([], dtype=object)}), "arrow-frame"),
    "objects: ints": (pd.DataFrame({"o": pd.Series([1, None], dtype=object)}), "pickle5"),
    "objects: huge": (pd.DataFrame({"o": pd.Series([10**30], dtype=object)}), "pickle5"),
    "objects: dates": (pd.DataFrame({"o": pd.Series([dt.date(2026, 1, 1), None], dtype=object)}), "arrow-frame"),
    "objects: times": (pd.DataFrame({"o": pd.Series([dt.time(1, 2, 3, 4), None], dtype=object)}), "arrow-frame"),
    "objects: datetimes": (pd.DataFrame({"o": pd.Series([dt.datetime(2026, 1, 1)], dtype=object)}), "pickle5"),
    "objects: bytes": (pd.DataFrame({"o": pd.Series([b"\xff", None], dtype=object)}), "arrow-frame"),
    "objects: decimals": (pd.DataFrame({"o": [decimal.Decimal("1.10"), decimal.Decimal("-2.05")]}), "arrow-frame"),
    "objects: two scales": (pd.DataFrame({"o": [decimal.Decimal("1.1"), decimal.Decimal("1.10")]}), "pickle5"),
    "objects: minus zero": (pd.DataFrame({"o": [decimal.Decimal("-0.0")]}), "pickle5"),
    "objects: lists": (pd.DataFrame({"o": [[1], [2, 3]]}), "pickle5"),
    "objects: dicts": (pd.DataFrame({"o": [{"a": 1}, {"b": 2}]}), "pickle5"),
    "objects: bools": (pd.DataFrame({"o": pd.Series([True, None], dtype=object)}), "pickle5"),
    "objects: surrogate": (pd.DataFrame({"o": pd.Series(["\ud800"], dtype=object)}), "pickle5"),
    "objects: numpy text": (pd.DataFrame({"o": pd.Series([np.str_("a")], dtype=object)}), "pickle5"),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_come_back_exactly(store, name):
    value, expected_format = FRAMES[name]
    info = store.put(value)
    back = store.get(info.artifact)
    assert_exact(back, value)
    assert info.artifact.format == expected_format
    assert store.meta(info.artifact)["preview_problem"] is None


READ_ALONE = """
import pickle, sys
from pathlib import Path
from spellbook_core.artifacts.formats.frames import decode
sys.stdout.buffer.write(pickle.dumps([decode(Path(path)) for path in sys.argv[1:]]))
"""


@pytest.mark.thorough
def test_frames_come_back_exactly_in_a_process_that_wrote_none(store):
    """What pandas and Arrow learn of each other while they write is not known to the next block."""
    months = pd.period_range("2026-01", periods=2, freq="M")
    kept = [pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_arrays([months, ["x", "y"]]))]
    kept += [value for value, expected_format in FRAMES.values() if expected_format == "arrow-frame"]
    paths = [store.data_path(store.put(value).artifact) for value in kept]
    done = subprocess.run([sys.executable, "-c", READ_ALONE, *paths], capture_output=True, check=True)
    for back, value in zip(pickle.loads(done.stdout), kept, strict=True):
        assert_exact(back, value)


def assert_exact(back: pd.DataFrame, value: pd.DataFrame) -> None:
    assert type(back) is type(value)
    assert_frame_equal(
        back, value, check_exact=True, check_index_type="equiv", check_column_type="equiv", check_freq=True
    )
    assert back.columns.dtype == value.columns.dtype
    assert back.columns.names == value.columns.names
    for position in range(value.shape[1]):
        before, after = value.iloc[:, position], back.iloc[:, position]
        assert after.dtype == before.dtype
        if before.dtype == object:
            assert [(type(x), repr(x)) for x in after] == [(type(x), repr(x)) for x in before]
        assert type(getattr(after.dtype, "tz", None)) is type(getattr(before.dtype, "tz", None))
    assert type(getattr(back.index, "tz", None)) is type(getattr(value.index, "tz", None))
    assert back.attrs == value.attrs


def test_attrs_come_back(store):
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = {"source": "가", "n": [1, None]}
    info = store.put(frame)
    assert list(store.get(info.artifact).attrs.items()) == list(frame.attrs.items())
    assert info.artifact.format == "arrow-frame"
    frame.attrs = {"source": {1}}
    assert store.get(store.put(frame).artifact).attrs == frame.attrs


def test_frames_that_come_back_can_be_written_to(store):
    frame = pd.DataFrame({"f": [1.0, 2.0], "c": pd.Categorical(["a", "b"]), "s": ["x", "y"], "b": [True, False]})
    frame["d"] = pd.to_datetime(["2026", "2027"])
    back = store.get(store.put(frame).artifact)
    for position in range(back.shape[1]):
        back.iloc[0, position] = back.iloc[1, position]
    assert back.iloc[0].tolist() == back.iloc[1].tolist()
    assert back.loc[:, ["f"]].to_numpy(copy=True).flags.writeable


def test_subclass_of_a_frame_stays_one(store):
    module = types.ModuleType("frame_block")
    exec("import pandas as pd\nclass Own(pd.DataFrame):\n    pass", module.__dict__)
    sys.modules["frame_block"] = module
    cloudpickle.register_pickle_by_value(module)
    try:
        info = store.put(module.Own({"a": [1]}))
        assert type(store.get(info.artifact)).__name__ == "Own"
        assert info.artifact.format == "cloudpickle"
    finally:
        cloudpickle.unregister_pickle_by_value(module)
        del sys.modules["frame_block"]


SERIES = {
    "named": pd.Series([1, 2], name="n"),
    "unnamed": pd.Series(["a", None]),
    "int name": pd.Series([1.5], name=7),
    "tuple name": pd.Series([1.5], name=("a", 1)),
    "dates": pd.Series([1, 2, 3], index=TZ_INDEX, name="x"),
    "categories": pd.Series(["a", "b"], dtype="category"),
    "lists": pd.Series([[1], None]),
    "empty": pd.Series([], dtype="float32"),
}


@pytest.mark.parametrize("name", SERIES)
def test_series_come_back_exactly(store, name):
    value = SERIES[name]
    back = store.get(store.put(value).artifact)
    assert_series_equal(back, value, check_exact=True, check_freq=True)
    assert type(back.name) is type(value.name)


def test_arrow_tables_come_back(store):
    table = pa.table(
        {"a": [1, None], "l": [[1], None], "d": pa.array(["x", "y"]).dictionary_encode(), "s": [{"k": 1}, None]},
        metadata={"own": "note"},
    )
    chunked = pa.concat_tables([table, table])
    back = store.get(store.put(chunked).artifact)
    assert back.equals(chunked, check_metadata=True)


def test_dictionaries_that_differ_by_chunk_are_kept(store):
    table = pa.concat_tables([pa.table({"d": pa.array([text]).dictionary_encode()}) for text in ("x", "y")])
    assert store.get(store.put(table).artifact)["d"].to_pylist() == ["x", "y"]


def tied() -> dict[str, torch.Tensor]:
    shared = torch.ones(2)
    return {"a": shared, "b": shared}


TENSORS = {
    "one": (torch.arange(6.0).reshape(2, 3), "safetensors"),
    "scalar": (torch.tensor(3), "safetensors"),
    "empty": (torch.empty(0, 3), "safetensors"),
    "bfloat16": (torch.ones(2, dtype=torch.bfloat16), "safetensors"),
    "view": (torch.arange(10)[::2], "torch"),
    "sliced": (torch.arange(10)[:3], "torch"),
    "complex": (torch.ones(2, dtype=torch.complex64), "torch"),
    "gradient": (torch.ones(2, requires_grad=True), "torch"),
    "parameter": (torch.nn.Parameter(torch.ones(2)), "torch"),
    "sparse": (torch.eye(3).to_sparse(), "torch"),
    "dict": ({"z": torch.ones(2, 2), "a": torch.zeros(1, dtype=torch.int8)}, "safetensors"),
    "tied": (tied(), "torch"),
    "list": ([torch.ones(1), 3, "x", None], "torch"),
    "nested": ({"state": {0: {"step": torch.tensor(1.0)}}, "lr": 0.1, "betas": (0.9, 0.99)}, "torch"),
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_come_back_exactly(store, name):
    value, expected_format = TENSORS[name]
    info = store.put(value)
    assert_same_tensors(store.get(info.artifact), value)
    assert info.artifact.format == expected_format


def assert_same_tensors(back: object, value: object) -> None:
    assert type(back) is type(value)
    if isinstance(value, torch.Tensor):
        assert (back.dtype, back.shape, back.layout, back.requires_grad) == (
            value.dtype,
            value.shape,
            value.layout,
            value.requires_grad,
        )
        assert torch.equal(back.to_dense(), value.to_dense())
    elif isinstance(value, dict):
        assert list(back) == list(value)
        for key in value:
            assert_same_tensors(back[key], value[key])
    elif isinstance(value, (list, tuple)):
        assert len(back) == len(value)
        for one, other in zip(back, value, strict=True):
            assert_same_tensors(one, other)
    else:
        assert back == value


def test_tied_tensors_stay_tied(store):
    back = store.get(store.put(tied()).artifact)
    back["a"][0] = 5
    assert back["b"][0] == 5


def test_state_dict_keeps_its_versions(store):
    state = torch.nn.BatchNorm1d(2).state_dict()
    back = store.get(store.put(state).artifact)
    assert_same_tensors(back, state)
    assert back._metadata == state._metadata


def test_model_comes_back_with_its_weights(store):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 10), torch.nn.ReLU(), torch.nn.Linear(10, 1), torch.nn.Sigmoid())
    model.train()
    info = store.put(model)
    back = store.get(info.artifact)
    x = torch.randn(4, 5)
    assert torch.equal(back.eval()(x), model.eval()(x))
    assert info.summary == "Sequential, 71 parameters"


def test_dict_of_many_kinds_comes_back(store):
    value = {"frame": pd.DataFrame({"a": [1]}), "array": np.eye(2), "tensor": torch.ones(2), 3: (None, {1})}
    back = store.get(store.put(value).artifact)
    assert list(back) == list(value)
    assert_frame_equal(back["frame"], value["frame"])
    assert (back["array"] == value["array"]).all()
    assert torch.equal(back["tensor"], value["tensor"])
    assert back[3] == value[3]


def test_lambda_and_closure_come_back(store):
    factor = 3
    info = store.put({"f": lambda x: x * factor})
    assert info.artifact.format == "cloudpickle"
    assert store.get(info.artifact)["f"](2) == 6


def test_class_of_a_block_file_loads_where_the_block_is_not(store):
    module = types.ModuleType("block_net")
    sys.modules["block_net"] = module
    source = "import torch\nclass Net(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    source += "        self.layer = torch.nn.Linear(2, 1)\n    def forward(self, x):\n        return self.layer(x)\n"
    exec(compile(source, "net.py", "exec"), module.__dict__)
    cloudpickle.register_pickle_by_value(module)
    try:
        info = store.put(model := module.Net())
    finally:
        cloudpickle.unregister_pickle_by_value(module)
        del sys.modules["block_net"]
    x = torch.ones(1, 2)
    assert torch.equal(store.get(info.artifact)(x), model(x))
    assert (info.artifact.format, info.summary) == ("cloudpickle", "Net, 3 parameters")


@pytest.mark.guarantee("F23")
def test_missing_class_is_named(store):
    module = types.ModuleType("vanishing")
    sys.modules["vanishing"] = module
    exec("class Thing:\n    pass", module.__dict__)
    ref = store.put(module.Thing()).artifact
    del sys.modules["vanishing"]
    with pytest.raises(ImportError, match="vanishing"):
        store.get(ref)
