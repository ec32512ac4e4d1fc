"""What screens and commands get of a stored output, without running any of its code."""

from __future__ import annotations

import csv
import datetime as dt
import json
import time
from types import SimpleNamespace

import altair
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.artifacts.store import PREVIEW_JSON_FILE
from spellbook_core.model.output import OutputKind
from spellbook_core.services import outputs


@pytest.fixture
def ctx(tmp_path):
    return SimpleNamespace(artifacts=LocalArtifactStore(tmp_path / "state" / "artifacts"))


class Canary:
    """A value that leaves a file behind when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __setstate__(self, state):
        with open(state["path"], "w") as file:
            file.write("unpickled")


@pytest.mark.guarantee("N25")
def test_nothing_here_unpickles(ctx, tmp_path):
    canary = tmp_path / "canary"
    plain, frame = ctx.artifacts.put(Canary(str(canary))), pd.DataFrame({"o": [Canary(str(canary))], "n": [1]})
    table = ctx.artifacts.put(frame)
    outputs.preview(ctx, plain)
    outputs.preview(ctx, table)
    outputs.page(ctx, table, search="1", sort="n")
    outputs.profile(ctx, table)
    for output in (plain, table):
        with pytest.raises(TypeError, match="cannot be exported"):
            outputs.export(ctx, output, tmp_path / "x.csv", "csv")
    assert not canary.exists()
    ctx.artifacts.get(plain.artifact)
    assert canary.exists()


def test_page_of_a_table(ctx):
    output = ctx.artifacts.put(pd.DataFrame({"a": range(300)}))
    page = outputs.page(ctx, output, offset=299)
    assert (page.rows, page.total_rows) == ([[299]], 300)
    assert outputs.has_rows(ctx, output)


def test_text_is_previewed_as_text(ctx):
    output = ctx.artifacts.put("# <b>hi</b>\n" + "x" * 200_000)
    shown = outputs.preview(ctx, output)
    assert (shown.kind, shown.is_cut, len(shown.text)) == (OutputKind.TEXT, True, 100_000)
    assert shown.text.startswith("# <b>hi</b>\n")
    assert not outputs.has_rows(ctx, output)


def test_json_is_previewed_whole_when_small(ctx):
    value = {"a": [1, None, True], "b": {"c": "x"}}
    shown = outputs.preview(ctx, ctx.artifacts.put(value))
    assert (shown.json, shown.has_json, shown.is_cut) == (value, True, False)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "value",
    [
        {"big": list(range(4_000_000)), "text": "x" * 25_000_000},
        [{str(n): [n] * 50 for n in range(200)} for _ in range(200)],
        {"frames": [pd.DataFrame(np.zeros((100, 100)))] * 50, "tensor": torch.zeros(1000, 1000)},
    ],
)
def test_preview_of_a_huge_value_is_small(ctx, value):
    output = ctx.artifacts.put(value)
    size = (ctx.artifacts.folder(output.artifact) / PREVIEW_JSON_FILE).stat().st_size
    assert size < 150_000
    assert outputs.preview(ctx, output).is_cut or "frames" in value


def test_preview_with_odd_numbers_is_json(ctx):
    output = ctx.artifacts.put({"nan": float("nan"), "big": 2**60, "huge": 10**5000, "t": (1, {2}), 3: "\ud800"})
    text = (ctx.artifacts.folder(output.artifact) / PREVIEW_JSON_FILE).read_text()
    shown = json.loads(text, parse_constant=lambda name: pytest.fail(name))["json"]
    assert shown == {"nan": "nan", "big": str(2**60), "huge": "an integer of 16610 bits", "t": [1, [2]], "3": "?"}


def test_model_shows_its_layers(ctx):
    model = torch.nn.Sequential(torch.nn.Linear(5, 10), torch.nn.ReLU(), torch.nn.Linear(10, 1), torch.nn.Sigmoid())
    model[0].weight.requires_grad_(False)
    shown = outputs.preview(ctx, ctx.artifacts.put(model))
    assert (shown.kind, shown.parameters, shown.trainable) == (OutputKind.MODEL, 71, 21)
    assert [(row["name"], row["type"], row["parameters"]) for row in shown.layers] == [
        ("0", "Linear", 60),
        ("1", "ReLU", 0),
        ("2", "Linear", 11),
        ("3", "Sigmoid", 0),
    ]
    assert shown.layers[0]["text"] == "in_features=5, out_features=10, bias=True"


def test_image_becomes_a_png(ctx):
    shown = outputs.preview(ctx, output := ctx.artifacts.put(Image.new("RGB", (4000, 20), "red")))
    assert shown.png.startswith(b"\x89PNG")
    assert (shown.kind, output.summary) == (OutputKind.FIGURE, "image 4000 x 20")


@pytest.mark.thorough
def test_chart_becomes_its_specification(ctx):
    chart = altair.Chart(pd.DataFrame({"x": [1, 2]})).mark_bar().encode(x="x:Q")
    shown = outputs.preview(ctx, ctx.artifacts.put(chart))
    assert (shown.kind, shown.spec_language, shown.spec["mark"]) == (OutputKind.FIGURE, "vega-lite", {"type": "bar"})


def test_failing_preview_does_not_fail_the_block(ctx):
    class Rude:
        def __repr__(self):
            raise RuntimeError("no")

    output = ctx.artifacts.put([Rude()])
    assert "Rude" in json.dumps(outputs.preview(ctx, output).json)


def test_damaged_preview_says_so(ctx):
    output = ctx.artifacts.put([1])
    (ctx.artifacts.folder(output.artifact) / PREVIEW_JSON_FILE).write_text("{")
    assert "damaged" in outputs.preview(ctx, output).text


def test_profile_of_each_column(ctx):
    frame = pd.DataFrame(
        {
            "n": [1.0, 2.0, np.nan, 4.0],
            "t": ["a", "b", "a", None],
            "b": [True, False, True, True],
            "d": pd.to_datetime(["2026-01-01", "2026-01-02", None, "2026-01-04"]),
            "e": pd.Series([None] * 4, dtype=object),
        }
    )
    found = {column.name: column for column in outputs.profile(ctx, ctx.artifacts.put(frame))}
    number = found["n"]
    assert (number.nulls, number.distinct, number.minimum, number.maximum) == (1, 3, 1.0, 4.0)
    assert number.mean == pytest.approx(7 / 3)
    assert (len(number.histogram), sum(number.histogram)) == (20, 3)
    assert (found["t"].nulls, found["t"].top[0], found["t"].minimum) == (1, ("a", 2), "a")
    assert found["b"].top[0] == (True, 3)
    assert (found["d"].minimum, found["d"].maximum) == ("2026-01-01 00:00:00", "2026-01-04 00:00:00")
    assert (found["e"].nulls, found["e"].histogram) == (4, ())


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"l": [[1], None], "s": [{"a": 1}, None], "b": [b"x", None], "f": [float("inf"), float("nan")]}),
        pa.table({"z": pa.array([], pa.float64()), "t": pa.array([], pa.string())}),
        pa.table({"h": pa.array(np.array([1, 2], "float16")), "d": pa.array([1, 2], pa.duration("ns"))}),
        pa.table({"v": pa.array(["a", "b"], pa.string_view()), "t": [dt.time(1), dt.time(2)]}),
    ],
)
def test_profile_never_fails_on_odd_columns(ctx, table):
    assert len(outputs.profile(ctx, ctx.artifacts.put(table))) == table.num_columns


def test_profile_of_a_large_table_looks_at_a_sample(ctx):
    frame = pd.DataFrame({"n": np.arange(250_000)})
    column = outputs.profile(ctx, ctx.artifacts.put(frame))[0]
    assert (column.rows, column.sampled_rows, column.maximum) == (250_000, 100_000, 249_999)


EXPORTED = pd.DataFrame(
    {
        "=name": ["=cmd()", "-1", "+82 10", "@x", "plain", None],
        "n": [-1, 2, 3, 4, 5, 6],
        "d": pd.to_datetime(["2026-01-01"] * 6),
    },
    index=pd.Index(list("abcdef"), name="k"),
)


@pytest.mark.guarantee("N20")
def test_csv_cells_are_no_formulas(ctx, tmp_path):
    path = outputs.export(ctx, ctx.artifacts.put(EXPORTED), tmp_path / "out.csv", "csv")
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["k", "'=name", "n", "d"]
    assert [row[1] for row in rows[1:]] == ["'=cmd()", "-1", "'+82 10", "'@x", "plain", ""]
    assert [row[2] for row in rows[1:3]] == ["-1", "2"]
    assert rows[1][3] == "2026-01-01 00:00:00"


def test_csv_can_be_exact(ctx, tmp_path):
    path = outputs.export(ctx, ctx.artifacts.put(EXPORTED), tmp_path / "out.csv", "csv", neutralise=False)
    assert pd.read_csv(path)["=name"].tolist()[:4] == ["=cmd()", "-1", "+82 10", "@x"]


def test_parquet_and_json_hold_the_table(ctx, tmp_path):
    output = ctx.artifacts.put(EXPORTED)
    table = pq.read_table(outputs.export(ctx, output, tmp_path / "out.parquet", "parquet"))
    assert table.column_names == ["k", "=name", "n", "d"]
    assert table["n"].to_pylist() == [-1, 2, 3, 4, 5, 6]
    records = json.loads(outputs.export(ctx, output, tmp_path / "out.json", "json").read_text())
    assert records[0] == {"k": "a", "=name": "=cmd()", "n": -1, "d": "2026-01-01 00:00:00"}
    assert len(records) == 6


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_many_batches_and_odd_types_are_exported(ctx, tmp_path, kind):
    rows = 120_000
    table = pa.table(
        {
            "n": np.arange(rows),
            "l": pa.array([[1, 2], None] * (rows // 2)),
            "c": pa.array(["x", "y"] * (rows // 2)).dictionary_encode(),
            "z": pa.nulls(rows),
            "t": pa.array([1, None] * (rows // 2), pa.duration("us")),
        }
    )
    path = outputs.export(ctx, ctx.artifacts.put(table), tmp_path / f"out.{kind}", kind)
    if kind == "csv":
        assert path.read_bytes().count(b"\n") == rows + 1
    elif kind == "json":
        assert len(json.loads(path.read_text())) == rows
    else:
        assert pq.read_metadata(path).num_rows == rows


def test_json_value_is_exported_as_it_is(ctx, tmp_path):
    path = outputs.export(ctx, ctx.artifacts.put({"a": [1]}), tmp_path / "out.json", "json")
    assert json.loads(path.read_text()) == {"a": [1]}


def test_empty_table_is_exported(ctx, tmp_path):
    output = ctx.artifacts.put(EXPORTED.iloc[:0])
    assert outputs.export(ctx, output, tmp_path / "out.csv", "csv").read_text() == '"k","\'=name","n","d"\n'
    assert json.loads(outputs.export(ctx, output, tmp_path / "out.json", "json").read_text()) == []


def test_failed_export_leaves_nothing(ctx, tmp_path):
    output = ctx.artifacts.put({1, 2})
    (tmp_path / "to").mkdir()
    with pytest.raises(TypeError, match="cannot be exported to csv"):
        outputs.export(ctx, output, tmp_path / "to" / "x.csv", "csv")
    with pytest.raises(LookupError, match="does not exist"):
        outputs.export(ctx, output, tmp_path / "nowhere" / "x.csv", "csv")
    assert list((tmp_path / "to").iterdir()) == []


@pytest.mark.thorough
@pytest.mark.guarantee("F39")
def test_page_of_ten_million_rows_is_quick(ctx):
    output = ctx.artifacts.put(pa.table({"n": np.arange(10_000_000)}))
    before = time.process_time()
    assert outputs.page(ctx, output, offset=9_999_999).rows == [[9_999_999]]
    assert time.process_time() - before < 1
