"""Transformer actions of mage give what its templates promise, and leave the frame that they get as it is."""

from __future__ import annotations

import pandas as pd
import pytest

from spellbook_core.worker.mage_shim.action_names import ActionType, Axis, ImputationStrategy
from spellbook_core.worker.mage_shim.actions import BaseAction, build_transformer_action
from spellbook_core.worker.mage_shim.failures import UnsupportedActionError


def frame() -> pd.DataFrame:
    return pd.DataFrame({"g": ["a", "a", "b", "b"], "v": [1.0, 2.0, 3.0, 3.0], "t": ["x", None, "", "y"]})


def done(df, action_type, **parts):
    before = df.copy()
    result = BaseAction(build_transformer_action(df, action_type=action_type, **parts)).execute(df)
    pd.testing.assert_frame_equal(df, before)
    return result


def test_duplicates_are_dropped():
    parts = {"arguments": ["g"], "axis": Axis.ROW}
    assert done(frame(), ActionType.DROP_DUPLICATE, options={"keep": "first"}, **parts)["v"].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (ActionType.AVERAGE, [1.5, 1.5, 3, 3]),
        (ActionType.COUNT, [2, 2, 2, 2]),
        (ActionType.COUNT_DISTINCT, [2, 2, 1, 1]),
        (ActionType.FIRST, [1, 1, 3, 3]),
        (ActionType.LAST, [2, 2, 3, 3]),
        (ActionType.MAX, [2, 2, 3, 3]),
        (ActionType.MEDIAN, [1.5, 1.5, 3, 3]),
        (ActionType.MIN, [1, 1, 3, 3]),
        (ActionType.MODE, [1, 1, 3, 3]),
        (ActionType.SUM, [3, 3, 6, 6]),
    ],
)
def test_groups_are_aggregated_onto_each_row(kind, expected):
    options, outputs = {"groupby_columns": ["g"]}, [{"uuid": "new", "column_type": "number"}]
    result = done(frame(), kind, arguments=["v"], options=options, outputs=outputs)
    assert result["new"].tolist() == expected


def test_whole_column_is_aggregated_without_groups():
    assert done(frame(), ActionType.SUM, arguments=["v"], outputs=[{"uuid": "s"}])["s"].tolist() == [9.0] * 4


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"strategy": ImputationStrategy.CONSTANT, "value": "?"}, ["x", "?", "?", "y"]),
        ({"strategy": ImputationStrategy.CONSTANT}, ["x", "missing", "missing", "y"]),
        ({"strategy": ImputationStrategy.SEQ}, ["x", "x", "x", "y"]),
        ({"strategy": ImputationStrategy.MODE}, ["x", "x", "x", "y"]),
        ({"strategy": ImputationStrategy.COLUMN, "value": "g"}, ["x", "a", "b", "y"]),
        ({"strategy": ImputationStrategy.ROW_RM}, ["x", "y"]),
    ],
)
def test_gaps_are_filled(options, expected):
    assert done(frame(), ActionType.IMPUTE, arguments=["t"], options=options)["t"].tolist() == expected


def test_numbers_are_filled_by_their_average():
    df = pd.DataFrame({"v": [1.0, None, 3.0]})
    filled = done(df, ActionType.IMPUTE, arguments=["v"], options={"strategy": "average"})
    assert filled["v"].tolist() == [1, 2, 3]
    drawn = done(df, ActionType.IMPUTE, arguments=["v"], options={"strategy": "random"})
    assert drawn["v"].isin([1, 3]).all()


def test_rows_are_filtered_sorted_and_limited():
    assert len(done(frame(), ActionType.FILTER, action_code='v > 1 and g == "b"', axis=Axis.ROW)) == 2
    assert len(done(frame(), ActionType.FILTER, action_code="t != null", axis=Axis.ROW)) == 3
    down = done(frame(), ActionType.SORT, arguments=["v", "g"], axis=Axis.ROW, options={"ascendings": [False, True]})
    assert down["v"].tolist() == [3, 3, 2, 1]
    assert len(done(frame(), ActionType.LIMIT, options={"rows": 2}, axis=Axis.ROW)) == 2


