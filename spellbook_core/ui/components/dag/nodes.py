"""The only place that makes nodes and edges for streamlit-agraph's front end, because that front end is unsafe.

It assigns a node's `title` to innerHTML (script in it runs and reaches our page) and opens it as an address on a double
click; without a title, `Node` copies its id there. So: ids are made here and say nothing, the title is always empty,
`div` is a plain object that a double-click handler finds empty, and labels are plain text, never `multi`.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from streamlit_agraph import Edge, Node

from spellbook_core.ui.components.dag.layout import Drawing, Point, Size
from spellbook_core.ui.components.dag.palette import STATES, TYPES, Colours, State

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Noto Sans KR', 'Noto Sans CJK KR', sans-serif"
_LINE_COLUMNS = 26
"""Letters of state and type for which a box has room; more would widen it and let it touch the one beside it."""

COMPACT_ABOVE = 100
"""Blocks above which boxes show only the sign of the state and the name."""


@dataclass(frozen=True, slots=True)
class DagNode:
    """A block as the graph shows it.

    Attributes:
        uuid: The block's uuid; never reaches the browser.
        label: Its name.
        block_type: mage's block type.
        state: never_run, fresh, stale, queued, running, failed, skipped, or a status of a block run.
        sublabel: A further line, such as rows and columns.
    """

    uuid: str
    label: str
    block_type: str
    state: str = "never_run"
    sublabel: str = ""


@dataclass(slots=True)
class DagIds:
    """The opaque ids of one graph in one session, and which of its clicks was taken last."""

    session: str = field(default_factory=lambda: secrets.token_hex(3))
    numbers: dict[str, int] = field(default_factory=dict)
    taken: str = ""

    def id_for(self, uuid: str) -> str:
        """Return the block's id."""
        return f"n{self.numbers.setdefault(uuid, len(self.numbers))}.{self.session}"

    def take_click(self, clicked: object) -> str | None:
        """Return the block that was clicked; None for an unknown id, or a click that was taken already.

        Args:
            clicked: `<id>#<which click>`, as our page tells it; anything else is no click.
        """
        if not isinstance(clicked, str) or clicked == self.taken:
            return None
        name, _, count = clicked.partition("#")
        found = next((uuid for uuid in self.numbers if count and self.id_for(uuid) == name), None)
        if found is not None:
            self.taken = clicked
        return found


@dataclass(frozen=True, slots=True)
class Look:
    """How a graph is drawn.

    Attributes:
        is_dark: Of the page.
        primary: The theme's primary colour, `#rrggbb`.
        selected: The block with the primary border.
        marked: Blocks marked as parents of the selected one while links are edited.
        is_compact: Name and sign only.
        has_sublabels: Boxes have room for a third line.
    """

    is_dark: bool
    primary: str
    selected: str | None = None
    marked: frozenset[str] = frozenset()
    is_compact: bool = False
    has_sublabels: bool = False

    @property
    def font_px(self) -> int:
        """The height of the letters at full size."""
        return 12 if self.is_compact else 13

    @property
    def size(self) -> Size:
        """The size of every box, and the room between boxes."""
        if self.is_compact:
            return Size(width=164, height=30, gap_along=46, gap_across=14)
        return Size(width=208, height=62 if self.has_sublabels else 48, gap_along=60, gap_across=26)


def build_nodes(blocks: Sequence[DagNode], drawing: Drawing, ids: DagIds, look: Look) -> list[Node]:
    """Return the boxes of the blocks, and the invisible points that long edges run through."""
    boxes = [_box(block, drawing.nodes[block.uuid], ids, look) for block in blocks]
    bends = [
        _node(_bend_id(edge, number, ids), x=x, y=y, shape="dot", size=0, label="", color="rgba(0,0,0,0)", chosen=False)
        for edge, points in drawing.bends.items()
        for number, (x, y) in enumerate(points)
    ]
    return [*boxes, *bends]


