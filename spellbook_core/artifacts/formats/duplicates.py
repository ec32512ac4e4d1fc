"""Columns of one name: merged when they are identical, refused when they differ (mage drops them silently)."""

from __future__ import annotations

from typing import Any

from spellbook_core.artifacts.problems import DuplicateColumnsError
from spellbook_core.artifacts.sketch import label_text


def merge_frame(frame: Any) -> tuple[Any, tuple[str, ...]]:
    """Return a pandas frame without repeated columns, and a warning that names what was merged.

    Raises:
        DuplicateColumnsError: Columns of one name differ. [SB-ART-006]
    """
    if frame.columns.is_unique:
        return frame, ()
    repeated = frame.columns.duplicated()
    labels = frame.columns[repeated].unique()
    differing = []
    for label in labels:
        positions = [i for i, same in enumerate(frame.columns == label) if same]
        first = frame.iloc[:, positions[0]]
        others = (frame.iloc[:, position] for position in positions[1:])
        if not all(first.dtype == other.dtype and first.equals(other) for other in others):
            differing.append(label_text(label))
    _refuse(differing)
    return frame.loc[:, ~repeated], _warning([label_text(label) for label in labels])


def merge_table(table: Any) -> tuple[Any, tuple[str, ...]]:
    """Return a pyarrow table without repeated columns, and a warning that names what was merged.

    Raises:
        DuplicateColumnsError: Columns of one name differ. [SB-ART-006]
    """
    first_of: dict[str, int] = {}
    merged: dict[str, None] = {}
    differing: dict[str, None] = {}
    for position, name in enumerate(table.column_names):
        if name not in first_of:
            first_of[name] = position
        elif table.column(first_of[name]).equals(table.column(position)):
            merged[name] = None
        else:
            differing[name] = None
    _refuse([label_text(name) for name in differing])
    if not merged:
        return table, ()
    return table.select(list(first_of.values())), _warning([label_text(name) for name in merged])


def _refuse(names: list[str]) -> None:
    if names:
        raise DuplicateColumnsError(
            f"The table has several columns named {', '.join(names)}, with different contents.",
            hint="rename or drop one of each before returning the table, "
            "e.g. df = df.loc[:, ~df.columns.duplicated()], or suffixes=(...) in merge().",
            columns=names,
        )


def _warning(names: list[str]) -> tuple[str, ...]:
    return (f"Identical columns of one name were merged into one: {', '.join(names)}.",)
