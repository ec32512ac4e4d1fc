"""Settings: the project, the engine's health, what is installed, where state lies and how much of the disk it takes."""

from __future__ import annotations

import platform
from importlib import metadata

import streamlit as st

from spellbook_core.services import engines
from spellbook_core.ui import boundary, disk, engine_watch, parts, python_environments, secrets, state, text
from spellbook_core.ui.components.live import live

PACKAGES = ("streamlit", "pandas", "torch", "duckdb", "pyarrow", "streamlit-agraph", "starlette")


def render() -> None:
    """Draw the screen."""
    parts.page_title("Settings")
    left, right = st.columns(2, gap="medium")
    with left:
        _engine()
        disk.card()
        _workspace()
    with right:
        if state.project_names():
            secrets.card()
        python_environments.card()
        _environment()
        _access()
        _about()


@st.fragment(key="settings")
def _engine() -> None:
    with boundary.guarded(), st.container(border=True, key="settings_engine"):
        live(key="live_settings")
        ctx = state.context()
        status = engines.status(ctx)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("#### Engine", width="content", anchors=False)
            if status.is_running:
                st.badge("running", icon=":material/check_circle:", color="green")
            else:
                st.badge("not running", icon=":material/power_off:", color="gray")
            st.space("stretch")
            if status.is_running:
                st.button(
                    "Stop",
                    key="engine_stop",
                    icon=":material/stop_circle:",
                    help="Running blocks are cancelled.",
                    on_click=lambda: boundary.attempt(engine_watch.watch(ctx).stop, ctx),
                )
            else:
                st.button(
                    "Start",
                    key="engine_start_here",
                    icon=":material/play_arrow:",
                    type="primary",
                    on_click=engine_watch.start_now,
                    args=(None,),
                )
        if status.problem:
            st.warning(text.escape(status.problem), icon=":material/warning:")
        aside = engines.set_aside(ctx)
        if aside:
            st.warning(
                "The run store was damaged. Its history was read back from the runs' folders; the damaged "
                f"file is kept as {text.escape(', '.join(aside))} in the state folder.",
                icon=":material/healing:",
            )
        now = ctx.clock.now()
        parts.facts(
            {
                "Process": str(status.pid) if status.pid else "–",
                "Started": text.ago(status.started_at, now),
                "Heartbeat": text.ago(status.heartbeat_at, now),
                "Version": status.version or "–",
                "Workers": str(status.workers) if status.workers is not None else "–",
                "Parallel blocks": f"at most {ctx.settings.max_parallel_blocks}",
            }
        )
        st.caption("Runs go on in the engine process: closing this page or its server stops none of them.")
    boundary.notices()


def _workspace() -> None:
    ctx = state.context()
    with st.container(border=True, key="settings_workspace"):
        st.markdown("#### Workspace", anchors=False)
        workspace = ctx.workspace
        parts.facts(
            {
                "Folder": str(workspace.root),
                "State": str(workspace.state_dir),
                "Projects": str(len(state.project_names())),
            }
        )


def _environment() -> None:
    with st.container(border=True, key="settings_environment"):
        st.markdown("#### Python", anchors=False)
        found = {"Python": platform.python_version(), "System": f"{platform.system()} {platform.machine()}"}
        for name in PACKAGES:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                found[name] = "not installed"
        parts.facts(found)


def _access() -> None:
    with st.container(border=True, key="settings_access"):
        st.markdown("#### Access", anchors=False)
        st.markdown("This page opens with the workspace's token, which is never shown here.")
        st.caption(f"It lies in {text.code_span(state.context().workspace.token_path)}, readable by you alone.")


def _about() -> None:
    with st.container(border=True, key="settings_about"):
        st.markdown("#### About", anchors=False)
        try:
            version = metadata.version("spellbook")
        except metadata.PackageNotFoundError:
            version = "from source"
        st.markdown(f"Spellbook {text.escape(version)}. A notebook made of files, with an engine under it.")
        st.caption("Apache-2.0. No telemetry: nothing leaves this machine unless a block of yours sends it.")
