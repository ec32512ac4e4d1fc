from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.engine import state
from spellbook_core.engine.state import BlockDue, BlockEnded, BlockPostponed, BlockStarted, CancelRequested
from spellbook_core.model.run import Status

DIAMOND = {"load": (), "left": ("load",), "right": ("load",), "join": ("left", "right")}
ENDS = [Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.CONDITION_FAILED]


def run(events, parents=None):
    current = state.begin(parents or DIAMOND)
    for event in events:
        current = state.apply(current, event)
    return current


def ended(block, status=Status.COMPLETED):
    return [BlockStarted(block), BlockEnded(block, status)]


def test_roots_are_ready_first():
    assert state.ready(state.begin(DIAMOND), 8) == ["load"]


def test_children_wait_for_all_parents():
    assert state.ready(run([*ended("load"), *ended("left")]), 8) == ["right"]


def test_failed_parent_marks_children_upstream_failed():
    current = run([*ended("load"), *ended("left", Status.FAILED)])
    assert current.statuses["join"] is Status.UPSTREAM_FAILED


def test_independent_branch_goes_on():
    current = run([*ended("load"), *ended("left", Status.FAILED)])
    assert state.ready(current, 8) == ["right"]
    assert state.outcome(current) is None


def test_failed_block_fails_the_run():
    current = run([*ended("load"), *ended("left", Status.FAILED), *ended("right")])
    assert state.outcome(current) is Status.FAILED


def test_all_completed_completes_the_run():
    assert state.outcome(run([e for block in DIAMOND for e in ended(block)])) is Status.COMPLETED


def test_cancel_ends_what_waits():
    current = run([*ended("load"), BlockStarted("left"), CancelRequested()])
    assert current.statuses["right"] is Status.CANCELLED
    assert state.ready(current, 8) == []
    assert state.outcome(current) is None
    assert state.outcome(state.apply(current, BlockEnded("left", Status.CANCELLED))) is Status.CANCELLED


def test_cancel_after_last_success_stays_completed():
    assert state.outcome(run([*ended("only"), CancelRequested()], {"only": ()})) is Status.COMPLETED


def test_second_end_changes_nothing():
    current = run(ended("load"))
    assert state.apply(current, BlockEnded("load", Status.FAILED)) is current


def test_end_without_start_changes_nothing():
    current = state.begin(DIAMOND)
    assert state.apply(current, BlockEnded("load", Status.COMPLETED)) is current


def test_postponed_block_waits_until_it_is_due():
    current = run([BlockStarted("load"), BlockPostponed("load")])
    assert (current.statuses["load"], current.statuses["left"]) == (Status.QUEUED, Status.INITIAL)
    assert state.ready(current, 8) == []
    assert state.outcome(current) is None
    current = state.apply(current, BlockDue("load"))
    assert state.ready(current, 8) == ["load"]
    current = run([BlockStarted("load"), BlockPostponed("load"), BlockDue("load"), *ended("load")])
    assert state.ready(current, 8) == ["left", "right"]


def test_cancel_ends_a_postponed_block_at_once():
    current = run([BlockStarted("load"), BlockPostponed("load"), CancelRequested()])
    assert set(current.statuses.values()) == {Status.CANCELLED}
    assert state.outcome(current) is Status.CANCELLED


def test_block_postponed_while_cancelling_is_cancelled():
    current = run([BlockStarted("load"), CancelRequested(), BlockPostponed("load")])
    assert state.outcome(current) is Status.CANCELLED


def test_only_a_running_block_is_postponed():
    current = run(ended("load"))
    assert state.apply(current, BlockPostponed("load")) is current
    assert state.apply(current, BlockPostponed("left")) is current


def test_restored_failure_closes_descendants():
    current = state.begin(DIAMOND, {"load": Status.FAILED})
    assert set(current.statuses.values()) == {Status.FAILED, Status.UPSTREAM_FAILED}


def test_parents_outside_the_run_are_ignored():
    assert state.ready(state.begin({"train": ("fill",)}), 1) == ["train"]


@st.composite
def graphs(draw):
    size = draw(st.integers(1, 8))
    names = [f"b{n}" for n in range(size)]
    return {
        name: tuple(draw(st.lists(st.sampled_from(names[:n]), unique=True)) if n else ())
        for n, name in enumerate(names)
    }


@pytest.mark.thorough
@given(graphs(), st.integers(1, 3), st.data())
def test_any_order_ends_legal(parents, limit, data):
    """Whatever ends when and how: no block before its parents, never more than the limit, every run ends."""
    current = state.begin(parents)
    cancelled, postponed = False, 0
    for _ in range(200):
        starting = state.ready(current, limit - len(current.running()))
        for block in starting:
            assert all(current.statuses[parent] is Status.COMPLETED for parent in parents[block])
            assert not cancelled
            current = state.apply(current, BlockStarted(block))
        running = current.running()
        assert len(running) <= limit
        if state.outcome(current) is not None:
            break
        assert running or current.waiting, "a run that has not ended must have something under way, or wait"
        event = data.draw(st.sampled_from(["end", "end", "end", "cancel", "stray", "postpone", "due"]))
        if event == "cancel":
            current, cancelled = state.apply(current, CancelRequested()), True
        elif event == "stray":
            block = data.draw(st.sampled_from(sorted(parents)))
            if current.statuses[block] is not Status.RUNNING:
                assert state.apply(current, BlockEnded(block, Status.FAILED)) is current
        elif current.waiting and (event == "due" or not running):
            current = state.apply(current, BlockDue(data.draw(st.sampled_from(sorted(current.waiting)))))
        elif event == "postpone" and running and postponed < 20:
            postponed += 1
            current = state.apply(current, BlockPostponed(data.draw(st.sampled_from(running))))
        elif running:
            block = data.draw(st.sampled_from(running))
            current = state.apply(current, BlockEnded(block, data.draw(st.sampled_from(ENDS))))
    final = state.outcome(current)
    assert final is not None
    assert all(status.is_terminal for status in current.statuses.values())
    assert (final is Status.COMPLETED) == (set(current.statuses.values()) == {Status.COMPLETED}) or (
        set(current.statuses.values()) <= {Status.COMPLETED, Status.CONDITION_FAILED}
    )
    for block, its_parents in parents.items():
        if current.statuses[block] is Status.COMPLETED:
            assert all(current.statuses[parent] is Status.COMPLETED for parent in its_parents)


@pytest.mark.thorough
@given(
    graphs(),
    st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["start", "later", "due", *ENDS, "cancel"])), max_size=60),
)
def test_arbitrary_events_stay_legal(parents, noise):
    """Events in any order, also ones that make no sense, never start a block early nor change an ended one."""
    current = state.begin(parents)
    for number, what in noise:
        block = f"b{number % len(parents)}"
        if what == "cancel":
            event = CancelRequested()
        else:
            named = {"start": BlockStarted, "later": BlockPostponed, "due": BlockDue}
            event = named[what](block) if what in named else BlockEnded(block, what)
        before, current = current, state.apply(current, event)
        for name, status in before.statuses.items():
            if status.is_terminal:
                assert current.statuses[name] is status
            if status is not Status.RUNNING and current.statuses[name] is Status.RUNNING:
                assert all(before.statuses[parent] is Status.COMPLETED for parent in parents[name])
