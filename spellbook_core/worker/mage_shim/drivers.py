"""Drivers are imported when a block first needs them, and a missing one says what to install."""

from __future__ import annotations

import importlib
from typing import Any

from spellbook_core.worker.mage_shim.failures import DriverMissingError


def driver(purpose: str, package: str, *modules: str) -> Any:
    """Return the first of `modules` that can be imported.

    Args:
        purpose: What needs it, e.g. `Postgres`.
        package: What pip calls the package that brings the first module.
        modules: Full names, best first.

    Raises:
        DriverMissingError: None is installed. [SB-WRK-034]
    """
    for name in modules:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise DriverMissingError(
        f"{purpose} needs the Python package '{package}', which is not installed.",
        hint=f"pip install '{package}'",
        package=package,
    )
