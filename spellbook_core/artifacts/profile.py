"""What a column holds, for the Profile tab: computed on a click, on a sample, by Arrow alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from spellbook_core.artifacts.build import floats, integers
from spellbook_core.artifacts.cells import JsonScalar, cells, plain
from spellbook_core.artifacts.preview import open_shown, take
from spellbook_core.artifacts.store import ArtifactStore
from spellbook_core.model.output import ArtifactRef

BINS = 20
_TOP_VALUES = 5


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column in figures.

    Attributes:
        nulls: Exact, over all rows (NaN counts as null in frames, as in pandas).
        rows: All rows of the table.
        distinct: Different values in the sample, null not counted; None when the type cannot be counted.
        minimum: Of all rows for numbers, dates and times, of the sample for texts; None for other types.
        maximum: Likewise.
        mean: Of the sample, finite numbers only.
        histogram: Rows of the sample per bin, `BINS` bins of equal width from `minimum` to `maximum`; empty unless
            the column holds numbers, dates or times.
        top: The commonest values of the sample and how often each occurs, for texts and booleans.
        sampled_rows: Size of the sample.
    """

    name: str
    dtype: str
    rows: int
    nulls: int
    distinct: int | None
    minimum: JsonScalar
    maximum: JsonScalar
    mean: float | None
    histogram: tuple[int, ...]
    top: tuple[tuple[JsonScalar, int], ...]
    sampled_rows: int


def profile(store: ArtifactStore, ref: ArtifactRef, *, sample_rows: int = 100_000) -> list[ColumnProfile]:
    """Return a profile of each column of a stored table.

    Args:
        store: Where `ref` lies.
        ref: A table, series or array; of values that are not stored as Arrow only the preview's rows are seen.
        sample_rows: Rows spread evenly over the table that the costly figures look at; more rows, more time.

    Raises:
        NotATableError: The output has no rows. [SB-ART-005]
    """
    import numpy as np

    table, columns, _ = open_shown(store, ref)
    sample = table
    if table.num_rows > sample_rows:
        sample = take(table, integers(np.linspace(0, table.num_rows - 1, sample_rows)))
    return [
        _profile(column.name, column.dtype, plain(table.column(number)), plain(sample.column(number)))
        for number, column in enumerate(columns)
    ]


def _profile(name: str, dtype: str, whole: Any, sample: Any) -> ColumnProfile:
    import pyarrow as pa

    types = pa.types
    kind = whole.type
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    is_time = types.is_timestamp(kind) or types.is_date(kind) or types.is_time(kind) or types.is_duration(kind)
    is_text = types.is_string(kind) or types.is_large_string(kind)
    low, high = _range(whole if not is_text else sample) if is_number or is_time or is_text else (None, None)
    numbers = _numbers(sample) if is_number or is_time else None
    return ColumnProfile(
        name=name,
        dtype=dtype,
        rows=len(whole),
        nulls=whole.null_count,
        distinct=_distinct(sample),
        minimum=low,
        maximum=high,
        mean=_mean(numbers) if is_number else None,
        histogram=_histogram(numbers),
        top=_top(sample) if is_text or types.is_boolean(kind) else (),
        sampled_rows=len(sample),
    )


def _range(column: Any) -> tuple[JsonScalar, JsonScalar]:
    import pyarrow as pa
    import pyarrow.compute as pc

    shown_type = column.type
    if pa.types.is_float16(shown_type):
        column = column.cast(pa.float32())
    elif pa.types.is_duration(shown_type):
        column = column.cast(pa.int64())
    try:
        found = pc.min_max(column)
    except pa.ArrowNotImplementedError:  # types that have no order in Arrow
        return None, None
    low, high = (cells(pa.chunked_array([pa.repeat(found[end], 1)]).cast(shown_type))[0][0] for end in ("min", "max"))
    return low, high


def _numbers(column: Any) -> Any:
    """Return the finite values as float64; times count in their unit."""
    import numpy as np
    import pyarrow as pa

    kind = column.type
    types = pa.types
    present = column.drop_null()
    if types.is_date32(kind) or types.is_time32(kind):
        present = present.cast(pa.int32())
    elif types.is_temporal(kind):
        present = present.cast(pa.int64())
    values = floats(present.cast(pa.float64(), safe=False).combine_chunks())
    return values[np.isfinite(values)]


def _mean(numbers: Any) -> float | None:
    mean = float(numbers.mean()) if len(numbers) else math.nan
    return mean if math.isfinite(mean) else None


def _histogram(numbers: Any) -> tuple[int, ...]:
    import numpy as np

    if numbers is None or not len(numbers):
        return ()
    low, high = float(numbers.min()), float(numbers.max())
    if not math.isfinite(high - low):
        return ()
    from_low = numbers.astype(np.float64) - low  # a column of one large number, such as a time, has no bins else
    counts, _ = np.histogram(from_low, bins=BINS, range=(0.0, high - low))
    return tuple(int(number) for number in counts)


def _distinct(column: Any) -> int | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return int(pc.count_distinct(column, mode="only_valid").as_py())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # nested types and float16 have no such count
        return None


def _top(column: Any) -> tuple[tuple[JsonScalar, int], ...]:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.value_counts(column.combine_chunks().drop_null())
    if not len(found):
        return ()
    best = pc.select_k_unstable(
        pa.table({"count": found.field("counts")}), k=_TOP_VALUES, sort_keys=[("count", "descending")]
    )
    values, _ = cells(pa.chunked_array([found.field("values").take(best)]))
    counts = found.field("counts").take(best).to_pylist()
    return tuple(zip(values, counts, strict=True))
