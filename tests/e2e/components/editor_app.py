"""Two editors in fragments; what the server received is shown as text for the test to read."""

import json

import streamlit as st

from spellbook_core.ui import streamlit_mends
from spellbook_core.ui.components.editor import Completion, Diagnostic, EditorEvent, code_editor, collect

streamlit_mends.install()

START = '''import pandas as pd

if "data_loader" not in globals():
    from spellbook_core import data_loader


@data_loader
def load(rows: int = 891, *args, **kwargs) -> pd.DataFrame:
    """Load passengers from a file."""
    frame = pd.read_csv("titanic.csv")  # 891 x 12
    missing = frame["Age"].isna().sum()
    raise ValueError(f"{missing} rows have no age: {None} {True} {3.14}")
    return frame
'''

st.set_page_config(layout="wide")
state = st.session_state
state.setdefault("text", START)
state.setdefault("rev", 1)
state.setdefault("events", [])
state.setdefault("diagnostics", [])


def note(event: EditorEvent) -> None:
    state.events.append([event.name, event.rev])
    if event.rev == state.rev:
        state.text = event.text


def change_from_outside() -> None:
    state.text = "# changed outside\n" + state.text.replace("891", "1000")
    state.rev += 1


def run_by_button() -> None:
    collect("code")
    state.events.append(["button", state.text])


def clear() -> None:
    state.text = ""
    state.rev += 1


st.button("Change outside", key="outside", on_click=change_from_outside)
st.button("Clear", key="clear", on_click=clear)
FAILURE = Diagnostic(12, 'ValueError: 177 rows have <b onmouseover="window.__pwn=1">no</b> age')
st.button("Fail", key="fail", on_click=state.diagnostics.append, args=(FAILURE,))
st.button("Add block", key="add", shortcut="Alt+N", on_click=lambda: state.events.append(["add", 0]))


@st.fragment
def block() -> None:
    code_editor(
        state.text,
        key="code",
        rev=state.rev,
        diagnostics=state.diagnostics,
        completions=[Completion("Survived_predict", "property", "int64 · load_titanic")],
        on_draft=note,
        on_run=note,
        on_run_next=note,
        on_save=note,
    )
    st.button("Run", key="run", on_click=run_by_button)
    with st.container(key="events"):
        st.text(json.dumps(state.events))
    with st.container(key="received"):
        st.code(state.text, language=None)


@st.fragment(run_every=0.5)
def tick() -> None:
    state.ticks = state.get("ticks", 0) + 1
    with st.container(key="ticks"):
        st.text(f"ticks {state.ticks}")


@st.fragment
def second() -> None:
    language = st.radio("Language", ["sql", "yaml", "markdown", "json"], horizontal=True)
    texts = {
        "sql": "select Sex, avg(Survived) as rate -- by sex\nfrom df where Age > 30\ngroup by 1 order by rate desc;\n",
        "yaml": "blocks:\n- uuid: load_titanic # first\n  type: data_loader\n  upstream_blocks: []\n  ratio: 0.5\n",
        "markdown": "# Titel\n\nSome **bold**, *soft* and `code` with a [link](/x).\n\n- 항목\n",
        "json": '{"a": 1, "b": [true, null, "x"]}\n',
    }
    result = code_editor(
        texts[language], key=f"other_{language}", rev=1, language=language, readonly=language == "json"
    )
    if result.run:
        st.text(f"ran {result.run.text.split()[0]}")


left, right = st.columns(2)
with left:
    tick()
    if not st.toggle("Hide", key="hide"):
        block()
    else:
        with st.container(key="hidden_text"):
            st.code(state.text, language=None)
with right:
    second()
