"""A stored table as a file for other programs, made when the button is pressed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import streamlit as st

from spellbook_core.model.output import OutputInfo
from spellbook_core.services import outputs
from spellbook_core.services.wiring import Context
from spellbook_core.ui import text

MOST_BYTES = 200 * 1024 * 1024
"""Largest stored table that the page hands over; the server and the browser each hold the file in memory."""


def table(ctx: Context, output: OutputInfo, *, name: str, key: str) -> None:
    """Draw the choice of a file format for a stored table; nothing for a value that is none.

    A CSV is made safe for spreadsheets unless the person says otherwise: a cell such as `=HYPERLINK(...)` would run.
    """
    if not output.artifact.format.startswith("arrow-"):
        return
    with st.popover("Download", icon=":material/download:", type="tertiary", width="content"):
        if output.size_bytes > MOST_BYTES:
            st.caption(f"{text.size(output.size_bytes)} are too much for a browser. Use {text.code_span(_COMMAND)}.")
            return
        is_safe = st.toggle("Safe for spreadsheets", value=True, key=f"{key}_safe", help=_WHY)
        for label, form in (("CSV", "csv"), ("Parquet", "parquet"), ("JSON", "json")):
            st.download_button(
                label,
                data=_maker(ctx, output, form, is_safe),
                file_name=f"{name}.{form}",
                key=f"{key}_{form}",
                icon=":material/table:",
                type="tertiary",
                on_click="ignore",
                width="stretch",
            )
        st.caption("The file holds the values themselves: secrets in it are not masked.")


_COMMAND = "spellbook output PROJECT PIPELINE BLOCK --to FILE.csv"
_WHY = "A text that a spreadsheet would run as a formula (= + - @) gets a ' in front, in CSV files."


def _maker(ctx: Context, output: OutputInfo, form: str, is_safe: bool):
    def make() -> bytes:
        with tempfile.TemporaryDirectory(prefix="spellbook-download-") as folder:
            return outputs.export(ctx, output, Path(folder) / f"x.{form}", form, neutralise=is_safe).read_bytes()

    return make
