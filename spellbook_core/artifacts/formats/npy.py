"""npy: numpy arrays without objects, read with `allow_pickle=False`."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from spellbook_core.artifacts.formats.encoded import Encoded
from spellbook_core.artifacts.formats.mapped import MIN_MAPPED_BYTES
from spellbook_core.artifacts.formats.table_preview import preview_array
from spellbook_core.model.output import OutputKind

FORMAT = "npy"


def encode(value: object) -> Encoded | None:
    """Return how to store a plain array, or None when npy would change it (objects, masks, subclasses)."""
    if "numpy" not in sys.modules:
        return None
    import numpy as np

    if type(value) is not np.ndarray or not is_exact(value.dtype):
        return None
    array: Any = value
    return Encoded(
        format=FORMAT,
        suffix="npy",
        kind=OutputKind.ARRAY,
        type_name="numpy.ndarray",
        summary=f"{array.dtype} {tuple(array.shape)}",
        write=lambda file: _write(array, file),
        preview=lambda folder: preview_array(folder, array),
        rows=int(array.shape[0]) if array.ndim else None,
        facts={"shape": [int(size) for size in array.shape], "dtype": str(array.dtype)},
    )


def decode(path: Path) -> object:
    """Return a writable array; a large one is the file itself, mapped copy-on-write as in `mapped`."""
    import numpy as np

    if path.stat().st_size >= MIN_MAPPED_BYTES:
        with suppress(OSError):  # a limit on memory: the map counts as if all of it were written to
            return np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))
    return np.load(path, allow_pickle=False)


def is_exact(dtype: Any) -> bool:
    """Return whether npy gives back an array of the very same dtype."""
    import numpy as np

    if dtype.hasobject or dtype.metadata or dtype.kind not in "biufcSUVmM":
        return False
    try:
        described = np.lib.format.dtype_to_descr(dtype)
        return bool(np.lib.format.descr_to_dtype(described) == dtype) and not dtype.isalignedstruct
    except (TypeError, ValueError):  # numpy's answer to "has this dtype a description": user-made dtypes have none
        return False


def _write(array: Any, file: Any) -> None:
    import numpy as np

    np.lib.format.write_array(file, array, allow_pickle=False)
