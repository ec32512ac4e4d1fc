from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spellbook_core.engine.admission import Admission, Claim


def served(claims, offers, limit):
    """Return the blocks that start, in order, when every run offers what `offers` says."""
    admission = Admission(limit)
    for run, claim in claims.items():
        admission.enter(run, claim)
    for run, ready in offers.items():
        admission.offer(run, ready)
    return admission, admission.take()


def test_older_run_goes_first():
    _, taken = served({2: Claim("p", "x"), 1: Claim("p", "x")}, {2: ["a"], 1: ["a", "b"]}, 2)
    assert taken == [(1, "a"), (1, "b")]


def test_higher_priority_goes_first():
    _, taken = served({1: Claim("p", "x"), 2: Claim("p", "x", priority=5)}, {1: ["a"], 2: ["a"]}, 1)
    assert taken == [(2, "a")]


def test_awaited_run_goes_before_its_priority():
    claims = {1: Claim("p", "x"), 2: Claim("p", "x", is_awaited=True), 3: Claim("p", "x", priority=1)}
    _, taken = served(claims, {1: ["a"], 2: ["a"], 3: ["a"]}, 2)
    assert taken == [(3, "a"), (2, "a")]


def test_limit_of_a_run_lets_others_pass():
    admission, taken = served({1: Claim("p", "x", limit=1), 2: Claim("p", "y")}, {1: ["a", "b"], 2: ["c"]}, 8)
    assert taken == [(1, "a"), (2, "c")]
    assert admission.waits_for(1) == "a free place: limit 1 of pipeline x"
    assert admission.waits_for(2) is None
    admission.ended(1)
    assert admission.take() == [(1, "b")]


def test_limit_of_a_project_lets_others_pass():
    claims = {1: Claim("p", "x", project_limit=1), 2: Claim("p", "x", project_limit=1), 3: Claim("q", "z")}
    admission, taken = served(claims, {1: ["a"], 2: ["a"], 3: ["a"]}, 8)
    assert taken == [(1, "a"), (3, "a")]
    assert admission.waits_for(2) == "a free place: limit 1 of project p"


def test_blocks_taken_over_hold_places():
    admission = Admission(2)
    admission.enter(1, Claim("p", "x"), running=2)
    admission.enter(2, Claim("p", "x"))
    admission.offer(2, ["a"])
    assert admission.take() == []
    assert admission.waits_for(2) == "a free place: limit 2 of the engine"
    admission.leave(1)
    assert admission.take() == [(2, "a")]


def test_given_back_blocks_start_again_in_order():
    admission, taken = served({1: Claim("p", "x")}, {1: ["a", "b", "c"]}, 2)
    admission.give_back(taken)
    assert admission.take() == [(1, "a"), (1, "b")]


class Model:
    """The same rules, written the slow and plain way."""

    def __init__(self, limit):
        self.limit, self.claims, self.ready, self.running, self.since = limit, {}, {}, {}, {}
        self.given = 0
        self.given_in = {"p": 0, "q": 0}

    def may(self, run):
        claim = self.claims[run]
        inside = sum(count for other, count in self.running.items() if self.claims[other].project == claim.project)
        return (
            self.ready[run]
            and sum(self.running.values()) < self.limit
            and (claim.limit is None or self.running[run] < claim.limit)
            and (claim.project_limit is None or inside < claim.project_limit)
        )

    def take(self):
        taken = []
        while True:
            free = [run for run in self.claims if self.may(run)]
            if not free:
                return taken
            order = {run: (-self.claims[run].priority, not self.claims[run].is_awaited, run) for run in free}
            run = min(free, key=order.__getitem__)
            inside = [other for other in free if self.claims[other].project == self.claims[run].project]
            if self.given % 10 == 9:
                run = min(free, key=lambda other: (self.since[other], order[other]))
            elif self.given_in[self.claims[run].project] % 10 == 9:
                run = min(inside, key=lambda other: (self.since[other], order[other]))
            taken.append((run, self.ready[run].pop(0)))
            self.running[run] += 1
            self.given += 1
            self.given_in[self.claims[run].project] += 1
            self.since[run] = self.given


