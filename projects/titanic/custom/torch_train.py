"""Train a small network that predicts who survived, and add its answer as Survived_predict."""

import torch
from torch import nn

from spellbook_core import batches, custom, log_metric, progress, test
from titanic.utils.variables import BATCH_SIZE, EPOCHS, LEARNING_RATE, X_COLS, Y_COLS

SEED = 1912


@custom
def torch_train(data, *args, **kwargs):
    """Return the passengers with one more column, the predicted probability of survival in [0, 1]."""
    torch.manual_seed(SEED)
    # copy=True: pandas hands out read-only arrays, and torch would warn about sharing them.
    x = torch.from_numpy(data[X_COLS].to_numpy(dtype="float32", copy=True))
    y = torch.from_numpy(data[Y_COLS].to_numpy(dtype="float32", copy=True))

    model = nn.Sequential(nn.Linear(5, 10), nn.ReLU(), nn.Linear(10, 1), nn.Sigmoid())
    loss_of = nn.BCELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    order = torch.Generator().manual_seed(SEED)

    for epoch in range(EPOCHS):
        total = 0.0
        for x_batch, y_batch in batches(x, y, batch_size=BATCH_SIZE, shuffle=True, generator=order):
            loss = loss_of(model(x_batch), y_batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x_batch)
        log_metric("loss", total / len(x), step=epoch)
        progress(epoch + 1, EPOCHS)

    with torch.no_grad():
        predicted = model(x).numpy().ravel()
    return data.assign(Survived_predict=predicted)


@test
def test_predictions_are_probabilities(output, *args):
    assert output["Survived_predict"].between(0, 1).all(), "a prediction is outside [0, 1]"
