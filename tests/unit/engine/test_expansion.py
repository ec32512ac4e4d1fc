"""Which children a block has that runs once per item, and what each takes of its parents."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.engine.active import bonds_of
from spellbook_core.engine.expansion import combine, rows_of, spread_over
from spellbook_core.model.block import Block
from spellbook_core.model.children import Over, Pick
from spellbook_core.runs.records import BlockSpec


def block(uuid: str, *parents: str, **configuration: object) -> Block:
    return Block(uuid=uuid, name=uuid, type="transformer", upstream_blocks=parents, configuration=configuration)


def over(*blocks: Block):
    by_name = {each.uuid: each for each in blocks}
    return spread_over(by_name, {each.uuid: each.upstream_blocks for each in blocks}, [each.uuid for each in blocks])


def sources(found):
    return {name: [entry.sources for entry in entries] for name, entries in found.items()}


def test_children_of_children_count_the_same_items():
    found = over(block("a", dynamic=True), block("b", "a"), block("c", "b"))
    assert sources(found) == {"b": [("a",)], "c": [("a",)]}
    assert [(entry.is_dynamic, entry.is_group) for entry in (*found["b"], *found["c"])] == [
        (True, False),
        (False, True),
    ]


def test_nested_dynamic_blocks_count_both():
    found = over(block("a", dynamic=True), block("b", "a", dynamic=True), block("c", "b"))
    assert sources(found)["c"] == [("a", "b")]


def test_reduced_output_stops_the_counting():
    assert sources(over(block("a", dynamic=True), block("b", "a", reduce_output=True), block("c", "b"))) == {
        "b": [("a",)]
    }
    assert over(block("a", dynamic=True, reduce_output=True), block("b", "a")) == {}


def test_child_beside_a_plain_parent_counts_the_dynamic_one_only():
    assert sources(over(block("a", dynamic=True), block("x"), block("b", "x", "a"))) == {"b": [("a",)]}


A, B = Over("a", ("a",), True, False), Over("b", ("b",), True, False)
LEFT, RIGHT = Over("left", ("a",), False, True), Over("right", ("a",), False, True)
NESTED = Over("inner", ("a", "inner"), True, True)


def test_items_of_two_blocks_are_combined_each_with_each():
    found = combine([(A, rows_of(A, items={"": 2})), (B, rows_of(B, items={"": 2}))])
    assert [child.name for child in found] == ["0:0", "0:1", "1:0", "1:1"]
    assert found[1].picks == {"a": Pick("", 0), "b": Pick("", 1)}


def test_children_of_one_block_meet_item_by_item():
    found = combine([(LEFT, rows_of(LEFT, children=["0", "1"])), (RIGHT, rows_of(RIGHT, children=["0", "1"]))])
    assert [child.name for child in found] == ["0", "1"]
    assert found[1].picks == {"left": Pick("1"), "right": Pick("1")}


def test_a_child_that_was_left_out_is_missed_by_who_needs_it():
    found = combine([(LEFT, rows_of(LEFT, children=["0", "2"])), (RIGHT, rows_of(RIGHT, children=["0", "1", "2"]))])
    assert [child.name for child in found] == ["0", "2"]


def test_items_of_children_are_named_by_both():
    found = combine([(NESTED, rows_of(NESTED, children=["0", "1", "2"], items={"0": 1, "2": 2}))])
    assert [(child.name, child.picks["inner"]) for child in found] == [
        ("0:0", Pick("0", 0)),
        ("2:0", Pick("2", 0)),
        ("2:1", Pick("2", 1)),
    ]


def test_order_is_by_number_not_by_text():
    found = combine([(A, rows_of(A, items={"": 12}))])
    assert [child.name for child in found] == [str(number) for number in range(12)]


@given(st.integers(0, 6), st.integers(0, 6), st.booleans())
def test_every_child_has_a_name_of_its_own_and_a_pick_of_each_parent(left, right, swapped):
    given_rows = [(A, rows_of(A, items={"": left})), (B, rows_of(B, items={"": right}))]
    given_rows.append((LEFT, rows_of(LEFT, children=[str(number) for number in range(left)])))
    found = combine(given_rows[::-1] if swapped else given_rows)
    assert len(found) == len({child.name for child in found}) == left * right
    for child in found:
        assert set(child.picks) == {"a", "b", "left"}
        assert child.picks["left"].child == str(child.picks["a"].item)


def test_block_grows_with_the_children_of_its_only_parent_and_of_no_other():
    """Met with another parent, the children of the last one above may be among the first: `0:2`, `1:0`, `1:2`."""
    inner = Over("inner", ("items", "inner"), is_dynamic=True, is_group=True)
    letters = Over("letters", ("letters",), is_dynamic=True, is_group=False)
    items = Over("items", ("items",), is_dynamic=True, is_group=False)
    above = {"items": BlockSpec(), "inner": BlockSpec(over=(items,))}
    for given_over, grows in (((inner,), True), ((letters, inner), False)):  # letters ran in an earlier run
        bonds = bonds_of({**above, "leaf": BlockSpec(over=given_over)})
        assert bonds.groups["leaf"].over == ("inner",)
        assert bonds.groups["leaf"].grows is grows
