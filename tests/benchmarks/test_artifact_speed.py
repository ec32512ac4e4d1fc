"""What storing an output and looking at it cost, against bare Arrow and a bare query in the same run."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.artifacts.preview import page

pytestmark = pytest.mark.benchmark_table

ROWS = 1_000_000
ROUNDS = 9
PAGE_ROWS = 100


def cpu_s() -> float:
    """Return user and system seconds of this process, to the microsecond."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def medians(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Return the median CPU seconds of each work; they take turns, and a first round is not counted."""
    seconds: list[list[float]] = [[] for _ in works]
    for turn in range(rounds + 1):
        for work, found in zip(works, seconds, strict=True):
            before = cpu_s()
            work()
            if turn:
                found.append(cpu_s() - before)
    return [statistics.median(found) for found in seconds]


def mixed_frame():
    """Return 1M rows of the ten kinds of columns that ENGINE's format table was measured with, 75 MB."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "int": np.arange(ROWS),
            "int32": random.integers(0, 100, ROWS, dtype="int32"),
            "float": random.random(ROWS),
            "gaps": np.where(random.random(ROWS) < 0.1, np.nan, random.random(ROWS)),
            "bool": random.random(ROWS) < 0.5,
            "name": pd.array([f"name {number % 5000}" for number in range(ROWS)], dtype="str"),
            "text": pd.array([str(number) for number in range(ROWS)], dtype="str"),
            "category": pd.Categorical.from_codes(random.integers(0, 5, ROWS), list("abcde")),
            "at": pd.date_range("2020", periods=ROWS, freq="s"),
            "local": pd.date_range("2020", periods=ROWS, freq="s", tz="Asia/Seoul"),
        }
    )


def test_frame_round_trip_costs_little_over_arrow(tmp_path, report_row):
    import pyarrow as pa

    frame = mixed_frame()
    bare_path = tmp_path / "bare.arrow"
    stores = iter(range(1000))

    def bare() -> None:
        table = pa.Table.from_pandas(frame)
        with pa.OSFile(str(bare_path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        with pa.memory_map(str(bare_path)) as file:
            pa.ipc.open_file(file).read_all().to_pandas()
        bare_path.unlink()

    def ours() -> None:
        store = LocalArtifactStore(tmp_path / f"state{next(stores)}" / "artifacts")
        ref = store.put(frame).artifact
        store.get(ref)
        store.data_path(ref).unlink()

    our_s, floor_s = medians(ROUNDS, ours, bare)
    report_row("store and read back a 1M x 10 frame, CPU", ours=our_s, floor=floor_s, unit="s", bound=2.0)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The 1M x 10 frame, stored once."""
    store = LocalArtifactStore(tmp_path_factory.mktemp("pages") / "state" / "artifacts")
    return store, store.put(mixed_frame()).artifact


@pytest.mark.parametrize("number", [1, 9_000])
def test_page_costs_no_more_than_its_query(stored, report_row, number):
    import duckdb

    from spellbook_core.artifacts.formats.arrow_file import open_table

    store, ref = stored
    offset = (number - 1) * PAGE_ROWS
    connection = duckdb.connect(":memory:")
    table = open_table(store.data_path(ref))
    connection.register("stored", table)

    def query() -> None:
        connection.sql(f"SELECT * FROM stored LIMIT {PAGE_ROWS} OFFSET {offset}").to_arrow_table()

    def ours() -> None:
        assert page(store, ref, offset=offset, limit=PAGE_ROWS).rows[0][0] == offset

    our_s, floor_s = medians(ROUNDS, ours, query)
    connection.close()
    report_row(f"page {number:,} of a 1M x 10 table, CPU", ours=our_s, floor=floor_s, unit="s", bound=2.0)


def test_pages_hardly_grow_the_process(stored, report_row):
    """A fresh process, its libraries loaded on a small table, shows pages 1 and 9,000; private memory is counted."""
    store, ref = stored
    import pandas as pd

    small = store.put(pd.DataFrame({"a": [1]})).artifact
    code = f"""
import json, sys
from pathlib import Path
from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.artifacts.preview import page
from spellbook_core.model.output import ArtifactRef
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * {os.sysconf("SC_PAGE_SIZE")} / 2**20
store = LocalArtifactStore(Path({str(store._root)!r}))
page(store, ArtifactRef({small.digest!r}, {small.format!r}), offset=0, limit=1)
before = resident()
for number in (1, 9_000):
    page(store, ArtifactRef({ref.digest!r}, {ref.format!r}), offset=(number - 1) * {PAGE_ROWS}, limit={PAGE_ROWS})
print(json.dumps(resident() - before))
"""
    grown = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)
    report_row("growth of a process by pages 1 and 9,000", ours=grown, floor=50.0, unit="MB", bound=1.0)
    assert Path(store.data_path(ref)).stat().st_size > 70e6
