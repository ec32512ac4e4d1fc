"""What DuckDB gives is stored as it is, paged as it is, and read as the pandas frame that people expect of a query."""

from __future__ import annotations

import duckdb
import pytest

from spellbook_core.artifacts import preview, profile
from spellbook_core.artifacts.formats.query_results import QueryResult
from spellbook_core.artifacts.local import LocalArtifactStore

CASES = {
    "boolean": ("true", "object", True),
    "integer": ("5", "float64", 5),
    "sum of integers": ("5::hugeint", "float64", 5),
    "large integer": ("170141183460469231731687303715884105727::hugeint", "float64", 2.0**127),
    "decimal": ("1.50::decimal(10, 2)", "float64", 1.5),
    "date": ("date '2020-01-01'", "datetime64[ms]", "2020-01-01"),
    "time stamp": ("timestamp '2020-01-01 00:00:01'", "datetime64[us]", "2020-01-01 00:00:01"),
    "zoned": ("timestamptz '2020-01-01 00:00:00+00'", "datetime64[us, Etc/UTC]", "2020-01-01 00:00:00+00:00"),
    "interval": ("interval '3 days 2 hours'", "timedelta64[us]", "3 days 02:00:00"),
    "months": ("interval '2 months'", "object", "<DateOffset: days=0, months=2, nanoseconds=0>"),
    "enum": ("'a'::enum('a', 'b')", "category", "a"),
    "text": ("'가'", "str", "가"),
    "list": ("[1, 2]", "object", "[1 2]"),
    "struct": ("{'a': 1}", "object", "{'a': 1}"),
    "nothing": ("null", "object", None),
}


@pytest.mark.parametrize(("expression", "dtype", "value"), CASES.values(), ids=CASES)
def test_results_are_stored_paged_profiled_and_read(tmp_path, expression, dtype, value):
    store = LocalArtifactStore(tmp_path / "artifacts")
    with duckdb.connect() as connection:
        table = connection.sql(f"select {expression} as c from range(2) union all select null").to_arrow_table()
    stored = store.put(QueryResult(table))
    assert (stored.type_name, stored.rows) == ("pandas.DataFrame", 3)
    frame = store.get(stored.artifact)
    assert str(frame.c.dtype) == dtype
    assert (str(frame.c.iloc[0]) if isinstance(value, str) else frame.c.iloc[0]) == (
        pytest.approx(value) if isinstance(value, float) else value
    ) or (isinstance(value, str) and str(frame.c.iloc[0]).startswith(value))
    assert len(preview.page(store, stored.artifact, offset=0, limit=10, sort="c", search="").rows) == 3
    assert profile.profile(store, stored.artifact)[0].rows == 3
    with duckdb.connect() as again:
        again.register("stored", preview.open_shown(store, stored.artifact)[0])
        assert again.sql("select count(*) from stored").fetchall() == [(3,)]


def test_whole_sums_are_integers(tmp_path):
    store = LocalArtifactStore(tmp_path / "artifacts")
    with duckdb.connect() as connection:
        table = connection.sql("select sum(x) as s, 1.5 as d from range(3) t(x)").to_arrow_table()
    stored = store.put(QueryResult(table))
    assert [column.dtype for column in stored.columns] == ["int64", "decimal128(2, 1)"]
    frame = store.get(stored.artifact)
    frame["s"] += 1  # a frame of its own, not a view of the file
    assert frame.to_dict("list") == {"s": [4], "d": [1.5]}
