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
    assert len(done(frame(), ActionType.FILTER, action_code="t != null", axis=Axis.ROW)) == 2
    down = done(frame(), ActionType.SORT, arguments=["v", "g"], axis=Axis.ROW, options={"ascendings": [False, True]})
    assert down["v"].tolist() == [3, 3, 2, 1]
    assert len(done(frame(), ActionType.LIMIT, options={"rows": 2}, axis=Axis.ROW)) == 2


@pytest.mark.parametrize(
    ("code", "rows"),
    [
        ("'My Col!' > 2", [2, 3]),
        ("n > 'My Col!'", [0, 1]),
        ("t contains 'x'", [0]),
        ('t not contains "x"', [1, 2, 3]),
        ("t == null or n == 4", [1, 2, 3]),
        ("(n == 3 or n == 9) and t != null", [0]),
        ("flag == true", [0, 3]),
        ('t == "x"', [0]),
        ("n>3", [1, 3]),
        ("", [0, 1, 2, 3]),
    ],
)
def test_conditions_are_mage_s(code, rows):
    """What mage-ai 0.9.80 answers; the condition also chooses the rows that a group's aggregate counts."""
    df = pd.DataFrame({"n": [3, 9, 1, 4], "t": ["x", "", None, "y"], "My Col!": [1, 2, 3, 4]})
    df["flag"] = [True, False, False, True]
    kept = done(df, ActionType.FILTER, arguments=["n"], action_code=code, axis=Axis.ROW)
    assert kept.index.tolist() == rows
    assert list(kept) == list(df)
    counted = {"arguments": ["n"], "outputs": [{"uuid": "new"}], "options": {"groupby_columns": ["one"]}}
    result = done(df.assign(one=1), ActionType.COUNT, action_code=code, **counted)
    assert result["new"].tolist() == [len(rows)] * 4


def test_rows_are_removed_by_their_label_and_gaps_sorted_below_numbers():
    df = pd.DataFrame({"v": [2.0, None, 1.0], "t": ["b", None, "a"]})
    kept = done(df, ActionType.REMOVE, axis=Axis.ROW, options={"rows": [0, 99]})
    assert kept.index.tolist() == [1, 2]
    for column, ascending, expected in (("v", True, [1, 2, 0]), ("v", False, [0, 2, 1]), ("t", True, [2, 0, 1])):
        found = done(df, ActionType.SORT, arguments=[column], axis=Axis.ROW, options={"ascending": ascending})
        assert found.index.tolist() == expected


def test_aggregates_of_a_time_window_count_its_rows_only():
    days = pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-05"])
    df = pd.DataFrame({"a": days, "b": days - pd.to_timedelta([0, 1, 3], unit="D"), "g": "x", "v": [1, 2, 4]})
    window = {"groupby_columns": ["g"], "timestamp_feature_a": "a", "timestamp_feature_b": "b", "window": 86400}
    result = done(df, ActionType.SUM, arguments=["v"], options=window, outputs=[{"uuid": "new"}])
    assert result["new"].tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("passengerID", "passenger_i_d"),
        ("HTTPServer", "h_t_t_p_server"),
        ("UPPER_CASE", "upper_case"),
        ("col1Name", "col1name"),
        ("a  b", "a__b"),
        ("12.5", "12_5"),
        ("123", "number_123"),
        ("class", "class_"),
        ("Total ($)", "total_"),
        ("승객", "승객"),
    ],
)
def test_column_names_are_cleaned_as_mage_does(name, cleaned):
    """Other blocks name the cleaned columns, so each must come out alike; only `승객` would be `number_`."""
    assert list(done(pd.DataFrame([[1]], columns=[name]), ActionType.CLEAN_COLUMN_NAME, arguments=[name])) == [cleaned]


@pytest.mark.parametrize(
    "kind",
    [
        *(ActionType.AVERAGE, ActionType.DIFF, ActionType.SHIFT_DOWN, ActionType.SHIFT_UP, ActionType.IMPUTE),
        *(ActionType.CLEAN_COLUMN_NAME, ActionType.NORMALIZE, ActionType.REFORMAT, ActionType.SORT),
        *(ActionType.FILTER, ActionType.REMOVE_OUTLIERS),
    ],
)
def test_template_that_names_no_column_yet_changes_nothing(kind):
    """mage's templates come with `arguments=[]`."""
    pd.testing.assert_frame_equal(done(frame(), kind, arguments=[], options={"reformat": None}), frame())


def test_arguments_may_be_given_in_mage_s_order():
    action = build_transformer_action(frame(), "shift_down", ["v"], "", {"periods": 2}, "column", [{"uuid": "new"}])
    assert BaseAction(action).execute(frame())["new"].tolist()[2:] == [1, 2]


def test_columns_are_removed_selected_renamed_and_shifted():
    assert list(done(frame(), ActionType.REMOVE, arguments=["g", "none"])) == ["v", "t"]
    assert list(done(frame(), ActionType.SELECT, arguments=["t", "g"])) == ["t", "g"]
    named = pd.DataFrame({" First Name": [1], "camelCase": [1], "9th-one": [1]})
    cleaned = done(named, ActionType.CLEAN_COLUMN_NAME, arguments=list(named.columns))
    assert list(cleaned) == ["first_name", "camel_case", "9th_one"]
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
    odd = pd.DataFrame({"m": ["abc", "4 CAD", None], "n": [1, 2, 3], "b": [" ", "é", None]})
    assert done(odd, ActionType.REFORMAT, arguments=["m"], options={"reformat": "currency_to_num"})["m"][1] == 4
    kept = done(odd, ActionType.REFORMAT, arguments=["n", "b"], options=upper)
    assert (kept["n"].tolist(), kept["b"].isna().tolist(), kept["b"][1]) == ([1, 2, 3], [True, False, True], "É")
    dates = done(df, ActionType.REFORMAT, arguments=["d"], options={"reformat": "date_format_conversion"})
    assert dates["d"].isna().tolist() == [False, True]


def test_numbers_are_scaled_and_outliers_removed():
    assert done(frame(), ActionType.NORMALIZE, arguments=["v"])["v"].tolist() == [0, 0.5, 1, 1]
    assert done(frame(), ActionType.STANDARDIZE, arguments=["v"])["v"].std(ddof=0) == pytest.approx(1)
    df = pd.DataFrame({"v": [1, 2, 3, 2, 1, 99], "t": list("abcdef")})
    assert len(done(df, ActionType.REMOVE_OUTLIERS, arguments=["v", "t"])) == 5  # texts have none
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
