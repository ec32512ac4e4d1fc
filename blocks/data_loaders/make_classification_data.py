"""Make data for a classifier.

Two classes of points that overlap a little: features x1 … x5 and the column label.
"""

import numpy as np
import pandas as pd

from spellbook_core import data_loader, test

ROWS = 1000
FEATURES = 5
SEED = 7


@data_loader
def make_points(*args, **kwargs):
    """Return ROWS points; label is 0 or 1, in equal shares."""
    chance = np.random.default_rng(SEED)
    label = np.arange(ROWS) % 2
    points = chance.normal(0, 1, (ROWS, FEATURES)) + 1.2 * label[:, None]
    table = pd.DataFrame(points, columns=[f"x{number}" for number in range(1, FEATURES + 1)])
    return table.assign(label=label)


@test
def test_classes_are_balanced(output, *args):
    assert abs(output["label"].mean() - 0.5) < 0.01, "one class is larger"
