"""The banner above the notebook: packages that its blocks need and do not have, and getting them with one click."""

from __future__ import annotations

from functools import partial

import streamlit as st

from spellbook_core.services import environments
from spellbook_core.services.package_needs import ABSENT, FAILED, MAKING, PackageNeeds
from spellbook_core.ui import boundary, text
from spellbook_core.ui.editor import keys, scope
from spellbook_core.ui.editor.view import Editor

_FOLLOW_S = 1.0
"""Seconds between looks at what the installer says, while it works."""

_CHOSEN = "packages_chosen"


def draw(editor: Editor) -> None:
    """Draw the banner as a fragment; nothing of it shows while all is well."""
    is_making = editor.needs.progress.state == MAKING

    def body() -> None:
        with boundary.guarded():
            editor.refresh()
            editor.drawn(keys.PACKAGES)
            if is_making != (editor.needs.progress.state == MAKING):
                if is_making:
                    _say_result(editor.needs)
                st.rerun()  # begins or ends the following, and draws what new packages change
            _banner(editor, editor.needs)
            scope.show_scope_error(editor, keys.PACKAGES)

    st.fragment(body, key=keys.PACKAGES, run_every=_FOLLOW_S if is_making else None)()


def _say_result(needs: PackageNeeds) -> None:
    if needs.progress.state != FAILED:
        made = ", ".join(needs.packages) or needs.made_from or "The environment"
        boundary.notify(f"{made}: ready.")


def _banner(editor: Editor, needs: PackageNeeds) -> None:
    if needs.problem is not None:
        boundary.show_error(needs.problem)
        return
    if needs.is_met:
        return
    with st.container(key=f"packages_{needs.progress.state}"):
        if needs.progress.state == MAKING:
            _making(editor, needs)
            return
        if needs.progress.state == FAILED:
            _failed(editor, needs)
        if needs.missing:
            _missing(editor, needs)
        elif needs.progress.state == ABSENT:
            _not_made(editor, needs)


def _making(editor: Editor, needs: PackageNeeds) -> None:
    what = _listed(needs.packages) or text.code_span(needs.made_from)
    began = needs.progress.began_at
    took = text.duration((editor.ctx.clock.now() - began).total_seconds()) if began else ""
    last = needs.progress.lines[-1] if needs.progress.lines else "It begins …"
    st.markdown(f":material/hourglass_top: **Installing {what} into this project's environment** :gray[{took}]")
    st.markdown(f":small[{text.code_span(last, max_chars=160)}]")
    st.caption("It goes on when you leave this page. Blocks that run meanwhile wait for it.")


def _failed(editor: Editor, needs: PackageNeeds) -> None:
    what = _listed(needs.packages) or text.code_span(needs.made_from)
    st.markdown(f":red[:material/error:] **{what} could not be installed**")
    st.markdown(text.escape(needs.progress.problem, max_chars=600))
    with st.expander("What the installer said last"):
        st.code("\n".join(needs.progress.lines) or "nothing", language=None)
    if not needs.missing:
        st.button("Try again", key="packages_again", icon=":material/refresh:", on_click=partial(_install, editor, ()))


def _missing(editor: Editor, needs: PackageNeeds) -> None:
    names = [entry.package for entry in needs.missing]
    plain = {entry.package: f"{entry.imported} in {entry.file}, line {entry.line}" for entry in needs.missing}
    with st.container(horizontal=True, vertical_alignment="center"):
        one = _listed(names) if len(names) == 1 else ""
        st.markdown(f":material/deployed_code: **This project needs** {one}", width="content")
        chosen = names
        if len(names) > 1:
            chosen = st.pills(
                "Packages to install",
                names,
                selection_mode="multi",
                default=names,
                key=f"{_CHOSEN}_{len(names)}",
                format_func=text.one_line,
                label_visibility="collapsed",
                width="content",
            )
        st.space("stretch")
        st.button(
            "Install into this project's environment",
            key="packages_install",
            icon=":material/download:",
            type="primary",
            disabled=not chosen,
            help="Only what is chosen here, from the package index that pip is set up for.",
            on_click=partial(_install, editor, tuple(chosen)),
        )
    st.caption("Imported, but not installed: " + text.escape("; ".join(plain.values()), max_chars=300) + ".")


def _not_made(editor: Editor, needs: PackageNeeds) -> None:
    made_from = text.code_span(needs.made_from) if needs.made_from else _listed(needs.packages)
    with st.container(horizontal=True, vertical_alignment="center"):
        what = f"**This pipeline has a Python of its own**, made from {made_from} by its next run."
        st.markdown(f":material/deployed_code: {what}", width="content")
        st.space("stretch")
        st.button(
            "Make it now",
            key="packages_make",
            icon=":material/download:",
            on_click=partial(_install, editor, ()),
        )


def _listed(names) -> str:
    shown = [text.code_span(name, max_chars=60) for name in names[:8]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _install(editor: Editor, packages: tuple[str, ...]) -> None:
    act = partial(environments.start_install, editor.ctx, editor.project, editor.uuid, packages)
    scope.guarded_by(editor, keys.PACKAGES, act)
    editor.session.needs = None
