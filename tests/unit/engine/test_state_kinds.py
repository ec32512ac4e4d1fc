"""Conditions, callbacks and blocks that run once per item in the state machine: any order ends in a legal state."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spellbook_core.engine import state
from spellbook_core.engine.groups import Bonds, Group, leading
from spellbook_core.engine.state import (
    BlockDue,
    BlockEnded,
    BlockExpanded,
    BlockPostponed,
    BlockStarted,
    CancelRequested,
)
from spellbook_core.model.run import Status

ENDS = [Status.COMPLETED, Status.COMPLETED, Status.COMPLETED, Status.FAILED, Status.CANCELLED]


def guarded() -> state.RunState:
    parents = {"load": (), "is_big@clean": ("load",), "clean": ("load", "is_big@clean"), "train": ("clean",)}
    return state.begin({**parents, "tell@clean": ()}, bonds=Bonds({"is_big@clean": "clean"}, {"tell@clean": "clean"}))


def end(current: state.RunState, block: str, status: Status = Status.COMPLETED) -> state.RunState:
    current = state.apply(current, BlockStarted(block))
    assert current.statuses[block] is Status.RUNNING
    return state.apply(current, BlockEnded(block, status))


def test_false_condition_closes_what_it_guards_and_all_below():
    current = end(end(guarded(), "load"), "is_big@clean", Status.CONDITION_FAILED)
    assert [current.statuses[name].value for name in ("clean", "train", "tell@clean")] == ["condition_failed"] * 3
    assert state.outcome(current) is Status.COMPLETED


def test_failed_condition_fails_what_it_guards_and_its_callback_is_called():
    current = end(end(guarded(), "load"), "is_big@clean", Status.FAILED)
    assert current.statuses["clean"] is Status.FAILED
    assert current.statuses["train"] is Status.UPSTREAM_FAILED
    assert state.ready(current, 8) == ["tell@clean"]
    assert state.outcome(current) is None
    assert state.outcome(end(current, "tell@clean", Status.FAILED)) is Status.FAILED


def test_callback_that_fails_leaves_the_run_completed():
    current = guarded()
    for block in ("load", "is_big@clean", "clean"):
        current = end(current, block)
    assert state.ready(current, 8) == ["train", "tell@clean"]
    assert state.outcome(end(end(current, "train"), "tell@clean", Status.FAILED)) is Status.COMPLETED


def test_cancel_still_calls_the_callbacks_of_what_runs():
    current = state.apply(end(end(guarded(), "load"), "is_big@clean"), BlockStarted("clean"))
    current = state.apply(current, CancelRequested())
    assert state.ready(current, 8) == []
    current = state.apply(current, BlockEnded("clean", Status.CANCELLED))
    assert state.ready(current, 8) == ["tell@clean"]
    assert state.outcome(end(current, "tell@clean")) is Status.CANCELLED


def test_cancel_silences_the_callbacks_of_what_never_began():
    current = state.apply(guarded(), CancelRequested())
    assert state.outcome(current) is Status.CANCELLED


def spread_out() -> state.RunState:
    parents = {"items": (), "each": ("items",), "then": ("each",), "all": ("then",)}
    groups = {"each": Group(over=("items",)), "then": Group(like=("each",))}
    return state.begin(parents, bonds=Bonds(groups=groups))


def grown(current: state.RunState, count: int) -> state.RunState:
    for block, before in (("each", "items"), ("then", "each")):
        assert state.expandable(current) == [block]
        members = tuple(f"{block}:{n}" for n in range(count))
        links = {f"{block}:{n}": (before if before == "items" else f"{before}:{n}",) for n in range(count)}
        current = state.apply(current, BlockExpanded(block, members, links))
    return current


def test_children_follow_one_by_one_and_the_next_block_waits_for_all():
    current = grown(end(spread_out(), "items"), 2)
    assert state.ready(current, 8) == ["each:0", "each:1"]
    current = end(current, "each:1")
    assert state.ready(current, 8) == ["each:0", "then:1"]
    for block in ("then:1", "each:0", "then:0"):
        assert "all" not in state.ready(current, 8)
        current = end(current, block)
    assert current.statuses["each"] is current.statuses["then"] is Status.COMPLETED
    assert state.ready(current, 8) == ["all"]


def test_no_items_completes_the_groups_at_once():
    current = grown(end(spread_out(), "items"), 0)
    assert current.statuses["then"] is Status.COMPLETED
    assert state.ready(current, 8) == ["all"]


@pytest.mark.parametrize(
    ("status", "ends"),
    [
        (Status.COMPLETED, Status.COMPLETED),
        (Status.FAILED, Status.UPSTREAM_FAILED),
        (Status.CANCELLED, Status.CANCELLED),
    ],
)
def test_group_without_items_waits_for_its_other_parents(status, ends):
    parents = {"items": (), "slow": (), "each": ("items", "slow"), "all": ("each",)}
    current = state.begin(parents, bonds=Bonds(groups={"each": Group(over=("items",))}))
    current = state.apply(end(current, "items"), BlockStarted("slow"))
    current = state.apply(current, BlockExpanded("each", (), {}))
    assert current.statuses["each"] is Status.RUNNING
    assert state.ready(current, 8) == [], "what is below it runs after all that is above it"
    current = restarted(state.apply(current, BlockEnded("slow", status)))
    assert current.statuses["each"] is ends
    assert state.ready(current, 8) == (["all"] if ends is Status.COMPLETED else [])


def test_groups_are_expanded_once_and_never_started():
    current = grown(end(spread_out(), "items"), 2)
    assert state.apply(current, BlockExpanded("each", (), {})) is current
    assert state.apply(current, BlockStarted("each")) is current
    for event in (BlockEnded("each", Status.COMPLETED), BlockPostponed("each")):
        assert state.apply(current, event) is current


def nested() -> state.RunState:
    parents = {"items": (), "each": ("items",), "deep": ("each",), "all": ("deep",)}
    groups = {"each": Group(over=("items",)), "deep": Group(over=("each",), grows=True)}
    current = end(state.begin(parents, bonds=Bonds(groups=groups)), "items")
    links = {f"each:{n}": ("items",) for n in range(3)}
    return state.apply(current, BlockExpanded("each", tuple(links), links))


def deeper(current: state.RunState, *names: str) -> state.RunState:
    """Have `deep` grow by children of these names."""
    known = current.bonds.groups["deep"].members or ()
    links = {f"deep:{name}": (f"each:{name[0]}",) for name in names}
    return state.apply(current, BlockExpanded("deep", (*known, *links), links))


def test_nested_group_grows_with_the_leading_children_of_the_one_above():
    current = end(nested(), "each:1")
    assert state.expandable(current) == [], "how many come before those of each:1 is not known"
    current = end(current, "each:0")
    assert state.expandable(current) == ["deep"]
    current = deeper(current, "0:0", "1:0", "1:1")
    assert state.expandable(current) == []
    assert state.ready(current, 8) == ["each:2", "deep:0:0", "deep:1:0", "deep:1:1"]
    for block in ("deep:0:0", "deep:1:0", "deep:1:1"):
        current = end(current, block)
    assert current.statuses["deep"] is Status.RUNNING, "more may come"
    current = deeper(end(current, "each:2"), "2:0")
    assert list(current.statuses)[-3:] == ["deep:1:1", "deep:2:0", "all"]
    assert state.ready(end(current, "deep:2:0"), 8) == ["all"]


def test_nested_group_ends_when_no_more_can_come():
    for status, ends in (
        (Status.FAILED, Status.UPSTREAM_FAILED),
        (Status.CANCELLED, Status.CANCELLED),
        (Status.CONDITION_FAILED, Status.COMPLETED),
    ):
        current = deeper(end(nested(), "each:0"), "0:0")
        current = state.apply(state.apply(current, BlockStarted("deep:0:0")), BlockStarted("each:1"))
        current = end(state.apply(current, BlockEnded("each:1", status)), "each:2")
        if ends is Status.COMPLETED:
            current = deeper(current)
        assert state.expandable(current) == []
        assert current.statuses["deep"] is Status.RUNNING
        current = state.apply(current, BlockEnded("deep:0:0", Status.COMPLETED))
        assert current.statuses["deep"] is ends


def test_nested_group_of_a_cancelled_run_grows_no_more():
    current = deeper(end(nested(), "each:0"), "0:0")
    current = state.apply(state.apply(current, BlockStarted("each:1")), CancelRequested())
    current = state.apply(current, BlockEnded("each:1", Status.COMPLETED))
    assert state.expandable(current) == []
    assert state.outcome(current) is Status.CANCELLED


@st.composite
def pipelines(draw):
    """A graph of plain blocks and groups, some guarded, some with a callback; and how many children a group gets."""
    size = draw(st.integers(2, 6))
    names = [f"b{n}" for n in range(size)]
    parents: dict[str, tuple[str, ...]] = {}
    guards, after, groups, counts = {}, {}, {}, {}
    for number, name in enumerate(names):
        above = tuple(draw(st.lists(st.sampled_from(names[:number]), unique=True))) if number else ()
        is_group = bool(above) and draw(st.booleans())
        conditions = ()
        if not is_group and draw(st.integers(0, 3)) == 0:
            conditions = (f"q@{name}",)
            parents[conditions[0]] = above
            guards[conditions[0]] = name
        parents[name] = (*above, *conditions)
        if is_group:
            like = tuple(p for p in above[:1] if p in groups and draw(st.booleans()))
            groups[name] = Group(tuple(p for p in above[:1] if p not in like), like, draw(st.booleans()))
            counts[name] = draw(st.integers(0, 3))
        elif draw(st.integers(0, 3)) == 0:
            parents[f"k@{name}"] = ()
            after[f"k@{name}"] = name
    return parents, Bonds(guards, after, groups), counts


def expand(current: state.RunState, block: str, counts: dict[str, int], add_on: str) -> state.RunState:
    """Have a group grow; its children get a callback each, or a condition each, or neither.

    One that grows with the leading children of another gets one more, which waits for the last of these.
    """
    group = current.bonds.groups[block]
    source = group.like[0] if group.like else None
    number = len(current.bonds.groups[source].members) if source else counts[block]
    above = {}
    if group.over and current.statuses[group.over[0]] is Status.RUNNING:
        number = min(number, len(group.members or ()) + 1)
        above = {group.over[0]: leading(group.over[0], current.bonds, current.statuses)[-1]}
    members = tuple(f"{block}:{n}" for n in range(number))
    links, after, guards = {}, {}, {}
    for n, member in list(enumerate(members))[len(group.members or ()) :]:
        others = tuple(above.get(parent, parent) for parent in current.parents[block] if parent != source)
        links[member] = (*others, f"{source}:{n}") if source else others
        if add_on == "callbacks":
            links[f"k@{member}"] = ()
            after[f"k@{member}"] = member
        if add_on == "conditions":
            links[f"q@{member}"] = links[member]
            links[member] = (*links[member], f"q@{member}")
            guards[f"q@{member}"] = member
    return state.apply(current, BlockExpanded(block, members, links, Bonds(guards, after)))


def check(before: state.RunState, current: state.RunState) -> None:
    """No ended block changes, and nothing starts before what it waits for."""
    for name, status in before.statuses.items():
        if status.is_terminal:
            assert current.statuses[name] is status
        began = status is not Status.RUNNING and current.statuses[name] is Status.RUNNING
        if began and name in current.bonds.after:
            assert before.statuses[current.bonds.after[name]].is_terminal
        elif began and name not in current.bonds.groups:
            assert all(before.statuses[parent] is Status.COMPLETED for parent in before.parents[name])


@pytest.mark.thorough
@settings(max_examples=max(150, settings.default.max_examples))
@given(pipelines(), st.integers(1, 3), st.data())
def test_any_order_with_kinds_ends_legal(pipeline, limit, data):
    """Whatever ends, waits, grows, is cancelled or restarted: every run ends, within its limit, parents first,
    and each attempt is made once."""
    parents, bonds, counts = pipeline
    current = state.begin(parents, bonds=bonds)
    started: Counter[str] = Counter()
    postponed: Counter[str] = Counter()
    for _ in range(400):
        before = current
        groups = state.expandable(current)
        if groups and data.draw(st.booleans()):
            current = expand(current, groups[0], counts, data.draw(st.sampled_from(["", "callbacks", "conditions"])))
            check(before, current)
            continue
        for block in state.ready(current, limit - len(current.running())):
            started[block] += 1
            assert started[block] == 1 + postponed[block], "nothing runs twice"
            assert block not in current.bonds.groups
            before, current = current, state.apply(current, BlockStarted(block))
            check(before, current)
        assert len(current.running()) <= limit
        if state.outcome(current) is not None:
            break
        running, waiting = current.running(), sorted(current.waiting)
        assert running or waiting or groups, "a run that has not ended has something under way, waiting or to grow"
        before = current
        what = data.draw(st.sampled_from([*["end"] * 6, "postpone", "due", "restart", "cancel", "stray"]))
        if what == "restart":
            current = restarted(current)
        elif what == "cancel" and data.draw(st.integers(0, 3)) == 3:
            current = state.apply(current, CancelRequested())
        elif what == "stray":
            name = data.draw(st.sampled_from(sorted(current.statuses)))
            if current.statuses[name] is not Status.RUNNING or name in current.bonds.groups:
                for event in (BlockEnded(name, Status.FAILED), BlockPostponed(name)):
                    assert state.apply(current, event) is current, "an event that does not fit changes nothing"
        elif waiting and (what == "due" or not running):
            current = state.apply(current, BlockDue(data.draw(st.sampled_from(waiting))))
        elif running and what == "postpone" and sum(postponed.values()) < 20:
            block = data.draw(st.sampled_from(running))
            postponed[block] += 1
            current = state.apply(current, BlockPostponed(block))
        elif running:
            block = data.draw(st.sampled_from(running))
            ends = [*ENDS, Status.CONDITION_FAILED] if block in current.bonds.guards else ENDS
            current = state.apply(current, BlockEnded(block, data.draw(st.sampled_from(ends))))
        elif groups:
            current = expand(current, groups[0], counts, "")
        check(before, current)
        assert not (current.is_cancelling and set(current.running()) - set(before.running())), "a cancel starts nothing"
    assert state.outcome(current) is not None
    assert all(status.is_terminal for status in current.statuses.values())
    check_end(current)


def check_end(current: state.RunState) -> None:
    """The run is as its blocks are, and each block as what it depends on."""
    plain = {current.statuses[name] for name in current.statuses if name not in current.bonds.after}
    outcome = state.outcome(current)
    assert (outcome is Status.COMPLETED) <= (plain <= {Status.COMPLETED, Status.CONDITION_FAILED})
    assert (plain == {Status.COMPLETED}) <= (outcome is Status.COMPLETED)
    for name, group in current.bonds.groups.items():
        found = {current.statuses[member] for member in group.members or ()}
        if current.statuses[name] is Status.COMPLETED:
            assert found <= {Status.COMPLETED, Status.CONDITION_FAILED}
            assert all(current.statuses[parent] is Status.COMPLETED for parent in group.over)
    for name, status in current.statuses.items():
        if status is Status.COMPLETED and name not in current.bonds.groups and name not in current.bonds.after:
            assert all(current.statuses[parent] is Status.COMPLETED for parent in current.parents[name])
        guarded = current.bonds.guards.get(name)
        if guarded is not None and status in {Status.FAILED, Status.CONDITION_FAILED}:
            assert current.statuses[guarded] is not Status.COMPLETED, "what a condition holds back did not run"


def restarted(current: state.RunState) -> state.RunState:
    """What is stored is enough: a state made of it is the same, also one that is being cancelled."""
    again = replace(state.begin(current.parents, current.statuses, current.bonds), waiting=current.waiting)
    if current.is_cancelling:
        again = state.apply(again, CancelRequested())
    assert dict(again.statuses) == dict(current.statuses)
    assert state.ready(again, 99) == state.ready(current, 99)
    assert state.expandable(again) == state.expandable(current)
    assert state.outcome(again) is state.outcome(current)
    return again
