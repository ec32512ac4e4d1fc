"""How much of the disk the workspace's state takes, what of it nobody needs, and the button that removes that."""

from __future__ import annotations

import shutil

import streamlit as st

from spellbook_core.services import housekeeping
from spellbook_core.services.housekeeping import Report
from spellbook_core.ui import boundary, parts, state, text

_REPORT = "_disk_report"
_WANTED = "_disk_wanted"
_FRAGMENT = "disk"

_WORDS = {
    "runs": "Runs past their time",
    "outputs": "Outputs that nothing needs",
    "logs": "Files of older runs",
    "leftovers": "Unfinished files",
    "trash": "Deletes too old to undo",
    "environments": "Python environments that no project names",
}


@st.fragment(key=_FRAGMENT)
def card() -> None:
    """Draw the card; nothing is measured before a person asks."""
    with boundary.guarded(), st.container(border=True, key="settings_disk"):
        ctx = state.context()
        _work()
        report: Report | None = st.session_state.get(_REPORT)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("#### Disk", width="content", anchors=False)
            st.space("stretch")
            st.button("Measure", key="disk_measure", icon=":material/straighten:", on_click=_want, args=("look",))
            st.button(
                "Clean up",
                key="disk_clean",
                icon=":material/mop:",
                type="primary",
                disabled=report is None or report.is_done or not report.size_bytes,
                help="Removes what is listed here. Runs under way and the newest outputs of every block stay.",
                on_click=_want,
                args=("clean",),
            )
        last = housekeeping.last_clean_up(ctx)
        parts.facts(
            {
                "Free on this disk": text.size(shutil.disk_usage(ctx.workspace.root).free),
                "Last clean-up": text.ago(last, ctx.clock.now()) if last else "never",
                "Runs are kept": _kept(),
                **({"Run store": _store_size()} if report is None else {}),
            }
        )
        if report is None:
            st.caption("Measure tells what the stored runs and outputs take, and what a clean-up would free.")
        else:
            _show(report)
    boundary.notices()


def _want(work: str) -> None:
    st.session_state[_WANTED] = work
    state.redraw(_FRAGMENT)


def _work() -> None:
    """Do what was just pressed, before anything is drawn that depends on it; tell what is being done meanwhile."""
    wanted = st.session_state.pop(_WANTED, None)
    if wanted is None:
        return
    is_cleaning = wanted == "clean"
    stage = st.empty()
    with st.spinner("Cleaning up" if is_cleaning else "Measuring"):
        work = housekeeping.clean if is_cleaning else housekeeping.look
        st.session_state[_REPORT] = work(state.context(), lambda told: stage.caption(f"{told} …"))
    stage.empty()


def _show(report: Report) -> None:
    parts.facts({name.capitalize(): text.size(size) for name, size in report.used.items() if size or name == "outputs"})
    found = [one for one in report.removed if one.count]
    if not found:
        st.markdown(":green[:material/check_circle:] Nothing to clean up: everything stored is needed.")
        return
    if report.is_done:
        st.markdown(f":green[:material/check_circle:] Freed **{text.size(report.size_bytes)}**.")
    else:
        st.markdown(f"Clean up would free **{text.size(report.size_bytes)}**:")
    st.dataframe(
        {
            "What": [_WORDS[one.kind] for one in found],
            "Number": [f"{one.count:,}" for one in found],
            "Size": [text.size(one.size_bytes) for one in found],
        },
        hide_index=True,
        column_config={
            "Number": st.column_config.TextColumn(alignment="right"),
            "Size": st.column_config.TextColumn(alignment="right"),
        },
    )


def _store_size() -> str:
    path = state.context().workspace.database_path
    return text.size(path.stat().st_size) if path.exists() else "–"


def _kept() -> str:
    settings = state.context().settings
    days = f"{settings.keep_runs_days:g} days" if settings.keep_runs_days > 0 else "for ever"
    runs = f", newest {settings.keep_runs:,} of a pipeline" if settings.keep_runs > 0 else ""
    bound = f", outputs up to {settings.keep_outputs_gb:g} GB" if settings.keep_outputs_gb > 0 else ""
    return f"{days}{runs}{bound}"
