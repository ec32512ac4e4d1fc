"""Previews and pages without secrets. The stored value is the block's own and is never changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spellbook_core.artifacts.cells import cells
from spellbook_core.artifacts.formats.arrow_file import open_table
from spellbook_core.artifacts.formats.table_preview import write_arrow
from spellbook_core.artifacts.store import PREVIEW_JSON_FILE, PREVIEW_TABLE_FILE
from spellbook_core.model.masking import Masker


def mask_previews(folder: Path, masker: Masker) -> None:
    """Mask what was just written to show a value by: texts, cells and column names. Pictures stay as drawn."""
    document = folder / PREVIEW_JSON_FILE
    if document.exists():
        found = json.loads(document.read_bytes())
        document.write_text(json.dumps(masker.value(found), ensure_ascii=False), encoding="utf-8")
    rows = folder / PREVIEW_TABLE_FILE
    if rows.exists():
        table = open_table(rows)
        masked = mask_table(table, masker)
        if masked is not table:
            draft = rows.with_suffix(".tmp")
            write_arrow(draft, masked)
            draft.replace(rows)


def mask_table(table: Any, masker: Masker) -> Any:
    """Return a small Arrow table with secrets masked in its cells and names; the same object when it has none.

    A column in which something is masked becomes texts. Numbers, times and truth values are not looked at.
    """
    import pyarrow as pa

    if not masker:
        return table
    names = masker.names(table.column_names)
    columns = [_masked_column(column, masker) for column in table.columns]
    if names == table.column_names and all(new is old for new, old in zip(columns, table.columns, strict=True)):
        return table
    return pa.Table.from_arrays(columns, names=names)


def _masked_column(column: Any, masker: Masker) -> Any:
    import pyarrow as pa

    kind, types = column.type, pa.types
    if types.is_primitive(kind) or types.is_null(kind) or types.is_decimal(kind):
        return column
    is_text = types.is_string(kind) or types.is_large_string(kind)
    shown = column.to_pylist() if is_text else cells(column)[0]
    masked = [masker.text(cell) if isinstance(cell, str) else cell for cell in shown]
    if masked == shown:
        return column
    return pa.chunked_array([pa.array([None if cell is None else str(cell) for cell in masked], pa.string())])
