"""`mage_ai` for block files: the modules that public mage projects import, served without mage itself.

`SPELLBOOK_MAGE_AI=installed` lets a real mage-ai in the block's environment win; by default ours is served, because
functions decorated by the real one are unknown to us.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType

from spellbook_core.worker.mage_shim.failures import MissingFromMageError
from spellbook_core.worker.mage_shim.offers import INSTEAD, MODULES, OTHERWISE, PACKAGES


class MageShimFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Serves `mage_ai` modules, each made of one of ours when it is imported; nothing is loaded before.

    Args:
        repo_path: The project's folder.
    """

    def __init__(self, repo_path: str) -> None:
        self._repo_path = repo_path

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return a spec for the names served.

        Raises:
            MissingFromMageError: For any other name below `mage_ai`, naming it and what to use. [SB-WRK-031]
        """
        if fullname in PACKAGES or fullname in MODULES:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=fullname in PACKAGES)
        if fullname.startswith("mage_ai."):
            raise _missing(fullname, fullname)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Leave making the module to Python."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module with the names of ours that stand for it."""
        name = module.__name__
        if name in MODULES:
            ours, names = MODULES[name]
            source = importlib.import_module(f"{__name__}.{ours}")
            vars(module).update({each: getattr(source, each) for each in names})
        vars(module)["__getattr__"] = _refusal(name)


def install(repo_path: str) -> None:
    """Make `mage_ai` importable in this process; see the module's own text for which one that is."""
    finder = MageShimFinder(repo_path)
    if os.environ.get("SPELLBOOK_MAGE_AI") == "installed":
        sys.meta_path.append(finder)
    else:
        sys.meta_path.insert(0, finder)


def _refusal(module: str) -> Callable[[str], object]:
    def __getattr__(name: str) -> object:  # noqa: N807  # Python's own hook for names that a module lacks
        if name.startswith("__") or f"{module}.{name}" in PACKAGES or f"{module}.{name}" in MODULES:
            raise AttributeError(name)
        raise _missing(f"{module}.{name}", module)

    return __getattr__


def _missing(name: str, module: str) -> MissingFromMageError:
    hint = next((text for prefix, text in INSTEAD.items() if name.startswith(prefix)), OTHERWISE)
    return MissingFromMageError(f"Spellbook does not offer '{name}' of mage-ai.", hint=hint, module=module)
