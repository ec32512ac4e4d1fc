"""What benchmarks share: a row is our figure, a floor measured in the same run, and their ratio."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Report = Callable[..., None]


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
