"""Templates and shared blocks: documented, unique, and they do what they say on a small table."""

from __future__ import annotations

import ast
import warnings

import pytest

from spellbook_core import decorators
from spellbook_core.decorators import BLOCK_DECORATORS
from spellbook_core.errors import NotFoundError
from spellbook_core.project import library
from spellbook_core.project.blockfile import inspect

ITEMS = [*library.templates(language="python"), *library.library_blocks()]


def run(item, *inputs, **kwargs):
    """Call the item's main function as a worker would, then its tests on what it returned."""
    names: dict[str, object] = {"__name__": "block"}
    with decorators.collecting() as found:
        exec(compile(item.source, item.id, "exec"), names)
    (main,) = found.of(BLOCK_DECORATORS[item.block_type])
    output = main.function(*inputs, **kwargs)
    outputs = output if isinstance(output, tuple) else (output,)
    for test in found.of("test"):
        test.function(*outputs)
    return output, names


def named(item_id):
    return next(item for item in ITEMS if item.id == item_id)


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.id)
def test_item_is_sound_and_documented(item):
    ast.parse(item.source)
    found = inspect(item.source, item.block_type, item.id)
    assert found.problem is None
    assert found.warnings == ()
    assert item.title
    assert item.title[0].isupper()
    assert item.block_type == "scratchpad" or "from spellbook_core import" in item.source
    assert max(map(len, item.source.splitlines())) <= 120


def test_ids_are_unique_and_blanks_come_first():
    assert len({item.id for item in ITEMS}) == len(ITEMS)
    for block_type in ("data_loader", "transformer", "custom", "data_exporter", "sensor"):
        assert library.templates(block_type)[0].id == f"{block_type}/blank"


def test_library_has_every_kind():
    assert {item.block_type for item in library.library_blocks()} == {
        *("data_loader", "transformer", "custom", "data_exporter", "sensor")
    }


def test_unknown_item_is_named():
    with pytest.raises(NotFoundError, match="no template 'x'"):
        library.template("x")
    with pytest.raises(NotFoundError, match="no block 'x'"):
        library.library_block("x")


@pytest.fixture(scope="module")
def frame():
    import pandas as pd

    return pd.DataFrame(
        {
            "order_id": [1, 2, 2, 3],
            "region": ["a", "b", "b", None],
            "quantity": [1, 2, 2, 3],
            "price": [1.0, None, None, 4.0],
            "label": [0, 1, 1, 0],
            "y": [1.0, 2.0, 2.0, 3.0],
        }
    )


@pytest.mark.parametrize(
    "item_id",
    [
        *("data_loader/blank", "data_loader/duckdb_query", "data_loader/sample_orders"),
        *("data_loader/sample_classification", "data_loaders/load_duckdb_query"),
        *("data_loaders/make_classification_data", "sensor/blank", "custom/blank"),
    ],
)
def test_loader_returns_something(item_id):
    output, _ = run(named(item_id))
    assert output is None or output is True or len(output) > 0


@pytest.mark.parametrize(
    "item_id",
    [
        *("transformer/blank", "transformer/fill_missing", "transformer/drop_duplicates", "transformer/filter_rows"),
        *("transformer/column_types", "transformer/aggregate", "transformer/train_test_split"),
        *("transformers/encode_categories", "transformers/scale_numeric", "transformers/sql_transform"),
        *("transformers/fill_missing_values", "transformers/drop_duplicates", "transformers/train_test_split"),
    ],
)
def test_transformer_works_and_leaves_its_input(item_id, frame):
    before = frame.copy()
    run(named(item_id), frame)
    assert frame.equals(before)


def test_parameters_come_from_variables(frame):
    output, _ = run(named("transformers/aggregate_by"), frame, group_by="label")
    assert output["rows"].tolist() == [2, 2]
    assert output["mean_price"].tolist() == [2.5, pytest.approx(float("nan"), nan_ok=True)]
    output, _ = run(named("transformers/sql_transform"), frame, frame, query="SELECT count(*) AS n FROM df_1, df_2")
    assert output["n"].tolist() == [16]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_are_loaded(tmp_path, frame, suffix):
    path = tmp_path / f"a.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    block = "load_csv_file" if suffix == "csv" else "load_parquet"
    for output in (
        run(named("data_loader/file"), path=str(path))[0],
        run(named(f"data_loaders/{block}"), **{f"{suffix}_path": str(tmp_path / f"*.{suffix}")})[0],
    ):
        assert output["quantity"].tolist() == [1, 2, 2, 3]


@pytest.mark.parametrize(
    "item_id",
    [
        *("data_exporter/blank", "data_exporter/csv", "data_exporter/parquet", "data_exporter/json"),
        *("data_exporter/duckdb_table", "data_exporters/export_csv", "data_exporters/export_parquet"),
        "data_exporters/export_duckdb",
    ],
)
def test_exporter_writes_into_the_project(tmp_path, frame, item_id):
    run(named(item_id), frame, repo_path=str(tmp_path), block_uuid="api/out")
    assert item_id.endswith("blank") or len(list((tmp_path / "output").iterdir())) == 1


def test_sensor_waits_for_its_file(tmp_path):
    item = named("sensor/file_exists")
    assert run(item, repo_path=str(tmp_path))[0] is False
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ready.csv").write_text("x")
    assert run(item, repo_path=str(tmp_path))[0] is True


def test_offline_loader_says_that_data_is_synthetic():
    source = named("data_loader/titanic").source.replace("https://raw.githubusercontent.com/", "http://127.0.0.1:9/")
    item = library.Template("t", "data_loader", "t", "", source)
    with pytest.warns(UserWarning, match="SYNTHETIC"):
        assert len(run(item)[0]) == 891


@pytest.mark.parametrize("item_id", ["data_loader/url_csv", "data_loaders/load_url_csv"])
def test_web_loader_falls_back(item_id):
    with pytest.warns(UserWarning, match="SYNTHETIC"):
        run(named(item_id), url="http://127.0.0.1:9/x.csv")
    with pytest.raises(ValueError, match="no web address"):
        run(named(item_id), url="file:///etc/passwd")


@pytest.mark.thorough
@pytest.mark.parametrize(
    "item_id",
    [
        "custom/torch_binary_classifier",
        "custom/torch_regression",
        "custom/train_torch_classifier",
        "custom/train_torch_regressor",
    ],
)
def test_models_train_without_warnings(item_id):
    pytest.importorskip("torch")
    import numpy as np
    import pandas as pd

    chance = np.random.default_rng(0)
    x = chance.normal(size=(60, 5))
    names = ["Pclass", "Age", "SibSp", "Parch", "Fare"]
    target = "Survived" if "binary" in item_id else "label" if "classifier" in item_id else "y"
    data = pd.DataFrame(x, columns=names).assign(**{target: (x[:, 0] > 0).astype("int64")})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = (run(named(item_id), data)[0] for _ in range(2))
    table = first[0] if isinstance(first, tuple) else first
    again = second[0] if isinstance(second, tuple) else second
    assert table.equals(again)
    if item_id == "custom/train_torch_classifier":
        figures, _ = run(named("custom/evaluate_classifier"), list(first))
        assert figures.set_index("figure")["value"]["accuracy"] > 0.6
