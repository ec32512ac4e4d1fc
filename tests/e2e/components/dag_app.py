"""A graph with the states a pipeline can have, and a hostile block name; `?count=N` draws a random one."""

import json
import random

import streamlit as st

from spellbook_core.ui.components.dag import DagNode, dag

HOSTILE = '<img src=x onerror="window.top.__pwn=1">'

st.set_page_config(layout="wide")
state = st.session_state
state.setdefault("clicks", [])
state.setdefault("selected", None)
state.setdefault("train", "running")
count = int(st.query_params.get("count", 0))

if count:
    chance = random.Random(7)
    names = [f"block_{number}" for number in range(count)]
    parents = {
        name: sorted({names[chance.randrange(max(0, number - 12), number)] for _ in range(chance.choice([1, 1, 2]))})
        for number, name in enumerate(names)
        if number
    }
    nodes = [DagNode(name, name, "transformer", "fresh") for name in names]
else:
    parents = {
        "fill": ["load"],
        "train": ["fill"],
        "evaluate": ["train", "load"],
        "export": ["train", "fill"],
        HOSTILE: ["load"],
        "report": ["evaluate", "export", HOSTILE],
    }
    nodes = [
        DagNode("load", "load_titanic", "data_loader", "fresh", "891 × 12 · 14 ms"),
        DagNode("fill", "fill_in_missing_values", "transformer", "stale", "891 × 6 · 9 ms"),
        DagNode("train", "torch_train", "custom", state.train, "epoch 37 of 100"),
        DagNode("evaluate", "평가_모델_생존_예측_결과_요약", "custom", "queued"),
        DagNode("export", "export_titanic_predict", "data_exporter", "failed", "ValueError"),
        DagNode(HOSTILE, HOSTILE, "sensor", "never_run"),
        DagNode("report", "report", "scratchpad", "upstream_failed"),
    ]

link_mode = st.toggle("Link parents", key="link")
direction = "TB" if st.toggle("Top down", key="top_down") else "LR"
st.button("Finish", key="finish", on_click=lambda: state.update(train="completed"))


def click(uuid: str) -> None:
    state.clicks.append(uuid)
    state.selected = uuid


dag(
    nodes,
    parents,
    key="graph",
    selected=state.selected,
    link_mode=link_mode,
    direction=direction,
    height_px=460,
    on_click=click,
)
with st.container(key="clicks"):
    st.text(json.dumps(state.clicks))
