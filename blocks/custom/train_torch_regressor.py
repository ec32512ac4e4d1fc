"""Train a PyTorch regression.

The column `y` (pipeline variable `target`) is predicted from all other numeric columns.
"""

import torch
from torch import nn

from spellbook_core import batches, custom, log_metric, progress, test


@custom
def train_torch_regressor(data, *args, **kwargs):
    """Return (the table with `predicted`, the model)."""
    target, epochs = kwargs.get("target", "y"), kwargs.get("epochs", 100)
    torch.manual_seed(kwargs.get("seed", 7))
    features = [column for column in data.select_dtypes("number") if column != target]
    # copy=True: pandas hands out read-only arrays, and torch would warn about sharing them.
    x = torch.from_numpy(data[features].to_numpy(dtype="float32", copy=True))
    y = torch.from_numpy(data[[target]].to_numpy(dtype="float32", copy=True))
    model = nn.Sequential(nn.Linear(len(features), 16), nn.ReLU(), nn.Linear(16, 1))
    loss_of = nn.MSELoss()
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
        predicted = model(x).numpy().ravel()
    return data.assign(predicted=predicted), model


@test
def test_predictions_are_finite(table, *args):
    assert table["predicted"].notna().all(), "a prediction is missing"
