"""Large frames are the stored file itself: nothing is read ahead, and what a block writes stays with the block."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from pandas.testing import assert_frame_equal

from spellbook_core.artifacts.formats.arrow_file import open_table
from spellbook_core.artifacts.formats.mapped import MAX_MAPPED_COLUMNS, MIN_MAPPED_BYTES, read_frame
from spellbook_core.artifacts.local import LocalArtifactStore
from tests.unit.artifacts.test_frames_property import frames

ROWS = 200_000


def blocks_of(frame: pd.DataFrame) -> int:
    return frame._mgr.nblocks


@pytest.fixture
def large() -> pd.DataFrame:
    chance = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "number": chance.random(ROWS),
            "name": chance.choice(["a", "b"], ROWS),
            "count": np.arange(ROWS),
            "at": pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(ROWS), unit="s"),
            "left": pd.to_timedelta(np.arange(ROWS), unit="ms"),
            "is_new": chance.random(ROWS) < 0.5,
            "gap": np.where(chance.random(ROWS) < 0.5, np.nan, 1.0),
            "small": np.arange(ROWS, dtype="float32"),
        },
        index=pd.date_range("2026", periods=ROWS, freq="min", tz="Asia/Seoul", name="when"),
    )


def test_large_frame_comes_back_mapped_and_equal(store, large):
    back = store.get(store.put(large).artifact)
    assert_frame_equal(back, large, check_exact=True, check_freq=True)
    assert blocks_of(back) > blocks_of(large.copy())  # one by column: put together from parts


def test_what_is_written_stays_with_the_block(store, large):
    info = store.put(large)
    before = store.data_path(info.artifact).read_bytes()
    back = store.get(info.artifact)
    back.iloc[0, 0] = -1.0
    back.loc[back["count"] > 5, "number"] = 0.0
    back["small"] += 1
    back.insert(0, "first", 1)
    assert (back["number"].iloc[0], back["number"].iloc[6], back["small"].iloc[0]) == (-1.0, 0.0, 1.0)
    assert store.data_path(info.artifact).read_bytes() == before
    assert_frame_equal(store.get(info.artifact), large, check_exact=True)


@pytest.mark.thorough
def test_reading_takes_hardly_any_memory(store):
    frame = pd.DataFrame(np.random.default_rng(2).random((1_000_000, 5)), columns=list("abcde"))  # 40 MB
    info = store.put(frame)

    def own_bytes() -> int:
        return int(re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

    before = own_bytes()
    back = store.get(info.artifact)
    assert back["c"].sum() == frame["c"].sum()
    assert own_bytes() - before < 8_000_000


def test_frame_outlives_its_file(store, large):
    info = store.put(large)
    back = store.get(info.artifact)
    store.data_path(info.artifact).unlink()
    assert_frame_equal(back, large, check_exact=True)


@pytest.mark.parametrize("order", ["C", "F"])
def test_large_array_is_mapped_and_may_be_written_to(store, order):
    array = np.asarray(np.random.default_rng(3).random((1000, 1200)), order=order)
    info = store.put(array)
    before = store.data_path(info.artifact).read_bytes()
    back = store.get(info.artifact)
    assert type(back) is np.ndarray
    assert (back.dtype, back.flags.writeable, back.flags.f_contiguous) == (array.dtype, True, order == "F")
    assert np.array_equal(back, array)
    back[0, 0] = -1.0
    assert back[0, 0] == -1.0
    assert store.data_path(info.artifact).read_bytes() == before


def test_small_and_wide_frames_are_copied(store):
    small = pd.DataFrame({"a": [1.0], "b": [2.0]})
    wide = pd.DataFrame(np.ones((20_000, MAX_MAPPED_COLUMNS + 1)))
    for frame in (small, wide):
        info = store.put(frame)
        assert (store.data_path(info.artifact).stat().st_size >= MIN_MAPPED_BYTES) is (frame is wide)
        back = store.get(info.artifact)
        assert_frame_equal(back, frame, check_exact=True)
        assert blocks_of(back) == 1


@pytest.mark.thorough
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(frame=frames())
def test_mapped_frame_is_as_the_copied_one(tmp_path_factory, frame):
    store = LocalArtifactStore(tmp_path_factory.mktemp("mapped") / "artifacts")
    info = store.put(frame)
    if info.artifact.format == "arrow-frame":
        path = store.data_path(info.artifact)
        mapped, _ = read_frame(path, min_bytes=0)
        copied = open_table(path).to_pandas()
        assert_frame_equal(mapped, copied, check_exact=True, check_column_type="exact", check_index_type="exact")
