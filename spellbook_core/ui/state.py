"""What screens share: the workspace's context, the project in view, and the way from one screen to another."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from spellbook_core.errors import NotFoundError, SpellbookError
from spellbook_core.model.naming import ProjectName
from spellbook_core.services import wiring
from spellbook_core.services.wiring import Context
from spellbook_core.settings import workspace_path

_PAGES = "_pages"
_PROJECT = "_project"
_VISIT = "_visit"
_LEAVING = "_leaving"


class NoProjectError(SpellbookError, LookupError):
    """The workspace has no project yet."""

    code = "SB-UI-001"


def context() -> Context:
    """Return the workspace's context: one per process, shared by all sessions, safe to use from any thread."""
    return _open(str(workspace_path()))


@st.cache_resource(show_spinner=False)
def _open(path: str) -> Context:
    from pathlib import Path

    return wiring.open_context(Path(path))


def project_names() -> list[ProjectName]:
    """Return the workspace's projects by name."""
    return sorted(context().workspace.project_names(), key=str.casefold)


def current_project() -> ProjectName:
    """Return the project in view: the URL's `project`, else the session's last, else the first by name.

    Raises:
        NoProjectError: The workspace has none. [SB-UI-001]
        NotFoundError: The URL names one that is not there. [SB-SYS-002]
    """
    names = project_names()
    wanted = st.query_params.get("project")
    if wanted is not None:
        if wanted not in names:
            raise NotFoundError(
                f"There is no project '{wanted}' in this workspace.",
                hint="choose another project at the top left, or create one.",
                project=wanted[:200],
            )
        st.session_state[_PROJECT] = wanted
        return ProjectName(wanted)
    remembered = st.session_state.get(_PROJECT)
    if remembered in names:
        return ProjectName(remembered)
    if not names:
        raise NoProjectError("This workspace has no project yet.", hint="create one, or start from an example.")
    return names[0]


def register_pages(pages: Mapping[str, object]) -> None:
    """Keep this session's pages by route (`pipelines`, `editor`, `run` ...), for `page`, `go` and links."""
    st.session_state[_PAGES] = dict(pages)


def page(route: str):
    """Return the page of a route, for `st.page_link`."""
    return st.session_state[_PAGES][route]


def note_visit(route: str) -> None:
    """Count a change of screen; for the frame, at each run of the whole page."""
    last, number = st.session_state.get(_VISIT, ("", 0))
    if route != last:
        st.session_state[_VISIT] = (route, number + 1)


def visit() -> int:
    """Return the number of screens that this session has changed to; the same while one is in view."""
    return st.session_state.get(_VISIT, ("", 0))[1]


def params(**wanted: object) -> dict[str, str]:
    """Return query parameters for a link: the project in view and what is given; None values are left out."""
    found = {"project": st.query_params.get("project") or st.session_state.get(_PROJECT)}
    found.update(wanted)
    return {name: str(value) for name, value in found.items() if value is not None}


def go(route: str, **wanted: object) -> None:
    """Open another screen at once, e.g. `go("run", id=7)`. Call it from a script body or fragment, not a callback."""
    st.switch_page(page(route), query_params=params(**wanted))


def leave(route: str, **wanted: object) -> None:
    """Open another screen, from a callback, which ends here.

    A button's own answer would be lost where an event asks for another drawing at the moment of the click.
    """
    st.session_state[_LEAVING] = (route, wanted)
    st.rerun()


def follow() -> None:
    """Go where `leave` was asked to; for the frame, before anything is drawn."""
    asked = st.session_state.pop(_LEAVING, None)
    if asked is not None:
        go(asked[0], **asked[1])


def redraw(*fragments: str) -> None:
    """Draw only the named fragments again, from a callback; the whole page when one of them is not there any more."""
    try:
        st.rerun(list(fragments))
    except st.errors.StreamlitAPIException:
        st.rerun()


def link(route: str, label: str, *, icon: str = "", help: str | None = None, **wanted: object) -> None:
    """Draw a link to another screen; `label` is markdown, so user text in it must be escaped."""
    st.page_link(page(route), label=label, icon=icon, help=help, query_params=params(**wanted))


def zone() -> str | None:
    """Return the browser's IANA time zone, None when it has not told."""
    return st.context.timezone


def is_dark() -> bool:
    """Return whether the dark theme is on."""
    return st.context.theme.type == "dark"
