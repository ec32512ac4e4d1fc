"""What benchmarks share: a row is our figure, a floor measured in the same run, and their ratio."""

from __future__ import annotations

import compileall
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import spellbook_core

Report = Callable[..., None]


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    """Have our bytecode beside our files, as pip puts it there: the floors' libraries are compiled, too.

    Else a Python that may not write bytecode (PYTHONDONTWRITEBYTECODE) compiles all of it in every process.
    """
    folder = Path(spellbook_core.__file__).parent
    assert compileall.compile_dir(folder, quiet=1, rx=re.compile("node_modules"))


@pytest.fixture(autouse=True)
def _written() -> None:
    """Have on the disk what earlier benchmarks wrote, so that this one does not wait for it in its own writes."""
    os.sync()


@pytest.fixture
def report_row() -> Iterator[Report]:
    """Give a function that prints a row of docs/performance.md; the test fails when one of its rows is above its bound.

    A row without a floor is held to the bound itself. The test fails at its end, so that one miss hides no other row.
    `slack` is added to the allowed figure in the row's unit, for bounds of the form "floor + 1 s".
    """
    missed: list[dict[str, object]] = []

    def report(
        what: str, *, ours: float, floor: float | None, unit: str, bound: float | None, slack: float = 0.0
    ) -> None:
        ratio = None if floor is None else ours / floor
        row = {"what": what, "ours": ours, "floor": floor, "unit": unit, "ratio": ratio, "bound": bound, "slack": slack}
        print(json.dumps(row))
        out = os.environ.get("SPELLBOOK_BENCH_OUT")
        if out:
            with Path(out).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        if bound is not None and ours > (1.0 if floor is None else floor) * bound + slack:
            missed.append(row)

    yield report
    assert missed == []
