"""Bars of a time series are as wide as the time that they stand for, side by side when there are several series."""

from __future__ import annotations

from spellbook_core.ui.editor import pictures

MONTHS = ["2024-01-01T00:00:00", "2024-02-01T00:00:00", "2024-03-01T00:00:00"]


def spec(*series):
    listed = [{"name": name, "values": values} for name, values in series]
    return pictures._series({"kind": "bars", "x": MONTHS, "is_time": True, "series": listed}).to_dict()


def test_bars_of_a_time_series_fill_their_interval():
    made = spec(("sum(n)", [1, 2, 3]))
    assert made["encoding"]["y2"] == {"datum": 0}
    first, second, last = made["data"]["values"]
    assert first["x"] == MONTHS[0]
    assert "2024-01-25" < first["e"] < MONTHS[1]
    assert second["x"] == MONTHS[1]
    assert second["e"] < MONTHS[2]
    assert last["e"] > "2024-03-24"


def test_bars_of_several_series_stand_side_by_side():
    values = spec(("a", [1, 2, 3]), ("b", [4, 5, 6]))["data"]["values"]
    first, other = (next(row for row in values if row["s"] == name) for name in "ab")
    assert first["e"] == other["x"]
    assert other["t"] == MONTHS[0]
    assert other["e"] < MONTHS[1]


def test_time_series_by_months_is_marked_by_months():
    axis = spec(("sum(n)", [1, 2, 3]))["encoding"]["x"]["axis"]
    assert (axis["tickCount"], axis["format"]) == ({"interval": "month", "step": 1}, "%b %Y")
