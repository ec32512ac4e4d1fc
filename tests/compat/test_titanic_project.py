"""The example project: its files are as they should be, and its functions do in plain Python what the page shows."""

from __future__ import annotations

import runpy
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from spellbook_core.project.layout import Workspace
from spellbook_core.project.metadata import load_pipeline, render_pipeline
from spellbook_core.services import pipelines

PROJECT = Path(__file__).parents[2] / "projects" / "titanic"


@dataclass(frozen=True)
class Files:
    workspace: Workspace


@pytest.fixture
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(PROJECT.parent))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "titanic"]:
        del sys.modules[name]


def test_sample_is_made_again_with_the_same_bytes():
    made = runpy.run_path(str(PROJECT / "data" / "make_sample.py"))["make"]()
    assert made == (PROJECT / "data" / "titanic_sample.csv").read_bytes()


def test_sample_has_the_published_counts():
    import pandas as pd

    data = pd.read_csv(PROJECT / "data" / "titanic_sample.csv")
    assert data.shape == (891, 12)
    assert data["Survived"].sum() == 342
    assert data[["Age", "Cabin", "Embarked"]].isna().sum().tolist() == [177, 687, 2]
    assert data.groupby(["Sex", "Pclass"])["Survived"].sum().tolist() == [91, 70, 72, 45, 17, 47]
    assert data["Name"].str.startswith("Synthetic, ").all()


def test_pipeline_is_valid_and_writes_as_it_is():
    ctx = Files(Workspace.open(PROJECT.parents[1]))
    assert pipelines.validate(ctx, "titanic", "torch_train") == []
    file = load_pipeline(PROJECT / "pipelines" / "torch_train" / "metadata.yaml")
    assert [block.uuid for block in file.pipeline.blocks] == [
        *("load_titanic", "fill_in_missing_values", "torch_train", "export_titanic_predict")
    ]
    assert render_pipeline({}, file.pipeline) == file.text


def test_blocks_run_offline_and_reproducibly(importable, monkeypatch, tmp_path):
    from titanic.custom import torch_train as training
    from titanic.data_exporters import export_titanic_predict as exporting
    from titanic.data_loaders import load_titanic as loading
    from titanic.transformers import fill_in_missing_values as filling

    monkeypatch.setattr(loading, "TITANIC_DATA_URL", "http://127.0.0.1:9/titanic.csv")
    monkeypatch.setattr(training, "EPOCHS", 3)
    monkeypatch.setattr(exporting, "PREDICTIONS_FILE", tmp_path / "output" / "p.csv")
    with pytest.warns(UserWarning, match="SYNTHETIC"):
        data = loading.load_titanic()
    loading.test_has_the_columns(data)
    filled = filling.fill_in_missing_values(data)
    filling.test_no_gap_is_left(filled)
    assert data["Age"].isna().any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = training.torch_train(filled), training.torch_train(filled)
    training.test_predictions_are_probabilities(first)
    assert first.equals(second)
    exporting.export_titanic_predict(first)
    assert (tmp_path / "output" / "p.csv").read_text().count("\n") == 892
