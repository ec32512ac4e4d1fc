"""Conditions, callbacks and blocks that run once per item in the state machine: any order ends in a legal state."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from spellbook_core.engine import state
from spellbook_core.engine.state import BlockEnded, BlockExpanded, BlockStarted, Bonds, CancelRequested, Group
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


def test_groups_are_expanded_once_and_never_started():
    current = grown(end(spread_out(), "items"), 2)
    assert state.apply(current, BlockExpanded("each", (), {})) is current
    assert state.apply(current, BlockStarted("each")) is current
    assert state.apply(current, BlockEnded("each", Status.COMPLETED)) is current


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
            groups[name] = Group(over=tuple(p for p in above[:1] if p not in like), like=like)
            counts[name] = draw(st.integers(0, 3))
        elif draw(st.integers(0, 3)) == 0:
            parents[f"k@{name}"] = ()
            after[f"k@{name}"] = name
    return parents, Bonds(guards, after, groups), counts


def expand(current: state.RunState, block: str, counts: dict[str, int], callbacks: bool) -> state.RunState:
    group = current.bonds.groups[block]
    source = group.like[0] if group.like else None
    number = len(current.bonds.groups[source].members) if source else counts[block]
    members = tuple(f"{block}:{n}" for n in range(number))
    links, after = {}, {}
    for n, member in enumerate(members):
        others = tuple(parent for parent in current.parents[block] if parent != source)
        links[member] = (*others, f"{source}:{n}") if source else others
        if callbacks:
            links[f"k@{member}"] = ()
            after[f"k@{member}"] = member
    return state.apply(current, BlockExpanded(block, members, links, Bonds(after=after)))


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


@settings(max_examples=120, deadline=None)
@given(pipelines(), st.integers(1, 3), st.data())
def test_any_order_with_kinds_ends_legal(pipeline, limit, data):
    """Whatever ends when and how, and whenever groups grow: every run ends, within its limit, parents first."""
    parents, bonds, counts = pipeline
    current = state.begin(parents, bonds=bonds)
    started: set[str] = set()
    for _ in range(300):
        groups = state.expandable(current)
        if groups and data.draw(st.booleans()):
            before, current = current, expand(current, groups[0], counts, data.draw(st.booleans()))
            check(before, current)
            continue
        for block in state.ready(current, limit - len(current.running())):
            assert block not in started, "nothing runs twice"
            assert block not in current.bonds.groups
            started.add(block)
            before, current = current, state.apply(current, BlockStarted(block))
            check(before, current)
        assert len(current.running()) <= limit
        if state.outcome(current) is not None:
            break
        running = current.running()
        assert running or groups, "a run that has not ended must have something under way, or to grow"
        if not running:
            current = expand(current, groups[0], counts, callbacks=False)
            continue
        if not current.is_cancelling and data.draw(st.integers(0, 15)) == 15:
            event = CancelRequested()
        else:
            block = data.draw(st.sampled_from(running))
            ends = [*ENDS, Status.CONDITION_FAILED] if block in bonds.guards else ENDS
            event = BlockEnded(block, data.draw(st.sampled_from(ends)))
        before, current = current, state.apply(current, event)
        check(before, current)
    assert state.outcome(current) is not None
    assert all(status.is_terminal for status in current.statuses.values())
    for name, group in current.bonds.groups.items():
        found = {current.statuses[member] for member in group.members or ()}
        if current.statuses[name] is Status.COMPLETED:
            assert found <= {Status.COMPLETED, Status.CONDITION_FAILED}


@settings(max_examples=80, deadline=None)
@given(pipelines(), st.data())
def test_restored_state_goes_on_where_it_was(pipeline, data):
    """What is stored, statuses and children, is enough: a state made of it allows the same next steps."""
    parents, bonds, counts = pipeline
    current = state.begin(parents, bonds=bonds)
    for _ in range(data.draw(st.integers(0, 25))):
        groups = state.expandable(current)
        if groups:
            current = expand(current, groups[0], counts, callbacks=False)
        else:
            for block in state.ready(current, 1):
                current = state.apply(current, BlockStarted(block))
            running = current.running()
            if not running:
                break
            current = state.apply(current, BlockEnded(running[0], data.draw(st.sampled_from(ENDS))))
    again = state.begin(current.parents, current.statuses, current.bonds)
    assert dict(again.statuses) == dict(current.statuses)
    assert state.ready(again, 99) == state.ready(current, 99)
    assert state.expandable(again) == state.expandable(current)
    assert state.outcome(again) is state.outcome(current)
