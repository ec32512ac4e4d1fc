"""Writes a stored table to a file for other programs, batch by batch, without pandas."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from spellbook_core.artifacts.build import texts
from spellbook_core.artifacts.cells import cells, plain, timestamps
from spellbook_core.artifacts.formats.table_preview import cell_text
from spellbook_core.artifacts.preview import open_shown
from spellbook_core.artifacts.problems import NotExportableError
from spellbook_core.artifacts.store import ArtifactStore
from spellbook_core.errors import StorageError
from spellbook_core.model.output import ArtifactRef

BATCH_ROWS = 50_000
_FORMULA = r"^[=+\-@\t\r]"
_NUMBER = r"^[+\-]?(\d+\.?\d*|\.\d+)([eE][+\-]?\d+)?$"


def export(store: ArtifactStore, ref: ArtifactRef, to: Path, file_format: str, *, neutralise: bool = True) -> Path:
    """Write a stored table to `to`, whole or not at all; a file that is there is replaced.

    Args:
        store: Where `ref` lies.
        ref: An Arrow output, or one stored as JSON when `file_format` is `json`.
        to: The file; its folder exists.
        file_format: `csv` (UTF-8, header line), `parquet` (zstd) or `json` (a list of objects).
        neutralise: In CSV, put a `'` before texts that a spreadsheet would run as a formula (=, +, -, @, tab, return
            first), unless they are plain numbers.

    Returns:
        `to`.

    Raises:
        NotExportableError: The output cannot be written in that format. [SB-ART-009]
        StorageError: The disk is full, read-only or forbids it. [SB-SYS-006]
    """
    draft = to.with_name(f".{to.name[:40]}.{secrets.token_hex(4)}.tmp")
    try:
        write = _writer(store, ref, file_format, neutralise)
        write(draft)
        os.replace(draft, to)
    except OSError as cause:
        if isinstance(cause, StorageError) or cause.errno is None:
            raise
        raise StorageError(
            f"Cannot write {to.name}: {cause.strerror or cause}.",
            hint="free some disk space, or choose a folder that you may write to.",
            path=str(to),
        ) from cause
    finally:
        draft.unlink(missing_ok=True)
    return to


def _writer(store: ArtifactStore, ref: ArtifactRef, file_format: str, neutralise: bool) -> Callable[[Path], None]:
    if file_format not in {"csv", "parquet", "json"}:
        raise NotExportableError(
            f"'{file_format[:40]}' is no export format.", hint="choose csv, parquet or json.", artifact=ref.digest
        )
    if ref.format == "json" and file_format == "json":
        source = store.data_path(ref)
        return lambda path: _copy(source, path)
    meta = store.meta(ref)
    if not ref.format.startswith("arrow-"):
        raise NotExportableError(
            f"A {meta.get('type_name')} stored as {ref.format} cannot be exported to {file_format} from here.",
            hint="write it in a data exporter block, where the value itself is at hand.",
            artifact=ref.digest,
        )
    table, _, _ = open_shown(store, ref)
    if file_format == "csv":
        return lambda path: _write_csv(table, path, neutralise)
    return (
        (lambda path: _write_parquet(table, path))
        if file_format == "parquet"
        else lambda path: _write_json(table, path)
    )


def _copy(source: Path, path: Path) -> None:
    with source.open("rb") as read, path.open("xb") as write:
        while chunk := read.read(1024 * 1024):
            write.write(chunk)


def _batches(table: Any) -> Iterator[Any]:
    for start in range(0, table.num_rows, BATCH_ROWS):
        yield table.slice(start, BATCH_ROWS)


def _write_csv(table: Any, path: Path, neutralise: bool) -> None:
    import pyarrow as pa
    from pyarrow import csv

    names = [_safe_text(name) if neutralise else name for name in table.column_names]
    empty = pa.Table.from_arrays([_csv_column(column.slice(0, 0), False) for column in table.columns], names=names)
    with path.open("xb") as file, csv.CSVWriter(file, empty.schema) as writer:
        for batch in _batches(table):
            columns = [_csv_column(column, neutralise) for column in batch.columns]
            writer.write_table(pa.Table.from_arrays(columns, schema=empty.schema))


def _csv_column(column: Any, neutralise: bool) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = plain(column)
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return column
    if pa.types.is_floating(kind):
        return column.cast(pa.float32()) if pa.types.is_float16(kind) else column
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        words = column
    elif pa.types.is_timestamp(kind):
        return timestamps(column)
    elif pa.types.is_temporal(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return pa.chunked_array([texts(cells(column)[0])])
    else:
        words = pa.chunked_array([texts([cell_text(cell) for cell in column])])
    if not neutralise:
        return words
    is_formula = pc.and_(pc.match_substring_regex(words, _FORMULA), pc.invert(pc.match_substring_regex(words, _NUMBER)))
    return pc.if_else(is_formula, pc.replace_substring_regex(words, "^", "'", max_replacements=1), words)


def _safe_text(text: str) -> str:
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _write_parquet(table: Any, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [plain(column) if isinstance(column.type, pa.BaseExtensionType) else column for column in table.columns]
    whole = pa.Table.from_arrays(columns, names=_distinct_names(table.column_names))
    is_text = [pa.types.is_string(c.type) or pa.types.is_large_string(c.type) for c in columns]
    # Dictionaries on number columns cost 15 times the CPU time and make files larger.
    texts = [name for name, text in zip(whole.column_names, is_text, strict=True) if text]
    try:
        with pq.ParquetWriter(path, whole.schema, compression="zstd", use_dictionary=texts or False) as writer:
            for batch in _batches(whole):
                writer.write_table(batch)
    except pa.ArrowNotImplementedError as cause:
        raise NotExportableError(
            f"Parquet has no form for a column of this table: {cause}.", hint="choose csv or json."
        ) from cause


def _distinct_names(names: list[str]) -> list[str]:
    taken: set[str] = set()
    result = []
    for name in names:
        while name in taken:
            name += "_"
        taken.add(name)
        result.append(name)
    return result


def _write_json(table: Any, path: Path) -> None:
    names = _distinct_names(table.column_names)
    with path.open("x", encoding="utf-8") as file:
        file.write("[")
        before = "\n"
        for batch in _batches(table):
            columns = [cells_uncut(column) for column in batch.columns]
            for row in zip(*columns, strict=True):
                file.write(before + json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False))
                before = ",\n"
        file.write("\n]\n")


def cells_uncut(column: Any) -> list[Any]:
    """Return a column's cells for JSON, texts whole."""
    import pyarrow as pa

    column = plain(column)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return list(column.to_pylist())
    return list(cells(column)[0])
