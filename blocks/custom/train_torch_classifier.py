"""Train a PyTorch classifier.

For two classes: the column `label` (pipeline variable `target`) holds 0 or 1, all other numeric columns are features.
"""

import torch
from torch import nn

from spellbook_core import batches, custom, log_metric, progress, test


@custom
def train_torch_classifier(data, *args, **kwargs):
    """Return (the table with `predicted`, the probability of class 1; the model)."""
    target, epochs = kwargs.get("target", "label"), kwargs.get("epochs", 30)
    torch.manual_seed(kwargs.get("seed", 7))
    features = [column for column in data.select_dtypes("number") if column != target]
    # copy=True: pandas hands out read-only arrays, and torch would warn about sharing them.
    x = torch.from_numpy(data[features].to_numpy(dtype="float32", copy=True))
    y = torch.from_numpy(data[[target]].to_numpy(dtype="float32", copy=True))
    model = nn.Sequential(nn.Linear(len(features), 16), nn.ReLU(), nn.Linear(16, 1))
    loss_of = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=kwargs.get("learning_rate", 0.01))
    for epoch in range(epochs):
        total = 0.0
        for x_batch, y_batch in batches(x, y, batch_size=64, shuffle=True):
            loss = loss_of(model(x_batch), y_batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x_batch)
        log_metric("loss", total / len(x), step=epoch)
        progress(epoch + 1, epochs)
    with torch.no_grad():
        predicted = torch.sigmoid(model(x)).numpy().ravel()
    return data.assign(predicted=predicted), model


@test
def test_predictions_are_probabilities(table, *args):
    assert table["predicted"].between(0, 1).all(), "a prediction is outside [0, 1]"
