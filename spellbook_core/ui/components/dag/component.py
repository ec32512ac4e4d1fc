"""The graph of a pipeline, drawn by streamlit-agraph's front end.

`streamlit_agraph.agraph()` takes no key, so each change of a colour would tear the iframe down and with it zoom and
position. The same front end is declared here under our name and mounted with a key, in a page of ours that loads its
files: there the picture begins at a size at which its labels can be read, and follows the width of its column.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import streamlit as st
import streamlit_agraph
from streamlit.components.v1 import declare_component
from streamlit_agraph import Config

from spellbook_core.ui.components.dag.layout import Direction, lay_out
from spellbook_core.ui.components.dag.nodes import COMPACT_ABOVE, DagIds, DagNode, Look, build_edges, build_nodes

_FRONT_END = Path(streamlit_agraph.__file__).parent / "frontend" / "build"
_PAGE = Path(__file__).parent / "static"
_NEVER_MS = 24 * 3600 * 1000
"""Delay of tooltips: the front end would show an empty box for our empty titles."""

_LEAST_PX, _LEAST_SNUG_PX = 10.4, 8.2
"""Height of the smallest letters of a picture's first view; a snug one stands beside a table that says it all again."""

_LEAST_PICTURE_PX = 140
"""Height of a picture that has room for its buttons below a row of blocks."""

_ROOM_PX = 30

declare_component("spellbook_agraph", path=_FRONT_END)  # never mounted: our page loads its files from there
_FRAME_FOOT_PX = 2
"""For the border around the frame; `style.css` takes away what a line of text leaves free below it."""

_mount = declare_component("spellbook_dag", path=_PAGE)


def dag(
    nodes: Sequence[DagNode],
    parents: Mapping[str, Sequence[str]],
    *,
    key: str,
    selected: str | None = None,
    focus: str | None = None,
    link_mode: bool = False,
    direction: Direction = "LR",
    height_px: int = 420,
    is_snug: bool = False,
    on_click: Callable[[str], None] | None = None,
) -> str | None:
    """Draw the blocks with arrows from parents to children, and report each click once, repeated ones included.

    The whole graph is shown where its labels can be read then; a larger one begins around one block, and is moved with
    the mouse or zoomed with the buttons. Zoom and position survive every change that leaves the picture as wide and
    high as it was, such as colours; another extent begins anew. The blocks are not reachable by keyboard: offer the
    parents list on the card as the equivalent.

    Args:
        nodes: The blocks in the pipeline's order. More than 100 are drawn with sign and name only.
        parents: Parents of each block.
        key: Unique on the page and stable; the element gets the class `st-key-<key>`.
        selected: The block with the primary border.
        focus: A block under way, around which a large graph begins in place of the selected one; the picture goes on
            to the next one unless the person has moved it.
        link_mode: Marks the parents of the selected block.
        direction: LR draws parents to the left of children, TB above.
        height_px: Of the picture; its width is that of its column.
        is_snug: Whether a flat graph gets a lower picture, as high as it is at its full size.
        on_click: Called with the clicked block's uuid before the script's body runs.

    Returns:
        The block clicked since the last run of the script, if `on_click` was not given; else None.
    """
    ids: DagIds = st.session_state.setdefault(f"{key}:ids", DagIds())
    clicked: list[str] = st.session_state.setdefault(f"{key}:clicked", [])

    def receive(frame_key: str) -> None:
        uuid = ids.take_click(st.session_state.get(frame_key))
        if uuid is not None and on_click is not None:
            on_click(uuid)
        elif uuid is not None:
            clicked.append(uuid)

    chosen = frozenset(parents.get(selected, ())) if link_mode and selected is not None else frozenset()
    look = Look(
        is_dark=st.context.theme.type == "dark",
        primary=_primary_colour(),
        selected=selected,
        marked=chosen,
        is_compact=len(nodes) > COMPACT_ABOVE,
        has_sublabels=any(node.sublabel for node in nodes),
    )
    drawing = lay_out([node.uuid for node in nodes], parents, look.size, direction)
    graph = {
        "nodes": [node.to_dict() for node in build_nodes(nodes, drawing, ids, look)],
        "edges": [edge.to_dict() for edge in build_edges(nodes, parents, drawing, ids, look)],
    }
    # The front end fits the picture to its column only when it first appears: another extent gets a new frame.
    frame_key = f"{key}:{direction}:{drawing.extent}"
    if is_snug:
        height_px = min(height_px, max(_LEAST_PICTURE_PX, drawing.extent[1] + look.size.height + 2 * _ROOM_PX))
    named = {"selected": selected, "focus": focus}
    view = {role: ids.id_for(uuid) for role, uuid in named.items() if uuid is not None and uuid in drawing.nodes}
    # The place stays while a new frame loads: without a height of its own the page would jump up and down again.
    with st.container(key=key, height=height_px + _FRAME_FOOT_PX, border=False):
        _mount(
            data=json.dumps(graph),
            config=json.dumps(_config(direction, height_px)),
            height=height_px,
            view=json.dumps({**view, "least": (_LEAST_SNUG_PX if is_snug else _LEAST_PX) / look.font_px}),
            key=frame_key,
            on_change=partial(receive, frame_key),
        )
    uuid = clicked[-1] if clicked else None
    clicked.clear()
    return uuid


def _config(direction: Direction, height_px: int) -> dict[str, object]:
    config = Config(
        height=height_px,
        groups={},
        autoResize=True,
        layout={"hierarchical": False, "improvedLayout": False},
        interaction={
            "hover": True,
            "hoverConnectedEdges": False,
            "selectConnectedEdges": False,
            "dragNodes": False,
            "multiselect": False,
            "tooltipDelay": _NEVER_MS,
        },
        edges={
            "smooth": {
                "enabled": True,
                "type": "cubicBezier",
                "forceDirection": "horizontal" if direction == "LR" else "vertical",
                "roundness": 0.45,
            }
        },
    )
    config.width = "100%"
    config.physics = {"enabled": False}
    return dict(config.to_dict())


def _primary_colour() -> str:
    section = "dark" if st.context.theme.type == "dark" else "light"
    return st.get_option(f"theme.{section}.primaryColor") or st.get_option("theme.primaryColor") or "#ff4b4b"
