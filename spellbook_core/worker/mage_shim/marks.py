"""The decorators of mage: ours where they mean a function of a block or chart, else marks without effect."""

from __future__ import annotations

from collections.abc import Callable

from spellbook_core.decorators import (
    CHART_DECORATORS,
    callback,
    condition,
    custom,
    data_exporter,
    data_loader,
    preprocesser,
    sensor,
    test,
    transformer,
)

__all__ = ["callback", "condition", "custom", "data_exporter", "data_loader", "preprocesser", "sensor", "test"]
__all__ += ["columns", "configuration", "data_source", "extension", "factory", "on_failure", "on_success", "render"]
__all__ += ["streaming_sink", "streaming_source", "transformer", "x", "xy", "y"]


def on_success(function: Callable[..., object]) -> Callable[..., object]:
    """Mark a callback for success, in mage's older spelling."""
    return callback("success")(function)


def on_failure(function: Callable[..., object]) -> Callable[..., object]:
    """Mark a callback for failure, in mage's older spelling."""
    return callback("failure")(function)


def _mark(*arguments: object, **options: object) -> object:
    """Return the function as it is; usable bare and called."""
    if len(arguments) == 1 and callable(arguments[0]) and not options:
        return arguments[0]
    return _identity


def _identity(function: object) -> object:
    return function


data_source, x, y, xy = (CHART_DECORATORS[name] for name in ("data_source", "x", "y", "xy"))
columns, configuration, render = (CHART_DECORATORS[name] for name in ("columns", "configuration", "render"))
extension = factory = streaming_source = streaming_sink = _mark
