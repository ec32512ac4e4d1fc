"""Which encoder keeps a value, and which decoder reads a format: the allow-list, first match wins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spellbook_core.artifacts.formats import (
    composites,
    frames,
    json_values,
    npy,
    pickles,
    query_results,
    tables,
    tensors,
)
from spellbook_core.artifacts.formats.composites import Apart
from spellbook_core.artifacts.formats.encoded import Encoded

_ENCODERS: tuple[Callable[[object], Encoded | None], ...] = (
    json_values.encode,
    npy.encode,
    query_results.encode,
    frames.encode,
    tables.encode,
    tensors.encode,
)

_DECODERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    json_values.FORMAT: ("json", json_values.decode),
    npy.FORMAT: ("npy", npy.decode),
    frames.FRAME_FORMAT: ("arrow", frames.decode),
    frames.SERIES_FORMAT: ("arrow", frames.decode),
    query_results.QUERY_FORMAT: ("arrow", query_results.decode),
    tables.TABLE_FORMAT: ("arrow", tables.decode),
    tables.POLARS_FORMAT: ("arrow", tables.decode_polars),
    tensors.SAFETENSORS_FORMAT: ("safetensors", tensors.decode_plain),
    tensors.TORCH_FORMAT: ("pt", tensors.decode_torch),
    pickles.PICKLE_FORMAT: ("pkl", pickles.decode),
    pickles.CLOUDPICKLE_FORMAT: ("pkl", pickles.decode),
}

ARROW_FORMATS = frozenset(name for name, (suffix, _) in _DECODERS.items() if suffix == "arrow")
"""Formats whose data file is a table that any process may map and page."""

CODE_FORMATS = frozenset({pickles.PICKLE_FORMAT, pickles.CLOUDPICKLE_FORMAT})
"""Formats that run code when they are read."""


def encode(value: object) -> Encoded | Apart:
    """Return how to store `value`, or what it consists of when its tables and arrays are stored by themselves.

    Raises:
        DuplicateColumnsError: Columns of one name differ. [SB-ART-006]
    """
    for encoder in _ENCODERS:
        encoded = encoder(value)
        if encoded is not None:
            return encoded
    return composites.take_apart(value) or pickles.encode(value)


def suffix(format_name: str) -> str | None:
    """Return the data file's suffix of a known format, else None."""
    if format_name == composites.FORMAT:
        return composites.SUFFIX
    found = _DECODERS.get(format_name)
    return None if found is None else found[0]


def decode(format_name: str, path: Path) -> object:
    """Return the value stored in `path`, of any format but `composites.FORMAT`, which is several files.

    Formats of `CODE_FORMATS` run code: check who wrote them first.
    """
    return _DECODERS[format_name][1](path)
