from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.engine.run_queue import Asked, decide
from spellbook_core.model.concurrency import Concurrency, IfRunning, is_held
from spellbook_core.model.run import Selection


def asked(*numbers, trigger="api", **changes):
    return [Asked(number, trigger, **changes) for number in numbers]


def test_second_run_waits_its_turn():
    decision = decide("x", asked(2, 3), asked(1), Concurrency())
    assert decision.begin == []
    assert decision.wait == {2: "its turn: 1 run of x at a time", 3: "its turn: 1 run of x at a time"}


def test_allowed_runs_begin_at_once():
    limits = Concurrency(None, None, None, IfRunning.ALLOW)
    assert decide("x", asked(2, 3), asked(1), limits).begin == [2, 3]


def test_run_beyond_the_limit_is_skipped_with_its_reason():
    decision = decide("x", asked(2, 3), asked(1), Concurrency(run_limit=2, if_running=IfRunning.SKIP))
    assert decision.begin == [2]
    assert decision.skip == {3: "pipeline 'x' was running already (run 1)"}


def test_newest_run_takes_the_place_of_the_others():
    limits = Concurrency(if_running=IfRunning.CANCEL_RUNNING)
    decision = decide("x", asked(2, 3), asked(1), limits)
    assert (decision.cancel, list(decision.skip), list(decision.wait), decision.begin) == ([1], [2], [3], [])
    decision = decide("x", asked(3), asked(1, is_ending=True), limits)
    assert (decision.cancel, list(decision.wait)) == ([], [3])
    assert decide("x", asked(3), [], limits).begin == [3]


def test_higher_priority_has_the_next_turn():
    waiting = [Asked(2, "api"), Asked(3, "api", priority=9)]
    assert decide("x", waiting, [], Concurrency()).begin == [3]


def test_limit_of_a_trigger_lets_other_triggers_pass():
    limits = Concurrency(run_limit=None, trigger_run_limit=1)
    decision = decide("x", [*asked(2), *asked(3, trigger="manual")], asked(1), limits)
    assert (decision.begin, list(decision.wait)) == ([3], [2])


@pytest.mark.parametrize(
    ("trigger", "selection", "held"),
    [
        ("manual", Selection(), True),
        ("notebook", Selection(), False),
        ("cli", Selection(("b",)), False),
        ("manual", Selection(tests_only=True), False),
    ],
)
def test_only_whole_runs_wait_for_each_other(trigger, selection, held):
    assert is_held(trigger, selection) is held


ASKED = st.tuples(st.sampled_from(["api", "manual"]), st.integers(-1, 1), st.booleans())


@given(
    waiting=st.lists(ASKED, max_size=8),
    carried=st.lists(ASKED, max_size=4),
    run_limit=st.one_of(st.none(), st.integers(1, 3)),
    trigger_limit=st.one_of(st.none(), st.integers(1, 2)),
    policy=st.sampled_from([IfRunning.QUEUE, IfRunning.SKIP, IfRunning.CANCEL_RUNNING]),
)
def test_no_policy_exceeds_a_limit_or_forgets_a_run(waiting, carried, run_limit, trigger_limit, policy):
    going = [Asked(n, trigger, p, ending) for n, (trigger, p, ending) in enumerate(carried, 1)]
    queued = [Asked(n, trigger, p) for n, (trigger, p, _) in enumerate(waiting, 100)]
    limits = Concurrency(None, run_limit, trigger_limit, policy)
    decision = decide("x", queued, going, limits)
    assert sorted([*decision.begin, *decision.wait, *decision.skip]) == [run.id for run in queued]
    begun = [run for run in queued if run.id in decision.begin]
    if begun:
        after = [*going, *begun]
        assert run_limit is None or len(after) <= run_limit
        for run in begun:
            same = sum(other.trigger == run.trigger for other in after)
            assert trigger_limit is None or same <= trigger_limit
    if not going and queued:
        assert decision.begin, "a free pipeline takes somebody"
