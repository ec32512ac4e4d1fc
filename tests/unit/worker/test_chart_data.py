"""What mage's chart settings mean: which numbers are drawn."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from spellbook_core.worker.chart_data import by_settings, cell
from spellbook_core.worker.failures import ChartError

METRIC = {"aggregation": "average", "column": "fare"}


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "class": [3, 1, 3, 2],
            "fare": [7.0, 80.0, 9.0, None],
            "name": ["a", " ", "b", "b"],
            "at": ["2024-01-01", "2024-01-01 12:00", "2024-01-15", "2024-03-01"],
        }
    )


def drawn(**settings):
    picture = by_settings(frame(), settings)
    json.dumps(picture, allow_nan=False)
    return picture


def test_bars_are_groups_and_metrics():
    picture = drawn(chart_type="bar chart", group_by=["class"], metrics=[METRIC])
    assert picture["kind"] == "bars"
    assert picture["x"] == [1, 2, 3]
    assert picture["series"] == [{"name": "average(fare)", "values": [80.0, None, 8.0]}]


def test_bars_are_sorted_when_asked():
    settings = {"group_by": ["class"], "metrics": [METRIC], "y_sort_order": "descending", "chart_style": "horizontal"}
    picture = drawn(chart_type="bar chart", **settings)
    assert picture["x"] == [1, 3, 2]
    assert picture["is_horizontal"] is True


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [("average", 8.0), ("count", 2), ("count_distinct", 2), ("max", 9.0), ("median", 8.0), ("min", 7.0), ("sum", 16.0)],
)
def test_aggregations_are_mage_s(aggregation, expected):
    metrics = [{"aggregation": aggregation, "column": "fare"}]
    picture = drawn(chart_type="line chart", group_by=["class"], metrics=metrics)
    assert picture["kind"] == "lines"
    assert picture["series"][0]["values"][-1] == expected


def test_blank_texts_are_missing_and_mode_is_the_most_frequent():
    def of(how):
        picture = drawn(chart_type="bar chart", group_by=["class"], metrics=[{"aggregation": how, "column": "name"}])
        return picture["series"][0]["values"]

    assert of("count") == [0, 1, 2]
    assert of("mode")[1:] == ["b", "a"]


def test_histogram_counts_whole_numbers_one_by_one():
    picture = drawn(chart_type="histogram", group_by=["class"], buckets=10)
    assert picture["counts"] == [1, 1, 2]
    assert picture["edges"] == [0.5, 1.5, 2.5, 3.5]
    assert sum(drawn(chart_type="histogram", group_by=["fare"], buckets="5")["counts"]) == 3


def test_pie_keeps_the_rest_as_one_slice():
    picture = drawn(chart_type="pie chart", group_by=["class"], buckets=1)
    assert (picture["labels"], picture["values"]) == (["3", "(2 others)"], [2, 2])


def test_table_is_ordered_and_limited():
    settings = {"group_by": ["name", "fare"], "order_by": "fare", "y_sort_order": "descending", "limit": 2}
    picture = drawn(chart_type="table", **settings)
    assert picture["columns"] == ["name", "fare"]
    assert picture["rows"] == [[" ", 80.0], ["b", 9.0]]
    assert picture["total"] == 4


@pytest.mark.parametrize(
    ("interval", "starts", "values"),
    [
        ("month", ["2024-01-01T00:00:00", "2024-03-01T00:00:00"], [3, 0]),
        ("year", ["2024-01-01T00:00:00"], [3]),
        ("day", ["2024-01-01T00:00:00", "2024-01-15T00:00:00", "2024-03-01T00:00:00"], [2, 1, 0]),
    ],
)
def test_time_series_are_cut_into_intervals(interval, starts, values):
    metrics = [{"aggregation": "count", "column": "fare"}]
    picture = drawn(chart_type="time series bar chart", group_by=["at"], metrics=metrics, time_interval=interval)
    assert picture["x"] == starts
    assert picture["series"][0]["values"] == values
    assert picture["is_time"] is True


def test_too_many_moments_become_coarser():
    many = pd.DataFrame({"at": pd.date_range("2024-01-01", periods=100_000, freq="s"), "v": 1})
    settings = {"chart_type": "time series line chart", "group_by": ["at"], "time_interval": "original"}
    picture = by_settings(many, {**settings, "metrics": [{"aggregation": "sum", "column": "v"}]})
    assert len(picture["x"]) == 28
    assert picture["x_title"] == "at, by hour"


def test_seconds_since_1970_are_times():
    settings = {"chart_type": "time series line chart", "group_by": ["at"], "metrics": [METRIC]}
    stamps = pd.DataFrame({"at": [1_700_000_000, 1_700_086_400], "fare": [1.0, 2.0]})
    assert by_settings(stamps, settings)["x"] == ["2023-11-14T22:13:20", "2023-11-15T22:13:20"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"chart_type": "bar chart", "group_by": ["nope"], "metrics": [METRIC]}, "no column 'nope'"),
        ({"chart_type": "bar chart", "group_by": ["class"]}, "needs a column to group by and a metric"),
        ({"chart_type": "histogram", "metrics": [METRIC]}, "A histogram needs a column"),
        ({"chart_type": "histogram", "group_by": ["name"]}, "no numbers"),
        ({"chart_type": "radar", "group_by": ["class"]}, "no chart of type 'radar'"),
        (
            {"chart_type": "bar chart", "group_by": ["class"], "metrics": [{"aggregation": "magic", "column": "fare"}]},
            "no aggregation",
        ),
        (
            {
                "chart_type": "bar chart",
                "group_by": ["class"],
                "metrics": [{"aggregation": "average", "column": "mixed"}],
            },
            "cannot be computed",
        ),
    ],
)
def test_settings_that_do_not_fit_are_named(settings, message):
    with pytest.raises(ChartError, match=message):
        by_settings(frame().assign(mixed=["a", 1, None, {}]), settings)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (pd.NaT, None),
        (float("inf"), None),
        (pd.NA, None),
        (pd.Timestamp("2024-01-02"), "2024-01-02T00:00:00"),
        (b"x" * 1000, f"b'{'x' * 298}…"),
    ],
)
def test_cells_are_json(value, expected):
    assert cell(value) == expected


def test_dates_are_an_axis_of_time_in_lines_and_short_texts_in_bars():
    days = pd.to_datetime(["2024-01-02", "2024-01-01", "2024-01-02"])
    frame = pd.DataFrame({"day": days, "n": [1, 2, 3]})
    settings = {"group_by": ["day"], "metrics": [{"aggregation": "sum", "column": "n"}]}
    line = by_settings(frame, {**settings, "chart_type": "line chart"})
    assert (line["is_time"], line["x"]) == (True, ["2024-01-01T00:00:00", "2024-01-02T00:00:00"])
    bars = by_settings(frame, {**settings, "chart_type": "bar chart"})
    assert (bars.get("is_time"), bars["x"], bars["series"][0]["values"]) == (None, ["2024-01-01", "2024-01-02"], [2, 4])
    frame["day"] = frame["day"].dt.tz_localize("Asia/Seoul")
    assert by_settings(frame, {**settings, "chart_type": "bar chart"})["x"] == ["2024-01-01", "2024-01-02"]
    assert by_settings(frame.head(1), {"chart_type": "table"})["rows"][0][0] == "2024-01-02 00:00:00+09:00"
