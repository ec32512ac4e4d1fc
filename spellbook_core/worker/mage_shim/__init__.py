"""`mage_ai` for block files, where mage itself is not installed: the names that blocks import most."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
from collections.abc import Callable, Sequence
from types import ModuleType

from spellbook_core.decorators import ALL_DECORATORS

_PACKAGES = frozenset(["mage_ai", "mage_ai.data_preparation", "mage_ai.settings"])
_MODULES = frozenset(
    ["mage_ai.data_preparation.decorators", "mage_ai.data_preparation.repo_manager", "mage_ai.settings.repo"]
)


class MageShimFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Serves a few `mage_ai` modules; appended last to `sys.meta_path`, so a real mage wins.

    Args:
        repo_path: What `get_repo_path()` returns: the project's folder.
    """

    def __init__(self, repo_path: str) -> None:
        self._repo_path = repo_path

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return a spec for the names served.

        Raises:
            ModuleNotFoundError: For any other name below `mage_ai`, naming it.
        """
        if fullname in _PACKAGES or fullname in _MODULES:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=fullname in _PACKAGES)
        if fullname.startswith("mage_ai."):
            raise ModuleNotFoundError(
                f"Spellbook does not offer '{fullname}' of mage-ai yet, and mage-ai is not installed. "
                "It offers mage_ai.data_preparation.decorators, mage_ai.settings.repo and "
                "mage_ai.data_preparation.repo_manager.",
                name=fullname,
            )
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Leave making the module to Python."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module."""
        if module.__name__ == "mage_ai.data_preparation.decorators":
            vars(module).update(ALL_DECORATORS)
        elif module.__name__ in _MODULES:
            vars(module)["get_repo_path"] = _repo_path_getter(self._repo_path)


def _repo_path_getter(path: str) -> Callable[..., str]:
    def get_repo_path(*arguments: object, **options: object) -> str:
        return path

    return get_repo_path
