"""Pipeline variables on the screen: names and values as text, types by how a value is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import partial

import streamlit as st

from spellbook_core.errors import SpellbookError
from spellbook_core.model.values import YamlValue
from spellbook_core.ui import open_dialog, text
from spellbook_core.ui.editor import actions, confirm, keys, scope
from spellbook_core.ui.editor.view import Editor


class BadVariableError(SpellbookError, ValueError):
    """A variable cannot be saved: its name is no Python name, or is there twice."""

    code = "SB-UI-021"


def parse(value: str) -> YamlValue:
    """Return the value that a text stands for: JSON where it is JSON (`5`, `0.1`, `true`, `[1, 2]`), else the text."""
    try:
        return json.loads(value)
    except ValueError:
        pass
    try:
        return date.fromisoformat(value) if len(value) == 10 else value
    except ValueError:
        return value


def show(value: YamlValue) -> str:
    """Return the text from which `parse` makes this value again."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if parse(value) != value else value
    return json.dumps(value, ensure_ascii=False, default=str)


def collect(rows: Iterable[tuple[str, str]]) -> dict[str, YamlValue]:
    """Return the variables of edited rows; rows without a name are left out.

    Raises:
        BadVariableError: A name is twice or cannot be a keyword argument. [SB-UI-021]
    """
    found: dict[str, YamlValue] = {}
    for raw_name, value in rows:
        name = raw_name.strip()
        if not name:
            continue
        if not name.isidentifier():
            raise BadVariableError(
                f"'{name}' cannot be a variable: blocks receive variables as keyword arguments.",
                hint="use letters, digits and _, and begin with a letter.",
            )
        if name in found:
            raise BadVariableError(f"The variable '{name}' is there twice.", hint="keep one of them.")
        found[name] = parse(value)
    return found


def draw(editor: Editor) -> None:
    """Draw the table of the pipeline's variables in the side column, saved by its button."""
    rows = _table(editor, "side")
    key = "variables_save"
    st.button(
        "Save variables",
        key=key,
        icon=":material/save:",
        type="primary",
        on_click=partial(open_dialog.confirm, editor.session.dialogs, key, keys.SIDE),
    )
    if editor.session.dialogs.taken(key):
        _save(editor, rows, "variables")
    scope.show_scope_error(editor, "variables")


def draw_dialog(editor: Editor) -> None:
    """Draw the same table as a dialog's content."""
    save = partial(_save, editor, _table(editor, "dialog"), "dialog")
    confirm.buttons(editor, "Save variables", key="variables_dialog_save", icon=":material/save:", act=save)


def _table(editor: Editor, where: str) -> list[tuple[str, str]]:
    st.caption("Every block receives these as keyword arguments. Values are read as JSON, anything else as text.")
    return _grid(editor.pipeline.variables, key=f"variables_{where}_{editor.uuid}_{editor.file_hash[:12]}")


def _save(editor: Editor, rows: list[tuple[str, str]], error_scope: str) -> None:
    if scope.guarded_by(editor, error_scope, lambda: actions.set_variables(editor, collect(rows))):
        confirm.finish(editor)


def fields(declared: Mapping[str, YamlValue], *, remembered: Mapping[str, YamlValue]) -> dict[str, YamlValue]:
    """Draw one field per declared variable and return the values typed, the remembered ones as a start."""
    values = {}
    for name, default in declared.items():
        start = remembered.get(name, default)
        typed = st.text_input(text.escape(name), value=show(start), key=f"runtime_{name}")
        values[name] = parse(typed or "")
    return values


def _grid(variables: Mapping[str, YamlValue], *, key: str) -> list[tuple[str, str]]:
    edited = st.data_editor(
        [{"name": name, "value": show(value)} for name, value in variables.items()] or [{"name": "", "value": ""}],
        key=key,
        num_rows="dynamic",
        hide_index=True,
        column_config={
            "name": st.column_config.TextColumn("Name", width="small"),
            "value": st.column_config.TextColumn("Value"),
        },
    )
    return [(str(row.get("name") or ""), str(row.get("value") or "")) for row in edited]
