"""What no encoder may keep, and where inside a value it sits.

cloudpickle "succeeds" on an open file and gives back a StringIO, so such things are looked for, not waited for.
"""

from __future__ import annotations

import io
import socket
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Generator, Iterator, Mapping
from itertools import islice
from typing import Any

_LOCKS = (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Event, threading.Semaphore)
_MAX_LOOKED_AT = 50_000


def fix_for(value: object) -> str | None:
    """Return what to do instead of returning `value`, or None when nothing speaks against it."""
    if isinstance(value, (Generator, AsyncGenerator)):
        return "return list(...) of it, or a table built from it"
    futures = sys.modules.get("asyncio")  # who has made one has imported it; nobody else should have to
    if isinstance(value, Coroutine) or (futures is not None and isinstance(value, futures.Future)):
        return "await it, and return its result"
    if isinstance(value, io.IOBase):
        in_memory = isinstance(value, (io.BytesIO, io.StringIO))
        return None if in_memory else "return what you read from it, or its path"
    if isinstance(value, _LOCKS):
        return "leave it out; each block runs in its own process, so a lock protects nothing between blocks"
    if isinstance(value, (socket.socket, threading.Thread)):
        return "leave it out and open it in the block that needs it"
    return _library_fix(value)


def _library_fix(value: object) -> str | None:
    module = type(value).__module__
    root = module.partition(".")[0]
    if root in {"duckdb", "_duckdb"} and type(value).__name__ == "DuckDBPyConnection":
        return "return a query's rows: con.sql(...).to_arrow_table() or .df(), and connect again where you need it"
    if root in {"duckdb", "_duckdb"} and type(value).__name__ == "DuckDBPyRelation":
        return "call .to_arrow_table() or .df() on it"
    if root == "polars" and type(value).__name__ == "LazyFrame":
        return "call .collect() on it and return the frame"
    if root == "sqlite3" and type(value).__name__ in {"Connection", "Cursor"}:
        return "return the rows, and connect again where you need them"
    if isinstance(value, Iterator | AsyncIterator) and module == "builtins":
        is_cheap = type(value).__name__.endswith(("_iterator", "iterator"))
        return None if is_cheap else "return list(...) of it"
    return None


def path_of(value: object, wanted: object) -> str:
    """Return where `wanted` (by identity) sits inside `value`, as Python would write it after the value's own name.

    Breadth first, so the shortest way: `['model'].hook`, `[0]`; empty for the value itself and when not found.
    """
    seen: set[int] = set()
    level: list[tuple[str, object]] = [("", value)]
    while level and len(seen) <= _MAX_LOOKED_AT:
        below = []
        for path, item in level:
            if item is wanted:
                return path
            if id(item) not in seen:
                seen.add(id(item))
                below += [(path + part, child) for part, child in _parts(item)]
        level = below
    return ""


def _parts(item: object) -> list[tuple[str, object]]:
    """Return (how to write it, part) of what a person can see inside: items, attributes, closure variables."""
    if isinstance(item, (str, bytes, int, float, type(None), type, type(sys))):
        return []
    if isinstance(item, Mapping) and type(item).__module__ in {"builtins", "collections"}:
        return [(f"[{_short(key)}]", part) for key, part in islice(item.items(), _MAX_LOOKED_AT)]
    if isinstance(item, (list, tuple)):
        return [(f"[{index}]", part) for index, part in enumerate(islice(item, _MAX_LOOKED_AT))]
    if isinstance(item, (set, frozenset)):
        return [("{...}", part) for part in islice(item, _MAX_LOOKED_AT)]
    return _function_parts(item) or _attribute_parts(item)


def _function_parts(item: Any) -> list[tuple[str, object]]:
    code = getattr(item, "__code__", None)
    cells = getattr(item, "__closure__", None)
    if code is None or not isinstance(cells, tuple):
        return []
    parts = []
    for name, cell in zip(code.co_freevars, cells, strict=False):
        try:
            parts.append((f".<closure {name}>", cell.cell_contents))
        except ValueError:  # the variable has no value yet
            continue
    return parts


def _attribute_parts(item: object) -> list[tuple[str, object]]:
    try:
        own = object.__getattribute__(item, "__dict__")
    except AttributeError:
        own = {}
    if not isinstance(own, dict):
        return []
    parts = [(f".{name}", part) for name, part in own.items() if type(name) is str]
    slots = [name for kind in type(item).__mro__ for name in _slots(kind) if name not in {"__dict__", "__weakref__"}]
    for name in slots:
        try:
            parts.append((f".{name}", object.__getattribute__(item, name)))
        except AttributeError:
            continue
    return parts


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _short(key: object) -> str:
    from spellbook_core.artifacts.sketch import describe_shortly

    return describe_shortly(key, 60)
