"""The decorators that mark a block file's functions: `@data_loader`, `@transformer`, `@test` and the rest.

They return the function unchanged, so block files are plain modules for pytest, an IDE or Jupyter. While the worker
executes a block file inside `collecting()`, each decorated function is also recorded, however the decorator was
imported. Registration works on the innermost function, so an author's own decorator may be stacked outside ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, cast, overload

Function = TypeVar("Function", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Decorated:
    """One decorated function, in the order of the file: which decorator, its arguments, the function."""

    decorator: str
    function: Callable[..., object]
    arguments: tuple[object, ...] = ()


@dataclass(slots=True)
class Collection:
    """What one execution of a block file declared."""

    found: list[Decorated] = field(default_factory=list)

    def of(self, decorator: str) -> list[Decorated]:
        """Return the functions marked with `decorator`, in file order."""
        return [entry for entry in self.found if entry.decorator == decorator]


_current: ContextVar[Collection | None] = ContextVar("spellbook_decorated", default=None)


@contextmanager
def collecting() -> Iterator[Collection]:
    """Record what is decorated inside the `with` block."""
    collection = Collection()
    token = _current.set(collection)
    try:
        yield collection
    finally:
        _current.reset(token)


class Decorator(Protocol):
    """Usable bare (`@transformer`) or called (`@transformer()`, `@callback("failure")`)."""

    @overload
    def __call__(self, function: Function, /) -> Function: ...  # type: ignore[overload-overlap]  # told apart at run time
    @overload
    def __call__(self, *arguments: object, **options: object) -> Callable[[Function], Function]: ...


def _make(name: str) -> Decorator:
    def decorator(*arguments: object, **options: object) -> object:
        if len(arguments) == 1 and callable(arguments[0]) and not options:
            return _record(name, arguments[0], ())
        return lambda function: _record(name, function, (*arguments, *options.values()))

    decorator.__name__ = name
    decorator.__doc__ = f"Mark a function of a block file as its `{name}`."
    return decorator  # type: ignore[return-value]  # the two call forms are told apart at run time


def _record(name: str, function: Callable[..., object], arguments: tuple[object, ...]) -> Callable[..., object]:
    collection = _current.get()
    if collection is not None:
        collection.found.append(Decorated(name, function, arguments))
    return function


data_loader = _make("data_loader")
transformer = _make("transformer")
custom = _make("custom")
data_exporter = _make("data_exporter")
sensor = _make("sensor")
condition = _make("condition")
callback = _make("callback")
preprocesser = _make("preprocesser")
test = _make("test")
on_success = callback("success")
on_failure = callback("failure")
"""Callbacks in mage's older spelling; bare only."""

BLOCK_DECORATORS: dict[str, str] = {
    "data_loader": "data_loader",
    "transformer": "transformer",
    "custom": "custom",
    "data_exporter": "data_exporter",
    "sensor": "sensor",
    "conditional": "condition",
    "callback": "callback",
    "global_data_product": "data_loader",
}
"""Block type -> the decorator its main function carries. Source: mage-ai 0.9.80's block contract."""

ALL_DECORATORS: dict[str, Decorator] = {
    "data_loader": data_loader,
    "transformer": transformer,
    "custom": custom,
    "data_exporter": data_exporter,
    "sensor": sensor,
    "condition": condition,
    "callback": callback,
    "on_success": cast("Decorator", on_success),
    "on_failure": cast("Decorator", on_failure),
    "preprocesser": preprocesser,
    "test": test,
}
"""What a block file finds in its globals without importing anything."""

CHART_DECORATORS: dict[str, Decorator] = {
    name: _make(name) for name in ("data_source", "x", "y", "xy", "columns", "configuration", "render")
}
"""What a chart's file finds in its globals besides. Source: mage-ai 0.9.80's widgets."""
