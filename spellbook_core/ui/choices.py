"""Which output of a block is shown: one of those it returned, or a table inside one of them."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from spellbook_core.model.output import OutputInfo
from spellbook_core.services import outputs as output_service
from spellbook_core.services.outputs import HasArtifacts
from spellbook_core.ui import text

_MOST_CHIPS = 6


@dataclass(frozen=True, slots=True)
class _Choice:
    name: str
    label: str
    output: OutputInfo


def choose(ctx: HasArtifacts, outputs: tuple[OutputInfo, ...], *, key: str) -> OutputInfo | None:
    """Return the output that a person chose, drawing chips (a list when there are many) if there is a choice."""
    found = {choice.name: choice for choice in _choices(ctx, outputs)}
    if len(found) <= 1:
        return outputs[0] if outputs else None
    names = list(found)
    if st.session_state.get(key) not in names:
        st.session_state[key] = names[0]
    if len(names) <= _MOST_CHIPS:
        chosen = st.pills(
            "Outputs",
            names,
            key=key,
            required=True,
            label_visibility="collapsed",
            format_func=lambda name: text.escape(found[name].label, max_chars=100),
        )
    else:
        chosen = st.selectbox(
            "Outputs",
            names,
            key=key,
            label_visibility="collapsed",
            format_func=lambda name: text.one_line(found[name].label, max_chars=100),
        )
    return found[chosen or names[0]].output


def _choices(ctx: HasArtifacts, outputs: tuple[OutputInfo, ...]) -> list[_Choice]:
    found = []
    for output in outputs:
        head = f"output {output.index}"
        found.append(_Choice(output.name, f"{head} · {text.one_line(output.summary, max_chars=40)}", output))
        for place, part in output_service.parts(ctx, output):
            where = text.one_line(place if len(outputs) == 1 else f"{head} {place}", max_chars=60)
            label = f"{where} · {text.one_line(part.summary, max_chars=40)}"
            found.append(_Choice(f"{output.name}{place}", label, part))
    return found
