"""The engine as the pages see it: started when a page is opened, and a banner when that did not work."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from spellbook_core.errors import SpellbookError
from spellbook_core.model.naming import ProjectName
from spellbook_core.services import engines
from spellbook_core.services.wiring import Context
from spellbook_core.ui import boundary, state, text

PATIENCE_S = 15.0
"""How long a start may take before the banner says so, seconds; 0.5 s is usual."""

AGAIN_AFTER_S = 30.0
"""Seconds between two starts that no person asked for."""


@dataclass
class EngineWatch:
    """What this process did about the engine; one per workspace, shared by all sessions.

    Attributes:
        tried_at: Monotonic seconds of the last start; 0 for none.
        problem: Why the last start failed; None when it did not.
        is_stopped: A person stopped the engine here, so it stays so until a person or a run starts it.
        warmed: Projects whose processes were warmed.
    """

    tried_at: float = 0.0
    problem: SpellbookError | None = None
    is_stopped: bool = False
    warmed: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def look_after(self, ctx: Context, project: str | None) -> engines.EngineStatus:
        """Return how the engine is; begins, in the background, to start it and to warm `project` where needed."""
        status = engines.status(ctx)
        with self.lock:
            cold = project is not None and project not in self.warmed
            is_due = time.monotonic() - self.tried_at > AGAIN_AFTER_S or self.tried_at == 0.0
            if self.is_stopped or not ((not status.is_running and is_due) or (status.is_running and cold)):
                return status
            self.tried_at = time.monotonic()
            if project is not None:
                self.warmed.add(project)
        threading.Thread(target=self.start, args=(ctx, project), name="start-engine", daemon=True).start()
        return status

    def start(self, ctx: Context, project: str | None) -> None:
        """Start the engine and warm `project`; what goes wrong is kept for the banner."""
        self.is_stopped = False
        self.tried_at = time.monotonic()
        try:
            engines.ensure(ctx)
            if project is not None:
                engines.prepare(ctx, ProjectName(project))
            self.problem = None
        except SpellbookError as error:
            self.problem = error

    def stop(self, ctx: Context) -> None:
        """Stop the engine because a person asked for it."""
        self.is_stopped = True
        self.warmed.clear()
        engines.stop(ctx)

    @property
    def is_starting(self) -> bool:
        """Whether a start is so recent that it may still succeed."""
        return self.problem is None and time.monotonic() - self.tried_at < PATIENCE_S


@st.cache_resource(show_spinner=False)
def _watch(workspace: str) -> EngineWatch:
    return EngineWatch()


def watch(ctx: Context) -> EngineWatch:
    """Return this process's watch over the workspace's engine."""
    return _watch(str(Path(ctx.workspace.root)))


def banner(project: str | None) -> None:
    """Look after the engine; draw a banner with a Start button when it does not run and is not about to."""
    ctx = state.context()
    watching = watch(ctx)
    status = watching.look_after(ctx, project)
    if status.is_running or (watching.is_starting and not watching.is_stopped):
        return
    reason = watching.problem.message if watching.problem else status.problem or ""
    with st.container(key="engine_banner", horizontal=True, vertical_alignment="center", border=True):
        st.markdown(
            f":orange[:material/power_off:] **The engine is not running.** {text.escape(reason)}", width="content"
        )
        st.space("stretch")
        st.button(
            "Start engine",
            key="engine_start",
            icon=":material/play_arrow:",
            type="primary",
            on_click=start_now,
            args=(project,),
        )


def start_now(project: str | None) -> None:
    """Start the engine because a person asked for it; for a widget callback."""
    ctx = state.context()
    watching = watch(ctx)
    boundary.attempt(watching.start, ctx, project)
    if watching.problem is None:
        boundary.notify("The engine is running.")
