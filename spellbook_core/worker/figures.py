"""Figures of a block that runs: those it logs by name, and what `plt.show()` would have opened a window for."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from spellbook_core.artifacts.formats import figures
from spellbook_core.artifacts.masked import mask_previews
from spellbook_core.artifacts.store import PREVIEW_IMAGE_FILE, PREVIEW_JSON_FILE
from spellbook_core.errors import SpellbookError
from spellbook_core.model.masking import Masker

FOLDER = "figures"
"""Beside an attempt's log: `<number>.png` or `<number>.json`, one per name."""

MAX_FIGURES = 50
"""Most names that one attempt may log figures under."""

_PYPLOT = "matplotlib.pyplot"


class NotAFigureError(SpellbookError, TypeError):
    """`log_figure` got a value of a kind that it cannot draw."""

    code = "SB-WRK-053"


def write(figure: object, folder: Path, number: int, masker: Masker) -> str:
    """Draw `figure` into `folder` as file `number`, whole or not at all, and return the file's name.

    Raises:
        NotAFigureError: It is no figure of matplotlib, plotly, altair or PIL, nor has one. [SB-WRK-053]
    """
    found = figures.recognise(_figure_of(figure))
    if found is None:
        raise NotAFigureError(
            f"log_figure cannot draw a {type(figure).__name__}.",
            hint="give it a figure of matplotlib, plotly or altair, or an image of PIL.",
        )
    folder.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as made:
        draft = Path(made)
        found.write_preview(draft)
        if masker:
            mask_previews(draft, masker)
        is_image = (draft / PREVIEW_IMAGE_FILE).exists()
        name = f"{number}.png" if is_image else f"{number}.json"
        os.replace(draft / (PREVIEW_IMAGE_FILE if is_image else PREVIEW_JSON_FILE), folder / name)
    return name


def _figure_of(value: Any) -> object:
    """Return the figure that axes, an artist or a grid of axes belongs to, else the value itself."""
    module = type(value).__module__
    if module.startswith(("matplotlib.", "seaborn.", "pandas.plotting")) and not hasattr(value, "savefig"):
        return getattr(value, "figure", value)
    return getattr(value, "figure", value) if module.startswith("seaborn.") else value


class PyplotFinder(importlib.abc.MetaPathFinder):
    """Waits for matplotlib's pyplot to be imported, and then has its `show` hand the open figures to `capture`."""

    def __init__(self, capture: Callable[[str, object], None]) -> None:
        self._capture = capture

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return pyplot's own spec with a loader that changes `show`; None for every other module."""
        if fullname != _PYPLOT:
            return None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _ShowLoader(spec.loader, self._capture)
        return spec


class _ShowLoader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader, capture: Callable[[str, object], None]) -> None:
        self._loader = loader
        self._capture = capture

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        vars(module)["show"] = lambda *arguments, **options: capture_open(self._capture)


def capture_open(capture: Callable[[str, object], None], but: frozenset[int] = frozenset()) -> None:
    """Hand pyplot's open figures to `capture`, each with its window's name, and close them.

    Args:
        capture: Gets name and figure.
        but: Identities of figures that are shown elsewhere already.
    """
    pyplot: Any = sys.modules.get(_PYPLOT)
    if pyplot is None:
        return
    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        if id(figure) not in but and (figure.axes or figure.texts):
            capture(str(figure.get_label() or f"Figure {number}"), figure)
        pyplot.close(figure)
