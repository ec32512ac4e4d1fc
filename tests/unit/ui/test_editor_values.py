"""Variables as text and back, result tabs, template search, and short shapes."""

from __future__ import annotations

from datetime import date

import pytest

from spellbook_core.model.output import ArtifactRef, Column, OutputInfo, OutputKind
from spellbook_core.ui.editor import add_block, variables
from spellbook_core.ui.editor.add_block import Offer
from spellbook_core.ui.editor.charts import is_number
from spellbook_core.ui.editor.code_pane import short_shape
from spellbook_core.ui.editor.output import available_tabs
from spellbook_core.ui.editor.variables import BadVariableError


@pytest.mark.parametrize(
    "value",
    [5, 0.1, True, None, "plain text", "5", "true", "", [1, "a"], {"k": [1]}, date(2026, 11, 21), "2026-11-21", "날짜"],
)
def test_variable_survives_its_text(value: object) -> None:
    assert variables.parse(variables.show(value)) == value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), ("1e-3", 0.001), ("false", False), ("abc", "abc"), ('"5"', "5"), ("[1, 2]", [1, 2]), ("1-2", "1-2")],
)
def test_typed_text_gets_its_type(text: str, value: object) -> None:
    assert variables.parse(text) == value


def test_rows_without_a_name_are_left_out() -> None:
    assert variables.collect([("a", "1"), ("", "x"), (" b ", "y")]) == {"a": 1, "b": "y"}


def test_bad_variable_name_is_refused() -> None:
    with pytest.raises(BadVariableError, match="'my var' cannot be a variable"):
        variables.collect([("my var", "1")])


def test_repeated_variable_is_refused() -> None:
    with pytest.raises(BadVariableError, match="'a' is there twice"):
        variables.collect([("a", "1"), ("a", "2")])


def output(kind: OutputKind) -> OutputInfo:
    columns = (Column("a", "int64"),) if kind is OutputKind.TABLE else ()
    return OutputInfo(0, ArtifactRef("d", "arrow-frame"), kind, "t", 3, columns, 10, "3 rows x 1 column")


@pytest.mark.parametrize(
    ("kind", "has_rows", "first"),
    [
        (OutputKind.TABLE, True, "Table"),
        (OutputKind.TABLE, False, "Text"),
        (OutputKind.JSON, False, "JSON"),
        (OutputKind.MODEL, False, "Model"),
        (OutputKind.FIGURE, False, "Figure"),
        (OutputKind.TEXT, False, "Text"),
        (OutputKind.OBJECT, False, "Text"),
    ],
)
def test_first_tab_fits_the_output(kind: OutputKind, has_rows: bool, first: str) -> None:
    tabs = available_tabs(output(kind), has_rows=has_rows, has_metrics=False, has_tests=False)
    assert tabs[0] == first
    assert tabs[-1] == "Logs"


def test_only_tabs_that_apply_are_offered() -> None:
    assert available_tabs(None, has_rows=False, has_metrics=True, has_tests=True) == ["Metrics", "Logs", "Tests"]


def test_search_finds_every_word_titles_first() -> None:
    offers = [
        Offer("1", "data_loader", "From an address", "Reads a CSV file.", ""),
        Offer("2", "data_loader", "CSV file", "Reads a table.", ""),
        Offer("3", "data_loader", "Database", "", ""),
    ]
    assert [offer.ident for offer in add_block.matching(offers, "csv")] == ["2", "1"]
    assert [offer.ident for offer in add_block.matching(offers, "reads table")] == ["2"]
    assert add_block.matching(offers, "") == offers


def test_tables_have_a_short_shape() -> None:
    assert short_shape("1,000 rows x 12 columns") == "1,000 × 12"
    assert short_shape("Sequential, 71 parameters") == "Sequential, 71 parameters"


@pytest.mark.parametrize(("dtype", "number"), [("int64", True), ("Float32", True), ("str", False), ("bool", False)])
def test_number_columns_are_known(dtype: str, number: bool) -> None:
    assert is_number(dtype) is number
