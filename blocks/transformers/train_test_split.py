"""Split into training and test rows.

Two outputs: the next block gets them as one list, or as two parameters when its function takes two.
"""

from spellbook_core import test, transformer

TEST_SHARE = 0.2
SEED = 7


@transformer
def split(data, *args, **kwargs):
    """Return (training rows, test rows), drawn at random, each row in one of the two."""
    data = data.reset_index(drop=True)
    testing = data.sample(frac=TEST_SHARE, random_state=SEED)
    return data.drop(testing.index).reset_index(drop=True), testing.reset_index(drop=True)


@test
def test_both_have_rows(training, testing, *args):
    assert len(training) > 0, "there are no training rows"
    assert len(testing) > 0, "there are no test rows"
