from __future__ import annotations

import numpy
import pytest
import torch

from spellbook_core.training import BatchesError, batches


def test_every_row_comes_once_in_order():
    x, y = torch.arange(10.0).reshape(10, 1), torch.arange(10)
    found = list(batches(x, y, batch_size=4))
    assert [len(part) for part, _ in found] == [4, 4, 2]
    assert torch.equal(torch.cat([part for part, _ in found]), x)
    assert torch.equal(torch.cat([part for _, part in found]), y)


@pytest.mark.parametrize("make", [torch.arange, numpy.arange])
def test_shuffled_rows_stay_paired(make):
    x = make(100)
    pairs = [
        (int(a), int(b))
        for xs, ys in batches(x, x * 2, batch_size=7, shuffle=True)
        for a, b in zip(xs, ys, strict=True)
    ]
    assert all(b == 2 * a for a, b in pairs)
    assert sorted(a for a, _ in pairs) == list(range(100))
    assert [a for a, _ in pairs] != list(range(100))


@pytest.mark.parametrize("make", [torch.arange, numpy.arange])
def test_generator_repeats_the_order(make):
    def order() -> list[int]:
        generator = torch.Generator().manual_seed(3)
        found = batches(make(50), make(50), batch_size=50, shuffle=True, generator=generator)
        return [int(value) for value in next(found)[0]]

    assert order() == order()


def test_unpaired_rows_are_refused():
    with pytest.raises(BatchesError, match="x has 3 rows and y has 2"):
        batches(torch.zeros(3), torch.zeros(2), batch_size=1)
    with pytest.raises(BatchesError, match="batch_size is 0"):
        batches(torch.zeros(3), torch.zeros(3), batch_size=0)


def test_no_rows_give_no_batches():
    assert list(batches(torch.zeros(0, 5), torch.zeros(0), batch_size=4)) == []
