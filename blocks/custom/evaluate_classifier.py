"""Evaluate a classifier.

Compares `predicted` (probability of class 1) with `label`; the figures are logged as metrics too.
"""

import pandas as pd

from spellbook_core import custom, log_metric, test


@custom
def evaluate_classifier(table, *args, **kwargs):
    """Return one row per figure: accuracy, precision, recall, and the share of class 1."""
    data = table[0] if isinstance(table, (list, tuple)) else table
    actual = data[kwargs.get("target", "label")].astype(bool)
    said = data["predicted"] >= kwargs.get("threshold", 0.5)
    hits = (actual & said).sum()
    figures = {
        "accuracy": (actual == said).mean(),
        "precision": hits / said.sum() if said.any() else 0.0,
        "recall": hits / actual.sum() if actual.any() else 0.0,
        "share_of_class_1": actual.mean(),
    }
    for name, value in figures.items():
        log_metric(name, float(value))
    return pd.DataFrame({"figure": list(figures), "value": [float(value) for value in figures.values()]})


@test
def test_figures_are_shares(output, *args):
    assert output["value"].between(0, 1).all(), "a figure is outside [0, 1]"
