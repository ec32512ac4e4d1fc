"""A stored frame as pandas gets it: large columns are not read, they are the file itself, mapped copy-on-write.

pandas cannot write to memory that Arrow mapped ("assignment destination is read-only"), and a copy costs the block that
much new memory before its first line. In a private map of our own a block may write what it likes: the system copies
the pages that it writes to, and the file stays as it is.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spellbook_core.artifacts.formats.arrow_file import open_table
from spellbook_core.artifacts.formats.periods import is_unknown, make_known

MIN_MAPPED_BYTES = 8 * 1024 * 1024
"""Smaller files are copied: that takes less time than to put a frame together from parts."""

MAX_MAPPED_COLUMNS = 100
"""Frames of more such columns are copied, into one block per dtype: pandas works on many blocks one by one."""

_NO_RESERVE = 0x4000 if sys.platform == "linux" else 0
"""So that a file larger than the free memory is not refused: hardly all of it is written to."""


def read_frame(path: Path, *, min_bytes: int = MIN_MAPPED_BYTES) -> tuple[Any, Any]:
    """Return the frame in an Arrow file as Arrow's pandas metadata describes it, and the Arrow table.

    Args:
        path: A file that is never changed; it may be removed while the frame is in use.
        min_bytes: Files from this size on are mapped.
    """
    if path.stat().st_size < min_bytes:
        table = _open(path)
        return table.to_pandas(), table
    import pyarrow as pa

    with path.open("rb") as file:
        try:
            whole = mmap.mmap(
                file.fileno(), 0, flags=mmap.MAP_PRIVATE | _NO_RESERVE, prot=mmap.PROT_READ | mmap.PROT_WRITE
            )
        except OSError:  # a limit on memory: this counts as if all of it were written to
            table = _open(path)
            return table.to_pandas(), table
    buffer = pa.py_buffer(whole)
    table = _known(lambda: pa.ipc.open_file(pa.BufferReader(buffer)).read_all())
    empty = table.slice(0, 0).to_pandas()
    arrays = {
        position: array
        for position, dtype in enumerate(empty.dtypes)
        if (array := _array(table.column(position), dtype, whole, buffer.address)) is not None
    }
    if not arrays or len(arrays) > MAX_MAPPED_COLUMNS:
        return table.to_pandas(), table
    return _put_together(table, empty.columns, arrays), table


def _open(path: Path) -> Any:
    return _known(lambda: open_table(path))


def _known(read: Callable[[], Any]) -> Any:
    """Return the table that `read` reads, its columns of periods known as such, not as numbers."""
    table = read()
    if not any(map(is_unknown, table.schema)):
        return table
    make_known()
    return read()


def _array(column: Any, dtype: Any, whole: mmap.mmap, begins: int) -> Any:
    """Return the cells of a column where they lie in the file; None where pandas keeps such cells in another form."""
    import numpy as np
    import pyarrow as pa

    if not isinstance(dtype, np.dtype) or column.num_chunks != 1 or column.null_count or not len(column):
        return None
    kind = column.type
    if dtype.kind in "iuf":
        fits = kind.to_pandas_dtype() is dtype.type
    else:
        is_time = (dtype.kind == "M" and pa.types.is_timestamp(kind)) or (
            dtype.kind == "m" and pa.types.is_duration(kind)
        )
        fits = is_time and np.datetime_data(dtype) == (kind.unit, 1)
    if not fits:
        return None
    [cells] = column.chunks
    offset = cells.buffers()[1].address - begins + cells.offset * dtype.itemsize
    return None if offset % dtype.itemsize else np.frombuffer(whole, dtype, len(cells), offset)


def _put_together(table: Any, labels: Any, arrays: dict[int, Any]) -> Any:
    """Return the frame of mapped columns and of all others, which Arrow converts."""
    import pandas as pd

    others = [position for position in range(table.num_columns) if position not in arrays]
    converted = table.select(others).to_pandas()
    columns, taken = {}, 0
    for position in range(len(labels)):
        if position in arrays:
            columns[position] = pd.Series(arrays[position], index=converted.index, copy=False)
        else:
            columns[position] = converted.iloc[:, taken]
            taken += 1
    frame = pd.DataFrame(columns, index=converted.index, copy=False)
    frame.columns = labels
    return frame
