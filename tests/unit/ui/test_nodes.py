from __future__ import annotations

import json

import pytest

from spellbook_core.ui.components.dag.layout import lay_out
from spellbook_core.ui.components.dag.nodes import DagIds, DagNode, Look, build_edges, build_nodes, shorten
from spellbook_core.ui.components.dag.palette import STATES, Colours

HOSTILE = '<img src=x onerror="window.top.__pwn=1">'
LOOK = Look(is_dark=False, primary="#c0392b")


def build(blocks: list[DagNode], parents: dict[str, list[str]], look: Look = LOOK, ids: DagIds | None = None):
    ids = ids or DagIds()
    drawing = lay_out([block.uuid for block in blocks], parents, look.size, "LR")
    nodes = [node.to_dict() for node in build_nodes(blocks, drawing, ids, look)]
    edges = [edge.to_dict() for edge in build_edges(blocks, parents, drawing, ids, look)]
    return nodes, edges


@pytest.mark.guarantee("N17")
def test_block_name_appears_in_the_label_only() -> None:
    blocks = [
        DagNode(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),
        DagNode("b", "b", "custom"),
        DagNode("c", "c", "custom"),
    ]
    nodes, edges = build(blocks, {"b": [HOSTILE], "c": [HOSTILE, "b"]})
    assert {node["title"] for node in nodes} == {""}
    assert all(node["div"] == {"innerHTML": ""} for node in nodes)
    assert all(node.get("font", {"multi": False})["multi"] is False for node in nodes)
    for node in nodes:
        node.pop("label")
    assert "img" not in json.dumps([nodes, edges])


def test_click_is_taken_once_and_its_repeat_too() -> None:
    ids = DagIds()
    box = ids.id_for("a")
    assert ids.take_click(f"{box}#f.1") == "a"
    assert ids.take_click(f"{box}#f.1") is None
    assert ids.take_click(f"{box}#f.2") == "a"
    assert ids.id_for("a") == box


@pytest.mark.parametrize("clicked", [None, "", "n0", "n0.zzzzzz#f.1", 5, {"a": 1}])
def test_unknown_click_is_ignored(clicked: object) -> None:
    ids = DagIds()
    ids.id_for("a")
    assert ids.take_click(clicked) is None


def test_click_of_another_session_is_ignored() -> None:
    one, other = DagIds(), DagIds()
    other.id_for("a")
    assert other.take_click(f"{one.id_for('a')}#f.1") is None


def test_state_is_told_in_words() -> None:
    blocks = [DagNode(state, "name", "transformer", state) for state in STATES]
    nodes, _ = build(blocks, {})
    for node, state in zip(nodes, STATES.values(), strict=True):
        assert f"{state.sign} {state.word}" in node["label"]
        assert ("transformer" in node["label"]) == (len(state.word) < 14), "a wider box would touch the one beside it"


def test_only_the_last_piece_of_a_long_edge_has_a_head() -> None:
    blocks = [DagNode(name, name, "custom") for name in "abcd"]
    nodes, edges = build(blocks, {"b": ["a"], "c": ["b"], "d": ["c", "a"]})
    ids = [node["id"] for node in nodes]
    assert len(ids) == len(set(ids)) == 6
    assert len({edge["id"] for edge in edges}) == len(edges) == 6
    assert sum(edge["arrows"]["to"]["enabled"] for edge in edges) == 4
    assert {edge["from"] for edge in edges} | {edge["to"] for edge in edges} == set(ids)


def test_selected_block_and_its_parents_are_marked() -> None:
    look = Look(is_dark=True, primary="#123456", selected="b", marked=frozenset({"a"}))
    blocks = [DagNode("a", "a", "data_loader", "fresh"), DagNode("b", "b", "custom"), DagNode("c", "c", "custom")]
    (a, b, c), edges = build(blocks, {"b": ["a"], "c": ["b"]}, look)
    assert (b["color"]["border"], b["borderWidth"]) == ("#123456", 3)
    assert a["color"]["border"] == "#123456"
    assert "→ parent" in a["label"]
    assert c["color"]["border"] != "#123456"
    assert [edge["color"]["color"] == "#123456" for edge in edges] == [True, False]


def test_large_graph_shows_sign_and_name() -> None:
    nodes, _ = build(
        [DagNode("a", "load", "data_loader", "failed", "12 s")], {}, Look(False, "#c0392b", is_compact=True)
    )
    assert nodes[0]["label"] == "✕ load"


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("short", 10, "short"),
        ("a\nb\tc", 10, "a b c"),
        ("exactly_10", 10, "exactly_10"),
        ("exactly_11x", 10, "exactly_1…"),
        ("한국어이름", 10, "한국어이름"),
        ("한국어이름들", 10, "한국어이…"),
        ("", 5, ""),
    ],
)
def test_long_label_is_cut_by_columns(text: str, columns: int, expected: str) -> None:
    assert shorten(text, columns) == expected


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("brightness", ["light", "dark"])
def test_text_reads_on_its_fill(state: str, brightness: str) -> None:
    colours: Colours = getattr(STATES[state], brightness)
    light, dark = sorted((luminance(colours.text), luminance(colours.fill)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
