"""What is stored already is not written once more: a large frame is hashed first, a small value waits in memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from spellbook_core.artifacts.formats.encoded import HASH_FIRST_BYTES
from spellbook_core.artifacts.sink import KEPT_BYTES

LARGE = pd.DataFrame({"a": np.arange(400_000), "b": np.linspace(0.0, 1.0, 400_000), "c": ["x", "y"] * 200_000})
VALUES = {"number": 1, "text": "x" * 100, "small frame": pd.DataFrame({"a": [1, 2]}), "large frame": LARGE}


def drafts_changed_at(store) -> int:
    """Return when a draft was last made or removed."""
    return store._root.joinpath("tmp").stat().st_mtime_ns


@pytest.mark.parametrize("name", VALUES)
def test_equal_value_is_not_written_again(store, name):
    first = store.put(VALUES[name])
    before = drafts_changed_at(store)
    again = store.put(VALUES[name])
    assert again == first
    assert drafts_changed_at(store) == before


def test_sizes_are_on_both_sides_of_the_rules(store):
    assert store.put(LARGE).size_bytes > HASH_FIRST_BYTES
    assert store.put(VALUES["small frame"]).size_bytes < KEPT_BYTES


@pytest.mark.guarantee("F22")
@pytest.mark.parametrize("name", VALUES)
def test_damaged_value_is_written_again(store, name):
    info = store.put(VALUES[name])
    path = store.data_path(info.artifact)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert store.put(VALUES[name]) == info
    back = store.get(info.artifact)
    if isinstance(back, pd.DataFrame):
        assert_frame_equal(back, VALUES[name], check_exact=True)
    else:
        assert back == VALUES[name]


def test_value_between_the_sizes_is_whole(store):
    for count in (KEPT_BYTES // 8 - 16, KEPT_BYTES // 8, KEPT_BYTES // 8 + 16, HASH_FIRST_BYTES // 8 + 16):
        frame = pd.DataFrame({"a": np.arange(count)})
        assert_frame_equal(store.get(store.put(frame).artifact), frame, check_exact=True)
