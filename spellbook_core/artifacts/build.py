"""Arrow arrays built from buffers, for processes that must stay small: `pyarrow.array` imports pandas when it can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def integers(values: Any) -> Any:
    """Return an int64 Arrow array over a numpy array's own memory."""
    import numpy as np
    import pyarrow as pa

    plain = np.ascontiguousarray(values, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(plain), [None, pa.py_buffer(plain)])


def floats(array: Any) -> Any:
    """Return the numpy view of a float64 Arrow array without nulls; `to_numpy` would import pandas."""
    import numpy as np

    data = array.buffers()[1]
    if not len(array) or data is None:
        return np.empty(0, dtype=np.float64)
    return np.frombuffer(data, dtype=np.float64)[array.offset : array.offset + len(array)]


def texts(values: Sequence[object]) -> Any:
    """Return a large_string Arrow array of `str(value)`; None stays null."""
    import numpy as np
    import pyarrow as pa

    encoded = [b"" if value is None else str(value).encode("utf-8", "replace") for value in values]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    valid = np.packbits(np.array([value is not None for value in values], dtype=bool), bitorder="little")
    buffers = [pa.py_buffer(valid), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.large_string(), len(encoded), buffers)
