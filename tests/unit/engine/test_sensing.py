"""What a sensor's configuration means."""

from __future__ import annotations

import time

import pytest

from spellbook_core.engine.sensing import SHORTEST_S, BadSensorSettingError, SensorPolicy, sensor_policy


def test_silent_sensor_looks_every_minute_forever():
    assert sensor_policy({}) == SensorPolicy(60, None, ())


def test_texts_are_numbers_too():
    assert sensor_policy({"poll_interval": "5", "timeout": "90", "watch": "data/ready.csv"}) == SensorPolicy(
        5, 90, ("data/ready.csv",)
    )


def test_shortest_interval_holds():
    assert sensor_policy({"poll_interval": 0.001}).interval_s == SHORTEST_S


@pytest.mark.parametrize(
    ("watch", "path", "is_watched"),
    [
        ("data/ready.csv", "data/ready.csv", True),
        ("data/ready.csv", "data/readyXcsv", False),
        ("data/*.csv", "data/a.csv", True),
        ("data/*.csv", "data/deep/a.csv", False),
        ("data/**/*.csv", "data/deep/er/a.csv", True),
        ("data/**/*.csv", "data/a.csv", True),
        ("data/**", "data/deep/a.txt", True),
        ("**/a.csv", "a.csv", True),
        ("**/a.csv", "x/y/a.csv", True),
        ("**/x/**/a.csv", "x/a.csv", True),
        ("data/*.csv", "a.csv", False),
        ("day_?.csv", "day_1.csv", True),
        (["a.csv", "b.csv"], "b.csv", True),
        ("a.csv", "b.csv", False),
        ("자료/*.csv", "자료/하나.csv", True),
    ],
)
def test_watched_paths(watch, path, is_watched):
    assert sensor_policy({"watch": watch}).watches(path) is is_watched


@pytest.mark.guarantee("N35")
def test_hostile_pattern_is_answered_quickly():
    policy = sensor_policy({"watch": "/".join(["**", "*a*a*a*a*a*"] * 40)})
    begun = time.process_time()
    assert not policy.watches("/".join(["a" * 100] * 30 + ["b"]))
    assert time.process_time() - begun < 1


@pytest.mark.guarantee("N11")
@pytest.mark.parametrize("watch", ["../x", "/etc/passwd", "~/x", "a/../../b", ".git/config", 3, [""], ["a", None]])
def test_only_paths_of_the_project_are_watched(watch):
    with pytest.raises(BadSensorSettingError, match="watch"):
        sensor_policy({"watch": watch})


@pytest.mark.parametrize("key", ["poll_interval", "timeout"])
@pytest.mark.parametrize("value", [0, -1, "soon", True, float("inf"), [1]])
def test_bad_seconds_are_named(key, value):
    with pytest.raises(BadSensorSettingError, match=key):
        sensor_policy({key: value})
