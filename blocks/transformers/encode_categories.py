"""Encode categories as numbers.

Each text or category column with at most `max_categories` (20) values becomes columns of 0 and 1; others are dropped.
"""

import pandas as pd

from spellbook_core import test, transformer


@transformer
def encode_categories(data, *args, **kwargs):
    """Return a table of numbers only, ready for a model."""
    limit = kwargs.get("max_categories", 20)
    numbers = data.select_dtypes(["number", "bool"])
    texts = [column for column in data if column not in numbers and data[column].nunique() <= limit]
    dropped = [column for column in data if column not in numbers and column not in texts]
    if dropped:
        print(f"dropped, more than {limit} values: {', '.join(map(str, dropped))}")
    return pd.concat([numbers, pd.get_dummies(data[texts], dtype="int8")], axis=1) if texts else numbers.copy()


@test
def test_only_numbers_are_left(output, *args):
    others = [column for column in output if output[column].dtype.kind not in "iufb"]
    assert not others, f"no numbers: {others}"
