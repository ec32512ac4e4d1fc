"""One thing that a check of a pipeline found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that speaks against a run: an `error` stops it, a `warning` may not.

    Attributes:
        block: The block's uuid; None when it is about the whole pipeline.
        file: Relative to the project; None when there is none.
        line: 1-based.
    """

    code: str
    severity: str
    block: str | None
    message: str
    hint: str
    file: str | None = None
    line: int | None = None
