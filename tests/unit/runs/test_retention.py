from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.runs.records import OutputHolder
from spellbook_core.runs.retention import EndedRun, Retention, expired, kept_digests, over_budget

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def ended(number, *, days, pipeline="x", is_single=False):
    return EndedRun(number, "p", pipeline, is_single, NOW - timedelta(days=days))


def ids(runs, needed=(), **rule):
    return [run.id for run in expired(runs, needed, lambda project: Retention(**rule), NOW)]


def test_old_runs_expire():
    assert ids([ended(1, days=91), ended(2, days=89)], max_age=timedelta(days=90)) == [1]


def test_needed_runs_stay_whatever_their_age():
    assert ids([ended(1, days=91), ended(2, days=91)], needed={1}, max_age=timedelta(days=90)) == [2]


def test_newest_of_each_pipeline_and_kind_stay():
    runs = [ended(1, days=3), ended(2, days=2), ended(3, days=1), ended(4, days=1, pipeline="y")]
    runs += [ended(5, days=1, is_single=True), ended(6, days=1, is_single=True)]
    assert ids(runs, max_runs=1) == [1, 2, 5]


def test_without_a_rule_nothing_expires():
    assert ids([ended(1, days=9999)]) == []


def holder(number, digests, *, days=1, kind="run", is_current=False):
    return OutputHolder(kind, number, "p", NOW - timedelta(days=days), frozenset(digests), is_current)


def test_oldest_outputs_go_first_until_the_rest_fits():
    sizes = {"a": 10, "b": 10, "c": 10}
    holders = [holder(1, "a", days=3), holder(2, "b", days=2), holder(3, "c", days=1)]
    assert [held.id for held in over_budget(holders, sizes, 20, may_go=lambda held: True)] == [1]


def test_shared_output_counts_once_and_goes_with_its_last_holder():
    sizes = {"a": 10, "b": 10}
    holders = [holder(1, "a", days=3), holder(2, "ab", days=2), holder(3, "b", days=1, is_current=True)]
    assert [held.id for held in over_budget(holders, sizes, 10, may_go=lambda held: True)] == [1, 2]


HELD = st.lists(
    st.tuples(st.sets(st.sampled_from("abcdef"), max_size=3), st.integers(0, 9), st.booleans(), st.booleans()),
    max_size=8,
)


@pytest.mark.thorough
@given(held=HELD, budget=st.integers(0, 60))
def test_budget_never_takes_what_is_current(held, budget):
    sizes = dict.fromkeys("abcde", 10)
    holders = [holder(n, digests, days=days, is_current=now) for n, (digests, days, now, _) in enumerate(held)]
    fixed = {n for n, (_, _, _, is_fixed) in enumerate(held) if is_fixed}
    gone = over_budget(holders, sizes, budget, may_go=lambda one: one.id not in fixed)
    assert not any(one.is_current or one.id in fixed for one in gone)
    left = kept_digests(one for one in holders if one not in gone) & sizes.keys()
    must = kept_digests(one for one in holders if one.is_current or one.id in fixed) & sizes.keys()
    assert must <= left
    assert len(left) * 10 <= budget or left == must
