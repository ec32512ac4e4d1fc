"""A small JSON picture of any value, bounded while it is made: a 25 MB list never becomes 25 MB of JSON."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from spellbook_core.model.values import JsonValue

MAX_NODES = 2_000
"""Values in one sketch, all levels together: about what a person scrolls through."""

MAX_ITEMS = 100
"""Entries of one list or dict."""

MAX_DEPTH = 8
MAX_TEXT_CHARS = 2_000
"""Characters of one string; a text output's own preview holds `MAX_DOCUMENT_CHARS`."""

MAX_DOCUMENT_CHARS = 100_000
_EXACT_INT = 2**53  # larger ones change in a browser


class Sketcher:
    """Makes one sketch; `is_cut` tells afterwards whether anything was left out."""

    def __init__(self) -> None:
        self._left = MAX_NODES
        self.is_cut = False

    def sketch(self, value: object, depth: int = 0) -> JsonValue:
        """Return a JSON value that shows `value`; looks at no more than `MAX_NODES` parts of it."""
        self._left -= 1
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int) and type(value) is int:
            return value if abs(value) <= _EXACT_INT else self._text(_short_int(value))
        if type(value) is float:
            return value if math.isfinite(value) else str(value)
        if type(value) is str:
            return self._text(value)
        if isinstance(value, (list, tuple, set, frozenset, dict)) and depth >= MAX_DEPTH:
            self.is_cut = True
            return f"… {type(value).__name__} of {len(value)}"
        if isinstance(value, dict):
            return self._dict(value, depth)
        if isinstance(value, (list, tuple, set, frozenset)):
            return self._items(value, len(value), depth)
        return describe_shortly(value)

    def _text(self, text: str) -> str:
        cut = text[:MAX_TEXT_CHARS]
        if len(cut) < len(text):
            self.is_cut = True
            cut += f"… {len(text) - len(cut)} more characters"
        return cut.encode("utf-8", "replace").decode()  # lone surrogates are no JSON text

    def _dict(self, value: Mapping[object, object], depth: int) -> JsonValue:
        result: dict[str, JsonValue] = {}
        for key, item in islice(value.items(), MAX_ITEMS):
            if self._left <= 0:
                break
            name = self._text(key) if type(key) is str else describe_shortly(key)
            result[name] = self.sketch(item, depth + 1)
        if len(result) < len(value):
            self.is_cut = True
            result["…"] = f"{len(value) - len(result)} more"
        return result

    def _items(self, value: Iterable[object], length: int, depth: int) -> JsonValue:
        result: list[JsonValue] = []
        for item in islice(value, MAX_ITEMS):
            if self._left <= 0:
                break
            result.append(self.sketch(item, depth + 1))
        if len(result) < length:
            self.is_cut = True
            result.append(f"… {length - len(result)} more")
        return result


class _ShortRepr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 20
        self.maxstring = self.maxother = 300
        self.maxlong = 60


def describe_shortly(value: object, limit: int = 300) -> str:
    """Return a bounded one-line text for any value: shape and dtype where it has them, else its repr.

    Never raises, and never formats the contents of an array, table or tensor.
    """
    if isinstance(value, int) and type(value) is int:
        return _short_int(value)[:limit]
    try:
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple) and shape:
            dtype = getattr(value, "dtype", None)
            sizes = " x ".join(str(size) for size in shape)
            return f"{type(value).__name__} {sizes}" + (f" {dtype}" if dtype is not None else "")
        text = _ShortRepr().repr(value)
    except Exception as problem:  # noqa: BLE001  # user code: a __repr__ may raise anything
        text = f"<{type(value).__name__}, whose repr fails with {type(problem).__name__}>"
    return text[:limit].encode("utf-8", "replace").decode()


def label_text(label: object) -> str:
    """Return a column's label as people read it."""
    text = label if isinstance(label, str) else describe_shortly(label)
    return text.encode("utf-8", "replace").decode()


def _short_int(value: int) -> str:
    """Return the digits, or for a huge integer its size: Python refuses to print more than 4,300 digits."""
    bits = value.bit_length()
    return str(value) if bits <= 4_000 else f"an integer of {bits} bits"


def type_name(value: object) -> str:
    """Return how people write the type of `value`, e.g. `pandas.DataFrame`, `int`, `titanic.models.Net`."""
    kind: Any = type(value)
    module = str(kind.__module__)
    root = module.partition(".")[0]
    known = {"pandas", "numpy", "torch", "pyarrow", "polars", "matplotlib", "plotly", "altair"}
    if module == "builtins":
        return str(kind.__qualname__)
    if root == "torch" and module.startswith("torch.nn"):
        return f"torch.nn.{kind.__qualname__}"
    return f"{root if root in known else module}.{kind.__qualname__}"