def build_edges(
    blocks: Sequence[DagNode], parents: Mapping[str, Sequence[str]], drawing: Drawing, ids: DagIds, look: Look
) -> list[Edge]:
    """Return the arrows from parents to children; only the last piece of a long one carries the head."""
    known = {block.uuid for block in blocks}
    edges: list[Edge] = []
    for block in blocks:
        for parent in dict.fromkeys(parents.get(block.uuid, ())):
            if parent not in known or parent == block.uuid:
                continue
            bends = [
                _bend_id((parent, block.uuid), n, ids) for n in range(len(drawing.bends.get((parent, block.uuid), ())))
            ]
            stops = [ids.id_for(parent), *bends, ids.id_for(block.uuid)]
            is_marked = block.uuid == look.selected and parent in look.marked
            for number, (start, end) in enumerate(pairwise(stops)):
                edges.append(_edge(start, end, is_last=number == len(stops) - 2, is_marked=is_marked, look=look))
    return edges


def _box(block: DagNode, point: Point, ids: DagIds, look: Look) -> Node:
    state = STATES.get(block.state, STATES["never_run"])
    colours = state.dark if look.is_dark else state.light
    is_selected, is_marked = block.uuid == look.selected, block.uuid in look.marked
    border = look.primary if is_selected or is_marked else colours.border
    size = look.size
    block_type = TYPES.get(block.block_type, TYPES["custom"])
    text = {"background": colours.fill, "border": border}
    return _node(
        ids.id_for(block.uuid),
        x=point[0],
        y=point[1],
        shape="box",
        label=_label(block, state, block_type.word, is_marked=is_marked, look=look),
        color={**text, "highlight": text, "hover": {**text, "border": look.primary}},
        borderWidth=3 if is_selected else 2 if is_marked else 1,
        borderWidthSelected=3 if is_selected else 2,
        font=_font(colours, look),
        margin={"top": 6, "bottom": 6, "left": 12, "right": 8} if look.is_compact else 10,
        widthConstraint={"minimum": size.width - 20},
        heightConstraint={"minimum": size.height - 12},
        shapeProperties={"borderRadius": 8, "borderDashes": [6, 4] if is_marked else False},
        # A shadow without blur, moved to the left, is the coloured strip of the block's type.
        shadow={"enabled": True, "color": block_type.hue, "size": 0, "x": -3 if look.is_compact else -5, "y": 0},
    )


def _label(block: DagNode, state: State, type_word: str, *, is_marked: bool, look: Look) -> str:
    if look.is_compact:
        return f"{state.sign} {shorten(block.label, 18)}"
    lines = [shorten(block.label, 24), f"→ parent · {type_word}" if is_marked else f"{state.sign} {state.word}"]
    if not is_marked and len(lines[1]) + len(type_word) <= _LINE_COLUMNS:
        lines[1] += f" · {type_word}"  # its strip tells the type too
    if block.sublabel:
        lines.append(shorten(block.sublabel, 26))
    return "\n".join(lines)


def _font(colours: Colours, look: Look) -> dict[str, object]:
    return {"face": FONT, "size": look.font_px, "color": colours.text, "align": "left", "multi": False}


def _node(node_id: str, **options: object) -> Node:
    node = Node(id=node_id, **options)
    node.title = ""
    node.div = {"innerHTML": ""}
    return node


def _edge(start: str, end: str, *, is_last: bool, is_marked: bool, look: Look) -> Edge:
    colour = look.primary if is_marked else ("#7d8797" if look.is_dark else "#94a3b8")
    return Edge(
        source=start,
        target=end,
        id=f"{start}>{end}",
        color={"color": colour, "highlight": colour, "hover": colour, "inherit": False},
        width=2 if is_marked else 1.5,
        arrows={"to": {"enabled": is_last, "scaleFactor": 0.7}},
        chosen=False,
    )


def _bend_id(edge: tuple[str, str], number: int, ids: DagIds) -> str:
    return f"b{number}:{ids.id_for(edge[0])}>{ids.id_for(edge[1])}"


def shorten(text: str, columns: int) -> str:
    """Return the text in one line of at most `columns` columns, cut with an ellipsis; wide characters count as two."""
    flat = " ".join(text.split())
    used = 0
    for position, character in enumerate(flat):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > columns:
            return flat[: max(position - 1, 1)].rstrip() + "…"
    return flat
