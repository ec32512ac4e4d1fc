"""What a dynamic block's items are known by: a child is reused while its item is the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.worker.items import put_items
from tests.unit.worker.test_call import task


def digests(tmp_path, value: object) -> list[str]:
    outputs, _ = put_items(task(), value, LocalArtifactStore(tmp_path))
    return [item.digest for item in outputs[0].items]


LONG = np.zeros(5_000)
OTHER = np.where(np.arange(5_000) == 2_500, 1.0, LONG)
"""Differs from `LONG` in its middle, which its text leaves out."""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([{"a": 1, "b": 2}], [{"b": 2, "a": 1}]),
        ([[1], [{"name": {1: "x"}}]], [[1], [{"name": {"1": "x"}}]]),
        ([[1], [{"name": (1, 2)}]], [[1], [{"name": [1, 2]}]]),
        ([[1], [{"weights": LONG}]], [[1], [{"weights": OTHER}]]),
        (pd.DataFrame({"w": [LONG]}), pd.DataFrame({"w": [OTHER]})),
        ([[1], [{"name": "\ud800"}]], [[1], [{"name": "?"}]]),
        ([[LONG]], [[OTHER]]),
        ([[1]], [[True]]),
    ],
)
def test_items_that_differ_are_told_apart(tmp_path, one, other):
    (first,), (second,) = digests(tmp_path, one), digests(tmp_path, other)
    assert first != second
    assert digests(tmp_path, one) == [first]


def test_metadata_may_hold_what_only_cloudpickle_knows(tmp_path):
    assert len(digests(tmp_path, [[1, 2], [{"by": lambda row: row}, {}]])) == 2