LIMIT = st.one_of(st.none(), st.integers(1, 3))
PROJECT_LIMITS = {"p": 2, "q": None}
RUNS = st.lists(
    st.tuples(st.sampled_from("pq"), st.integers(-1, 1), st.booleans(), LIMIT, st.integers(0, 15)),
    min_size=1,
    max_size=6,
)
MOVES = st.lists(st.tuples(st.sampled_from(["end", "leave", "offer", "give"]), st.integers(0, 5)), max_size=40)


@pytest.mark.thorough
@settings(max_examples=max(300, settings.default.max_examples))
@given(runs=RUNS, moves=MOVES, limit=st.integers(1, 5))
def test_any_course_of_events_keeps_limits_and_order(runs, moves, limit):
    """No limit is exceeded, nothing waits while a place is free that it may take, and the order holds."""
    admission, model = Admission(limit), Model(limit)
    for number, (project, priority, is_awaited, own, count) in enumerate(runs):
        claim = Claim(project, "x", priority, is_awaited, own, PROJECT_LIMITS[project])
        admission.enter(number, claim)
        model.claims[number], model.running[number], model.since[number] = claim, 0, 0
        model.ready[number] = [f"b{index}" for index in range(count)]
        admission.offer(number, model.ready[number])
    for move, number in [("start", 0), *moves]:
        run = number % len(runs)
        known = run in model.claims
        if move == "end" and known and model.running[run]:
            admission.ended(run)
            model.running[run] -= 1
        elif move == "leave" and known:
            admission.leave(run)
            del model.claims[run], model.running[run], model.ready[run]
        elif move == "offer" and known:
            model.ready[run] = [*model.ready[run], f"n{number}"]
            admission.offer(run, model.ready[run])
        if move == "give":
            taken = admission.take()
            assert taken == model.take()
            admission.give_back(taken)
            for run, block in reversed(taken):
                model.ready[run].insert(0, block)
                model.running[run] -= 1
        assert admission.take() == model.take()
        for waiting in model.claims:
            assert (admission.waits_for(waiting) is None) == (not model.ready[waiting])


@pytest.mark.thorough
@settings(max_examples=25)
@given(
    claims=st.lists(
        st.tuples(st.sampled_from("pq"), st.integers(-100, 100), st.booleans(), LIMIT), min_size=2, max_size=4
    ),
    limit=st.integers(1, 4),
    ends=st.randoms(use_true_random=False),
)
def test_nobody_waits_for_ever(claims, limit, ends):
    """While every run always has something to start, each gets a place within a known number of places."""
    admission, most = Admission(limit), 100 * len(claims) ** 2
    many = [f"b{number}" for number in range(most + 50)]
    for run, (project, priority, is_awaited, own) in enumerate(claims):
        admission.enter(run, Claim(project, "x", priority, is_awaited, own, PROJECT_LIMITS[project]))
        admission.offer(run, many)
    going, given, last = [], 0, dict.fromkeys(range(len(claims)), 0)
    while given <= most + 40:
        for run, _ in admission.take():
            going.append(run)
            given += 1
            last[run] = given
        assert going, "a place is free and nobody takes it"
        assert all(given - seen <= most for seen in last.values()), (last, given)
        admission.ended(going.pop(ends.randrange(len(going))))


def test_each_tenth_place_goes_to_who_waited_longest():
    claims = {1: Claim("p", "x", priority=-5), 2: Claim("p", "x", priority=5)}
    offers = {1: [f"low{n}" for n in range(5)], 2: [f"high{n}" for n in range(40)]}
    _, taken = served(claims, offers, 30)
    assert [number for number, (run, _) in enumerate(taken, start=1) if run == 1] == [10, 20, 30]


def test_every_block_of_a_long_queue_gets_its_turn():
    """1,000 blocks of 100 runs on 8 places: each starts once, and serving them is no square of their number."""
    admission = Admission(8)
    for run in range(1, 101):
        admission.enter(run, Claim("p", "x", limit=5))
        admission.offer(run, [f"b{index}" for index in range(10)])
    begun = time.process_time()
    going, seen = admission.take(), []
    while going:
        run, block = going.pop(0)
        seen.append((run, block))
        admission.ended(run)
        going += admission.take()
    assert len(seen) == len(set(seen)) == 1000
    assert time.process_time() - begun < 0.5
