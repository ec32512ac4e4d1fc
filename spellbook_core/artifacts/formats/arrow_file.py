"""Arrow IPC files: written uncompressed, read through a memory map."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_table(file: Any, table: Any) -> None:
    """Write `table` to a binary file, dictionaries unified, as the format wants."""
    import pyarrow as pa

    whole = table.unify_dictionaries()
    with pa.ipc.new_file(file, whole.schema) as writer:
        writer.write_table(whole)


def open_table(path: Path) -> Any:
    """Return the table in `path`; its cells stay in the file until they are touched."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()
