"""The frame around every screen: navigation, project switcher, engine banner, notices and the page's error boundary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st
from streamlit.commands import navigation

from spellbook_core.errors import SpellbookError
from spellbook_core.ui import boundary, engine_watch, open_dialog, parts, projects, state, style

_NO_SUCH_PAGE = "_no_such_page"
"""Key of the session: whether the address of this run names none of our pages."""


@dataclass(frozen=True, slots=True)
class Route:
    """A screen: its path below `/`, where it stands in the navigation and how its module is found."""

    name: str
    title: str
    icon: str
    section: str
    needs_project: bool = True


ROUTES = (
    Route("pipelines", "Pipelines", ":material/account_tree:", "Build"),
    Route("editor", "Editor", ":material/edit_square:", "Build"),
    Route("library", "Library", ":material/local_library:", "Build"),
    Route("files", "Files", ":material/folder_open:", "Build"),
    Route("runs", "Runs", ":material/play_circle:", "Operate"),
    Route("run", "Run", ":material/timeline:", ""),
    Route("settings", "Settings", ":material/settings:", "System", needs_project=False),
)
"""In the navigation's order. A route without a section is reached from other screens only."""


def main() -> None:
    """Draw the page that the URL asks for."""
    st.set_page_config(page_title="Spellbook", page_icon=_tab_icon(), layout="wide", initial_sidebar_state="expanded")
    style.apply()
    st.logo(style.WORDMARK_SVG, icon_image=style.MARK_SVG)
    pages = {route.name: _page(route) for route in ROUTES}
    state.register_pages(pages)
    st.session_state[_NO_SUCH_PAGE] = False
    navigation.send_page_not_found = _note_no_such_page  # Streamlit's own dialog would stand before another page
    current = st.navigation(list(pages.values()), position="hidden")
    route = next(route for route in ROUTES if pages[route.name].url_path == current.url_path)
    with boundary.guarded():
        _frame(route, current)


def _frame(route: Route, current) -> None:
    state.note_visit(route.name)
    state.follow()
    has_projects = bool(state.project_names())
    project, problem = _project_in_view()
    with st.sidebar:
        _sidebar(project)
    boundary.notices()
    boundary.undo_bar()
    engine_watch.banner(project)
    open_dialog.draw()
    if st.session_state[_NO_SUCH_PAGE]:
        _no_such_page()
    elif not route.needs_project:
        current.run()
    elif not has_projects:
        projects.first_project()
    elif problem is not None:
        boundary.show_error(problem.to_dict())
    else:
        current.run()


def _note_no_such_page(_ctx: object) -> None:
    st.session_state[_NO_SUCH_PAGE] = True


def _no_such_page() -> None:
    parts.empty("search_off", "No page has this address", "It may be misspelled, or from another version of Spellbook.")
    with st.container(horizontal_alignment="center"):
        state.link("pipelines", "Go to Pipelines", icon=":material/arrow_back:")


def _project_in_view() -> tuple[str | None, SpellbookError | None]:
    try:
        return state.current_project(), None
    except SpellbookError as error:
        return None, error


def _tab_icon() -> str:
    return "📖"


def _page(route: Route):
    return st.Page(
        _runner(route),
        title=route.title,
        icon=route.icon,
        url_path="" if route.name == "pipelines" else route.name,
        default=route.name == "pipelines",
    )


def _runner(route: Route) -> Callable[[], None]:
    def run() -> None:
        with boundary.guarded():
            _screen(route.name)()

    run.__name__ = route.name
    return run


def _screen(name: str) -> Callable[[], None]:
    """Return a screen's `render`; imported when shown, so that opening one page does not pay for the others."""
    if name == "editor":
        from spellbook_core.ui.screens.editor import render
    elif name == "runs":
        from spellbook_core.ui.screens.runs import render
    elif name == "run":
        from spellbook_core.ui.screens.run import render
    elif name == "library":
        from spellbook_core.ui.screens.library import render
    elif name == "files":
        from spellbook_core.ui.screens.files import render
    elif name == "settings":
        from spellbook_core.ui.screens.settings import render
    else:
        from spellbook_core.ui.screens.pipelines import render
    return render


def _sidebar(project: str | None) -> None:
    projects.switcher(project)
    with st.container(key="nav"):
        section = ""
        for route in ROUTES:
            if not route.section:
                continue
            if route.section != section:
                section = route.section
                with st.container(key=f"nav_section_{section.lower()}"):
                    st.markdown(section)
            extra = {"pipeline": st.session_state.get("last_pipeline")} if route.name == "editor" else {}
            state.link(route.name, route.title, icon=route.icon, **extra)
