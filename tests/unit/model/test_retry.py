"""When a failed attempt is followed by another one: mage's `retry_config`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.model.retry import MAX_RETRIES, ONCE, BadRetryConfigError, RetryPolicy, merged


def test_nothing_written_means_one_attempt():
    assert merged([{}, {}]) == ONCE
    assert ONCE.delays() == []


def test_delays_double():
    assert RetryPolicy(3, 5, 60).delays() == [5, 10, 20]


def test_delays_stay_equal_without_backoff():
    assert RetryPolicy(3, 5, 60, exponential_backoff=False).delays() == [5, 5, 5]


def test_retry_that_would_reach_max_delay_is_not_made():
    """mage: 5 + 10 + 20 s are below 60 s, 5 + 10 + 20 + 40 s are not."""
    assert RetryPolicy(9, 5, 60).delays() == [5, 10, 20]
    assert RetryPolicy(3, 60, 60).delays() == []


def test_no_delay_retries_at_once():
    assert RetryPolicy(2, 0).delays() == [0, 0]
    assert len(RetryPolicy(10**9, 0).delays()) == MAX_RETRIES


def test_block_overrides_pipeline_overrides_project():
    project = {"retries": 1, "delay": 2, "max_delay": 9}
    pipeline = {"retries": 2, "delay": 3}
    assert merged([project, pipeline, {"retries": 3}]) == RetryPolicy(3, 3, 9)


def test_empty_values_keep_what_is_below():
    assert merged([{"retries": 2}, {"retries": None, "delay": ""}]) == RetryPolicy(2)


@pytest.mark.parametrize(("written", "meant"), [("false", False), (False, False), ("True", True), (0, False)])
def test_texts_are_read_as_mage_writes_them(written, meant):
    assert merged([{"retries": "2", "exponential_backoff": written}]) == RetryPolicy(2, exponential_backoff=meant)


@pytest.mark.parametrize("config", [{"retries": -1}, {"delay": "soon"}, {"max_delay": float("nan")}, {"retries": True}])
def test_bad_value_is_named(config):
    with pytest.raises(BadRetryConfigError, match=next(iter(config))):
        merged([config])


@given(st.integers(0, 50), st.floats(0, 100), st.floats(0, 1000), st.booleans())
def test_delays_stay_within_what_is_allowed(retries, delay, max_delay, backoff):
    delays = RetryPolicy(retries, delay, max_delay, backoff).delays()
    assert len(delays) <= retries
    assert not delays or sum(delays) < max_delay
    assert delays == sorted(delays)
