"""The dialog with a block's settings: retries, limits, environment, how a sensor waits. Empty fields are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import streamlit as st

from spellbook_core.engine.sensing import POLL_INTERVAL_S
from spellbook_core.errors import SpellbookError
from spellbook_core.model.retry import RetryPolicy, merged
from spellbook_core.model.values import YamlValue
from spellbook_core.services import block_settings as service
from spellbook_core.services.block_settings import BlockSettings, ProcessSettings
from spellbook_core.ui import text
from spellbook_core.ui.editor import confirm, scope, sql_fields
from spellbook_core.ui.editor.session import DialogRequest
from spellbook_core.ui.editor.view import Editor

_MOST_SHOWN = 6


@dataclass(frozen=True, slots=True)
class _Number:
    """A field for a number from 0 on: its key in the file, its label, what an empty field means."""

    key: str
    label: str
    help: str
    empty: str = ""
    is_whole: bool = False


def draw(editor: Editor, request: DialogRequest) -> None:
    """Draw the fields of a block and the button that saves them."""
    block = editor.pipeline.block(request.block or "")
    own = service.settings_of(block)
    try:
        inherited = service.inherited_retries(editor.ctx, editor.project, editor.pipeline)
    except SpellbookError as wrong:
        st.warning(text.escape(wrong.message), icon=":material/warning:")
        inherited = RetryPolicy()
    st.markdown(f"**{text.escape(block.name or block.uuid)}**")
    key = f"block_settings_{id(request)}"  # what was typed and not saved is gone when the dialog opens again
    sql = None if own.sql is None else sql_fields.draw(own.sql, f"{key}_sql")
    sensor = None if own.sensor is None else _sensor(own.sensor, f"{key}_sensor")
    retry_config = _retries(own.retry_config, inherited, key)
    limit = _Number("timeout", "Time limit of one attempt, seconds", "A longer attempt is ended.", "no limit")
    timeout_s = _number(limit, own.timeout_s, key)
    process = _process(own.process or ProcessSettings(), key)
    wanted = BlockSettings(retry_config, timeout_s, sensor, process, sql)
    save = partial(_save, editor, block.uuid, wanted)
    confirm.buttons(editor, "Save", key="block_settings_save", icon=":material/save:", act=save)


def _save(editor: Editor, block: str, wanted: BlockSettings) -> None:
    def act() -> None:
        service.save_settings(editor.ctx, editor.project, editor.uuid, block, wanted)

    if scope.change(editor, "dialog", act):
        confirm.finish(editor)


def _retries(own: Mapping[str, YamlValue], inherited: RetryPolicy, key: str) -> dict[str, YamlValue]:
    st.markdown("##### After a failure", anchors=False)
    fields = (
        _Number("retries", "Retries", "Attempts after the first.", f"{inherited.retries}", is_whole=True),
        _Number("delay", "Delay, seconds", "Before the first retry.", f"{inherited.delay_s:g}"),
        _Number(
            "max_delay",
            "All delays below, seconds",
            "The retry whose delay would bring the sum of all delays to this is not made, as in mage.",
            f"{inherited.max_delay_s:g}",
        ),
    )
    found: dict[str, YamlValue] = {key: value for key, value in own.items() if key not in {f.key for f in fields}}
    for column, field in zip(st.columns(3), fields, strict=True):
        with column:
            value = _number(field, own.get(field.key), key)
            if value is not None:
                found[field.key] = int(value) if field.is_whole or value == int(value) else value
    was = found.get("exponential_backoff")
    doubles = st.toggle(
        "Twice the delay before each further retry",
        value=merged([own]).exponential_backoff if was is not None else inherited.exponential_backoff,
        key=f"{key}_backoff",
    )
    if was is not None or doubles is not inherited.exponential_backoff:
        found["exponential_backoff"] = doubles
    with st.container():  # the fields below stay where they are, however many lines this is
        _preview(found, inherited)
    return found


def _preview(config: dict[str, YamlValue], inherited: RetryPolicy) -> None:
    """Tell when the retries would come, and when the sum of the delays leaves no room."""
    usual: dict[str, YamlValue] = {
        "retries": inherited.retries,
        "delay": inherited.delay_s,
        "max_delay": inherited.max_delay_s,
        "exponential_backoff": inherited.exponential_backoff,
    }
    try:
        policy = merged([usual, config])
    except SpellbookError:
        return  # told when it is saved
    delays = policy.delays()
    if delays:
        shown = ", ".join(f"{delay:g} s" for delay in delays[:_MOST_SHOWN]) + (", …" if delays[_MOST_SHOWN:] else "")
        st.caption(f":material/replay: Retried after {shown}. A click on Run in the notebook tries once.")
    if len(delays) < policy.retries:
        st.caption(
            f":orange[:material/warning: All delays must stay below {policy.max_delay_s:g} s: room for "
            f"{len(delays)} of {policy.retries} retries.]"
        )


def _sensor(own: Mapping[str, YamlValue], key: str) -> dict[str, YamlValue]:
    st.markdown("##### While it waits", anchors=False)
    found: dict[str, YamlValue] = {}
    fields = (
        _Number("poll_interval", "Looks every, seconds", "From one look to the next.", f"{POLL_INTERVAL_S:g}"),
        _Number("timeout", "Gives up after, seconds", "From its first look; then it fails.", "never"),
    )
    for column, field in zip(st.columns(2), fields, strict=True):
        with column:
            value = _number(field, own.get(field.key), key)
            if value is not None:
                found[field.key] = int(value) if value == int(value) else value
    watch = own.get("watch")
    typed = st.text_input(
        "Looks at once when these files change",
        value=", ".join(str(name) for name in watch) if isinstance(watch, list) else str(watch or ""),
        placeholder="data/ready.csv, data/*.csv",
        key=f"{key}_watch",
        help="Paths below the project's folder, separated by commas. `*` stays in a folder, `**` goes below.",
    )
    names: list[YamlValue] = [name.strip() for name in (typed or "").split(",") if name.strip()]
    if names:
        found["watch"] = names[0] if len(names) == 1 else names
    return found


def _process(own: ProcessSettings, key: str) -> ProcessSettings:
    st.markdown("##### Its process", anchors=False)
    limit = st.text_input(
        "Memory limit",
        value=own.memory_limit,
        placeholder="the project's, or none",
        key=f"{key}_memory",
        help="Such as 2GB or 512MB, child processes included. A block above it fails; others go on.",
    )
    lines = st.text_area(
        "Environment variables",
        value="\n".join(f"{name}={value}" for name, value in own.env.items()),
        placeholder="OMP_NUM_THREADS=2\nTOKEN={{ secret('API_TOKEN') }}",
        key=f"{key}_env",
        height=90,
        help="One NAME=value per line, for this block alone. Keep passwords as secrets, on the Settings screen.",
    )
    parts = [line.partition("=") for line in (lines or "").splitlines() if line.strip()]
    return ProcessSettings((limit or "").strip(), {name.strip(): value.strip() for name, _, value in parts})


def _number(field: _Number, value: YamlValue, key: str) -> float | None:
    try:
        start = None if value in (None, "") else float(str(value))
    except ValueError:
        start = None
    typed = st.number_input(
        field.label,
        min_value=0 if field.is_whole else 0.0,
        value=int(start) if start is not None and field.is_whole else start,
        step=1 if field.is_whole else None,
        format="%d" if field.is_whole else "%g",
        placeholder=field.empty,
        help=field.help,
        key=f"{key}_{field.key}",
    )
    return None if typed is None else float(typed)
