"""Due times, by a clock that moves only when told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.engine.timers import Timers
from tests.conftest import FrozenClock


def test_nothing_armed_is_never_due(clock):
    assert (Timers(clock).next_due_s(), Timers(clock).due()) == (None, [])


def test_due_in_order_of_time(clock):
    timers = Timers(clock)
    for number, delay_s in ((1, 30), (2, 10), (3, 20)):
        timers.arm(number, delay_s)
    assert timers.next_due_s() == 10
    clock.advance(20)
    assert timers.due() == [2, 3]
    assert (timers.due(), timers.next_due_s(), len(timers)) == ([], 10, 1)


def test_arming_again_replaces_the_time(clock):
    timers = Timers(clock)
    timers.arm(1, 5)
    timers.arm(1, 50)
    clock.advance(5)
    assert (timers.due(), timers.next_due_s()) == ([], 45)


def test_disarmed_is_never_due(clock):
    timers = Timers(clock)
    timers.arm(1, 5)
    timers.disarm(1)
    clock.advance(9)
    assert (timers.due(), timers.next_due_s()) == ([], None)


def test_heap_does_not_grow_with_arming(clock):
    timers = Timers(clock)
    for _ in range(5000):
        timers.arm(1, 5)
    assert len(timers._heap) < 100


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 100), st.booleans()), max_size=60))
def test_each_is_due_once_at_its_last_time(steps):
    clock = FrozenClock()
    timers, expected = Timers(clock), {}
    for number, delay_s, is_armed in steps:
        if is_armed:
            timers.arm(number, delay_s)
            expected[number] = delay_s
        else:
            timers.disarm(number)
            expected.pop(number, None)
    seen = []
    while (left_s := timers.next_due_s()) is not None:
        clock.advance(left_s + 1e-6)
        seen += timers.due()
    assert sorted(seen) == sorted(expected)
