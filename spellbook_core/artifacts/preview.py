"""Pages of stored tables for screens: bounded in memory, without unpickling, pandas or torch.

Arrow formats are paged whole. Of anything else that has rows (pickled frames, arrays) the worker left the first
`settings.PREVIEW_ROWS` rows as a small table, and these are what a page shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spellbook_core.artifacts.cells import JsonScalar, cells
from spellbook_core.artifacts.formats.arrow_file import open_table
from spellbook_core.artifacts.formats.periods import readable
from spellbook_core.artifacts.formats.registry import ARROW_FORMATS
from spellbook_core.artifacts.masked import mask_table
from spellbook_core.artifacts.problems import BadPageError, CorruptArtifactError, NotATableError
from spellbook_core.artifacts.query import first_rows, matching_rows
from spellbook_core.artifacts.store import PREVIEW_TABLE_FILE, ArtifactStore
from spellbook_core.model.output import ArtifactRef, Column
from spellbook_core.settings import MAX_PAGE_ROWS


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a stored table.

    Attributes:
        columns: What is shown, index columns of a frame first.
        rows: One list per row, cells in the order of `columns`; texts are cut, odd types are text, null is None.
        total_rows: Rows that match the search, of which these are some.
        truncated_cells: Cells of these rows that were cut.
        table: The same rows as a `pyarrow.Table`, cells uncut.
        is_partial: Only the first rows of the value can be paged here; all rows are counted in `OutputInfo.rows`.
    """

    columns: tuple[Column, ...]
    rows: list[list[JsonScalar]]
    total_rows: int
    truncated_cells: int
    table: Any
    is_partial: bool = False


def page(
    store: ArtifactStore,
    ref: ArtifactRef,
    *,
    offset: int,
    limit: int,
    sort: str | None = None,
    descending: bool = False,
    search: str | None = None,
) -> Page:
    """Return rows offset … offset+limit-1 of a stored table, secrets masked, reading no other rows into Python.

    Args:
        store: Where `ref` lies.
        ref: A table, series or array.
        offset: Rows to skip, 0-based.
        limit: At most `settings.MAX_PAGE_ROWS`.
        sort: Name of a column as `Page.columns` has it; None keeps the stored order. Nulls come last.
        descending: Largest first.
        search: Keeps the rows in which some cell's text contains it, whatever the case.

    Raises:
        NotATableError: The output has no rows to show. [SB-ART-005]
        BadPageError: Offset or limit is out of range, or there is no column `sort`. [SB-ART-008]
        ArtifactMissingError: It is not stored. [SB-ART-001]
        CorruptArtifactError: The file is damaged. [SB-ART-002]
    """
    if offset < 0 or not 0 < limit <= MAX_PAGE_ROWS:
        raise BadPageError(
            f"A page of {limit} rows from row {offset} cannot be shown.",
            hint=f"ask for 1 to {MAX_PAGE_ROWS} rows from row 0 or later.",
        )
    table, columns, is_partial = open_shown(store, ref)
    masker = store.masker()
    names = masker.names([column.name for column in columns])
    columns = tuple(Column(name, column.dtype) for name, column in zip(names, columns, strict=True))
    position = None if sort is None else _position(columns, sort)
    if search:
        found = matching_rows(table, sort=position, descending=descending, search=search)
        total = len(found)
        part = take(table, found.slice(offset, limit))
    elif position is not None:
        total = table.num_rows
        part = take(table, first_rows(table, sort=position, descending=descending, offset=offset, limit=limit))
    else:
        total = table.num_rows
        part = table.slice(offset, limit)
    part = mask_table(part, masker)
    shown = [cells(column) for column in part.columns]
    rows = [list(row) for row in zip(*(column for column, _ in shown), strict=True)] if shown else []
    return Page(columns, rows, total, sum(cut for _, cut in shown), part, is_partial)


def open_shown(store: ArtifactStore, ref: ArtifactRef) -> tuple[Any, tuple[Column, ...], bool]:
    """Return (mapped Arrow table in the order of display, its columns, whether it is only a preview).

    Raises:
        NotATableError: The output has no rows to show. [SB-ART-005]
        CorruptArtifactError: The file is damaged. [SB-ART-002]
    """
    import pyarrow as pa

    meta = store.meta(ref)
    is_whole = ref.format in ARROW_FORMATS
    path = store.data_path(ref) if is_whole else store.folder(ref) / PREVIEW_TABLE_FILE
    if not is_whole and (path.is_symlink() or not path.is_file()):
        problem = meta.get("preview_problem")
        raise NotATableError(
            f"A {meta.get('type_name')} has no rows to show." + (f" Its preview failed: {problem}" if problem else ""),
            hint="return a table, or look at the output's text." if not problem else "fix it and run the block again.",
            artifact=ref.digest,
        )
    try:
        table = open_table(path)
    except (pa.ArrowInvalid, OSError) as cause:
        raise CorruptArtifactError(
            f"The stored output {ref.digest} is corrupt: {path.name} is no Arrow file.",
            hint="run the block that makes it again.",
            artifact=ref.digest,
        ) from cause
    dtypes = {str(name): str(dtype) for name, dtype in _pairs(meta.get("columns"))}
    facts = meta.get("facts")
    display = facts.get("display") if isinstance(facts, dict) and is_whole else None
    if isinstance(display, list):
        shown = [(int(number), str(name)) for number, name in _pairs(display)]
    else:
        shown = list(enumerate(table.column_names))
    columns = tuple(Column(name, dtypes.get(name) or str(table.schema.field(number).type)) for number, name in shown)
    picked = pa.Table.from_arrays(
        [readable(table.column(number), table.schema.field(number)) for number, _ in shown],
        names=[name for _, name in shown],
    )
    return picked, columns, not is_whole


def take(table: Any, rows: Any) -> Any:
    """Return the rows by number; Arrow has no `take` for some types (views), of which single cells are joined."""
    import pyarrow as pa

    columns = []
    for column in table.columns:
        try:
            columns.append(column.take(rows))
        except pa.ArrowNotImplementedError:
            chunks = [chunk for row in rows.to_pylist() for chunk in column.slice(row, 1).chunks]
            columns.append(pa.chunked_array(chunks, type=column.type))
    return pa.Table.from_arrays(columns, names=table.column_names)


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    return [(first, second) for first, second in value] if isinstance(value, list) else []


def _position(columns: tuple[Column, ...], name: str) -> int:
    for position, column in enumerate(columns):
        if column.name == name:
            return position
    raise BadPageError(
        f"The table has no column '{name[:60]}' to sort by.",
        hint=f"sort by one of {', '.join(column.name for column in columns[:10])}.",
    )
