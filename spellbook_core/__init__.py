"""Spellbook: a notebook made of files, with a real execution engine under it.

What block files and scripts may use. Every name is imported when it is first touched, so that `import spellbook_core`
costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spellbook_core.decorators import (
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
    from spellbook_core.model.pipeline import Pipeline
    from spellbook_core.services.runs import run_pipeline
    from spellbook_core.training import batches
    from spellbook_core.worker.api import current_run, log_figure, log_metric, notice, progress
    from spellbook_core.worker.secrecy import secret

_HOMES = {
    **dict.fromkeys(
        (
            "callback",
            "condition",
            "custom",
            "data_exporter",
            "data_loader",
            "preprocesser",
            "sensor",
            "test",
            "transformer",
        ),
        "spellbook_core.decorators",
    ),
    **dict.fromkeys(("current_run", "log_figure", "log_metric", "notice", "progress"), "spellbook_core.worker.api"),
    "batches": "spellbook_core.training",
    "secret": "spellbook_core.worker.secrecy",
    "Pipeline": "spellbook_core.model.pipeline",
    "run_pipeline": "spellbook_core.services.runs",
}

__all__ = [
    "Pipeline",
    "batches",
    "callback",
    "condition",
    "current_run",
    "custom",
    "data_exporter",
    "data_loader",
    "log_figure",
    "log_metric",
    "notice",
    "preprocesser",
    "progress",
    "run_pipeline",
    "secret",
    "sensor",
    "test",
    "transformer",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'spellbook_core' has no attribute '{name}'")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