def test_columns_are_removed_selected_renamed_and_shifted():
    assert list(done(frame(), ActionType.REMOVE, arguments=["g", "none"])) == ["v", "t"]
    assert list(done(frame(), ActionType.SELECT, arguments=["t", "g"])) == ["t", "g"]
    named = pd.DataFrame({" First Name": [1], "camelCase": [1], "9th-one": [1]})
    cleaned = done(named, ActionType.CLEAN_COLUMN_NAME, arguments=list(named.columns))
    assert list(cleaned) == ["first_name", "camel_case", "number_9th_one"]
    outputs = [{"uuid": "new"}]
    assert done(frame(), ActionType.SHIFT_DOWN, arguments=["v"], outputs=outputs)["new"].tolist()[1:] == [1, 2, 3]
    assert done(frame(), ActionType.SHIFT_UP, arguments=["v"], outputs=outputs)["new"].tolist()[:3] == [2, 3, 3]
    assert done(frame(), ActionType.DIFF, arguments=["v"], outputs=outputs)["new"].tolist()[1:] == [1, 1, 0]


def test_texts_are_reformatted():
    df = pd.DataFrame({"t": ["Ab", "cD"], "m": ["$1,200.50", "€ 3"], "d": ["2024-01-02", "nonsense"]})
    upper = {"reformat": "caps_standardization", "capitalization": "uppercase"}
    assert done(df, ActionType.REFORMAT, arguments=["t"], options=upper)["t"].tolist() == ["AB", "CD"]
    money = done(df, ActionType.REFORMAT, arguments=["m"], options={"reformat": "currency_to_num"})
    assert money["m"].tolist() == [1200.5, 3]
    dates = done(df, ActionType.REFORMAT, arguments=["d"], options={"reformat": "date_format_conversion"})
    assert dates["d"].isna().tolist() == [False, True]


def test_numbers_are_scaled_and_outliers_removed():
    assert done(frame(), ActionType.NORMALIZE, arguments=["v"])["v"].tolist() == [0, 0.5, 1, 1]
    assert done(frame(), ActionType.STANDARDIZE, arguments=["v"])["v"].mean() == pytest.approx(0)
    df = pd.DataFrame({"v": [1, 2, 3, 2, 1, 99]})
    assert 99 not in done(df, ActionType.REMOVE_OUTLIERS, arguments=["v"], axis=Axis.ROW)["v"].tolist()


def test_columns_are_added():
    def added(**parts):
        return done(frame(), ActionType.ADD, outputs=[{"uuid": "new", "column_type": "number"}], **parts)[
            "new"
        ].tolist()

    assert added(arguments=["v"], options={"udf": "addition", "value": 1}) == [2, 3, 4, 4]
    assert added(arguments=["v", "v"], options={"udf": "multiply"}) == [1, 4, 9, 9]
    assert added(options={"udf": "constant", "value": 7}) == [7] * 4
    assert added(action_code="v * 2") == [2, 4, 6, 6]


def test_tables_are_joined():
    other = pd.DataFrame({"k": ["a", "b"], "w": [10, 20]})
    options = {"left_on": ["g"], "right_on": ["k"], "drop_columns": ["k"]}
    action = build_transformer_action(frame(), action_type="join", options=options)
    assert BaseAction(action).execute(frame(), df_to_join=other)["w"].tolist() == [10, 10, 20, 20]


@pytest.mark.parametrize("kind", [ActionType.CUSTOM, ActionType.GROUP, ActionType.EXPAND_COLUMN])
def test_action_that_is_not_offered_says_so(kind):
    with pytest.raises(UnsupportedActionError, match=f"'{kind}' of mage's transformer actions is not offered"):
        done(frame(), kind)
