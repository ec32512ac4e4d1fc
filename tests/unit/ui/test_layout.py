from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.ui.components.dag.layout import Direction, Drawing, Size, lay_out

SIZE = Size(width=200, height=50, gap_along=60, gap_across=20)

CHAIN = {"b": ["a"], "c": ["b"], "d": ["c"]}
DIAMOND = {"left": ["top"], "right": ["top"], "bottom": ["left", "right"]}
SKIP = {"b": ["a"], "c": ["b"], "d": ["c", "a"]}


def draw(names: str | list[str], parents: dict[str, list[str]], direction: Direction = "LR") -> Drawing:
    return lay_out(names.split() if isinstance(names, str) else names, parents, SIZE, direction)


def random_graph(count: int, seed: int = 1) -> tuple[list[str], dict[str, list[str]]]:
    chance = random.Random(seed)
    names = [f"b{number}" for number in range(count)]
    parents = {
        names[number]: [
            names[chance.randrange(max(0, number - 20), number)] for _ in range(chance.choice([1, 1, 2, 3]))
        ]
        for number in range(1, count)
    }
    return names, parents


def overlaps(drawing: Drawing) -> list[tuple[str, str]]:
    return [
        (one, other)
        for one, other in combinations(drawing.nodes, 2)
        if abs(drawing.nodes[one][0] - drawing.nodes[other][0]) < SIZE.width
        and abs(drawing.nodes[one][1] - drawing.nodes[other][1]) < SIZE.height
    ]


def test_empty_pipeline_draws_nothing() -> None:
    assert draw([], {}) == Drawing({}, {})


def test_chain_is_one_straight_line() -> None:
    nodes = draw("a b c d", CHAIN).nodes
    assert [nodes[name] for name in "abcd"] == [(-390, 0), (-130, 0), (130, 0), (390, 0)]


def test_top_down_swaps_the_axes() -> None:
    nodes = draw("a b c d", CHAIN, "TB").nodes
    assert [nodes[name] for name in "abcd"] == [(0, -165), (0, -55), (0, 55), (0, 165)]


def test_diamond_is_symmetric() -> None:
    nodes = draw("top left right bottom", DIAMOND).nodes
    assert nodes["top"][1] == nodes["bottom"][1] == 0
    assert nodes["left"][1] == -nodes["right"][1] != 0


def test_long_edge_bends_around_blocks() -> None:
    drawing = draw("a b c d", SKIP)
    bends = drawing.bends["a", "d"]
    assert [x for x, _ in bends] == [drawing.nodes["b"][0], drawing.nodes["c"][0]]
    assert all(abs(y - drawing.nodes["b"][1]) >= SIZE.height / 2 for _, y in bends)


def test_lone_source_sits_next_to_its_child() -> None:
    nodes = draw("a b c late", {"b": ["a"], "c": ["b", "late"]}).nodes
    assert nodes["late"][0] == nodes["b"][0]


def test_crossing_is_avoided() -> None:
    nodes = draw("a b x y", {"x": ["b"], "y": ["a"]}).nodes
    assert (nodes["a"][1] < nodes["b"][1]) == (nodes["y"][1] < nodes["x"][1])


@pytest.mark.parametrize(
    ("names", "parents"),
    [
        ("a", {"a": ["a"]}),
        ("a b", {"a": ["b"], "b": ["a"]}),
        ("a b c d", {"b": ["a", "d"], "c": ["b"], "d": ["c"]}),
        ("a", {"a": ["gone"], "ghost": ["a"]}),
        ("a b", {"b": ["a", "a"]}),
    ],
)
def test_broken_graph_is_still_drawn(names: str, parents: dict[str, list[str]]) -> None:
    drawing = draw(names, parents)
    assert set(drawing.nodes) == set(names.split())
    assert overlaps(drawing) == []


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("count", [30, 200, 500])
def test_boxes_never_overlap(count: int, direction: Direction) -> None:
    names, parents = random_graph(count)
    assert overlaps(draw(names, parents, direction)) == []


def test_same_input_gives_same_drawing() -> None:
    names, parents = random_graph(120)
    shuffled = {child: list(reversed(parents[child])) for child in reversed(list(parents))}
    assert draw(names, parents) == draw(names, shuffled)


def test_parents_come_before_children() -> None:
    names, parents = random_graph(200)
    nodes = draw(names, parents).nodes
    assert all(nodes[parent][0] < nodes[child][0] for child, above in parents.items() for parent in above)


@pytest.mark.thorough
@given(
    st.integers(min_value=1, max_value=9).flatmap(
        lambda count: st.tuples(
            st.just(count), st.sets(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=25)
        )
    )
)
def test_any_graph_is_drawn_without_overlap(case: tuple[int, set[tuple[int, int]]]) -> None:
    count, edges = case
    names = [f"n{number}" for number in range(count)]
    parents = {name: [names[one] for one, other in sorted(edges) if names[other] == name] for name in names}
    drawing = draw(names, parents)
    assert set(drawing.nodes) == set(names)
    assert overlaps(drawing) == []
