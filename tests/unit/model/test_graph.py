"""Orders, cycles and layers of small graphs, as data; and of large ones quickly."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.model.graph import CycleError, children_of, find_cycle, layers, reachable, topological_order

DIAMOND = {"d": ("b", "c"), "b": ("a",), "c": ("a",), "a": ()}


def test_parents_come_before_children():
    assert topological_order(DIAMOND) == ["a", "b", "c", "d"]
    assert layers(DIAMOND) == [["a"], ["b", "c"], ["d"]]
    assert children_of(DIAMOND)["a"] == ("b", "c")
    assert reachable(DIAMOND, ["d"]) == {"a", "b", "c"}


def test_unknown_parents_are_skipped():
    assert topological_order({"a": ("gone",)}) == ["a"]


@pytest.mark.parametrize(
    ("parents", "path"),
    [
        ({"a": ("a",)}, "a → a"),
        ({"a": ("b",), "b": ("a",)}, "a → b → a"),
        ({"x": (), "a": ("x", "c"), "b": ("a",), "c": ("b",)}, "a → b → c → a"),
    ],
)
def test_cycle_names_its_path(parents, path):
    with pytest.raises(CycleError, match=path):
        topological_order(parents)


def test_deep_chain_needs_no_recursion():
    chain = {str(n): (str(n - 1),) if n else () for n in range(20_000)}
    assert len(topological_order(chain)) == 20_000
    assert find_cycle(chain) is None


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3).map(tuple)))
def test_order_exists_exactly_without_cycle(parents):
    cycle = find_cycle(parents)
    if cycle is None:
        order = topological_order(parents)
        assert all(order.index(p) < order.index(c) for c in parents for p in parents[c] if p in parents)
    else:
        assert cycle[0] == cycle[-1]
        assert all(before in parents[after] for before, after in itertools.pairwise(cycle))
