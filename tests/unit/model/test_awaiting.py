"""Whether runs that wait for each other can end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.model.awaiting import Unended, circle
from spellbook_core.model.concurrency import Concurrency, IfRunning

ALONE = Concurrency()


def under_way(number, pipeline, *awaits, **more):
    return Unended(number, "demo", pipeline, "api", awaits=frozenset(awaits), **more)


def queued(number, pipeline, **more):
    return Unended(number, "demo", pipeline, "api", has_begun=False, **more)


def found(first, *runs, limits=ALONE):
    return [run.id for run in circle(first, runs, lambda project, pipeline: limits)]


def test_pipeline_that_waits_for_itself_by_a_detour_is_a_circle():
    assert found(3, under_way(1, "a", 2), under_way(2, "b", 3), queued(3, "a")) == [3, 1, 2]


def test_two_that_are_each_held_up_by_the_other_are_a_circle():
    """Neither began the other: run 2 of b waits its turn behind run 1, which is to wait for a run of a."""
    runs = [under_way(1, "b", 4), under_way(2, "a", 3), queued(3, "b"), queued(4, "a")]
    assert found(4, *runs) == [4, 2, 3, 1]


def test_waiting_that_ends_is_no_circle():
    assert found(3, under_way(1, "a", 2), under_way(2, "b", 3), queued(3, "c")) == []
    assert found(3, under_way(1, "a"), under_way(2, "b", 3), queued(3, "a")) == []
    assert found(3, under_way(1, "a", 9), under_way(2, "b", 3), queued(3, "a")) == [], "run 9 has ended"


def test_one_place_that_comes_free_is_enough():
    runs = [under_way(1, "a", 2), under_way(2, "b", 3), queued(3, "a"), under_way(4, "a")]
    assert found(3, *runs, limits=Concurrency(run_limit=2)) == []
    assert found(3, *runs[:3], under_way(4, "a", 2), limits=Concurrency(run_limit=2)) == [3, 1, 2]


def test_runs_that_no_limit_holds_are_in_no_circle():
    runs = [under_way(1, "a", 2), under_way(2, "b", 3)]
    assert found(3, *runs, queued(3, "a"), limits=Concurrency(run_limit=None)) == []
    assert found(3, *runs, queued(3, "a"), limits=Concurrency(if_running=IfRunning.CANCEL_RUNNING)) == []
    assert found(3, *runs, queued(3, "a", counts=False)) == []
    assert found(3, under_way(1, "a", 2, counts=False), runs[1], queued(3, "a")) == []
    assert found(3, under_way(1, "a", 2, is_ending=True), runs[1], queued(3, "a")) == []


@pytest.mark.thorough
@given(
    st.lists(
        st.builds(
            lambda pipeline, begun, awaits: (pipeline, begun, frozenset(awaits) if begun else frozenset()),
            st.sampled_from("abc"),
            st.booleans(),
            st.lists(st.integers(1, 8), max_size=3),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_what_is_told_is_a_circle_of_runs_each_of_which_waits_for_the_next(drawn):
    runs = [
        Unended(number, "demo", pipeline, "api", has_begun=begun, awaits=awaits)
        for number, (pipeline, begun, awaits) in enumerate(drawn, 1)
    ]
    closed = circle(runs[-1].id, runs, lambda project, pipeline: ALONE)
    for run, other in zip(closed, closed[1:] + closed[:1], strict=True):
        assert other.id in run.awaits if run.has_begun else (other.has_begun and other.pipeline == run.pipeline)
