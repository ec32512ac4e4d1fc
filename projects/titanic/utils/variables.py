"""What the blocks of this project share: columns, training settings, and where the data is."""

from pathlib import Path

X_COLS = ["Pclass", "Age", "SibSp", "Parch", "Fare"]
Y_COLS = ["Survived"]
COLS = X_COLS + Y_COLS

BATCH_SIZE = 64
LEARNING_RATE = 1e-3
EPOCHS = 100

TITANIC_DATA_URL = "https://raw.githubusercontent.com/datasciencedojo/datasets/master/titanic.csv"

PROJECT_FOLDER = Path(__file__).resolve().parents[1]
SAMPLE_FILE = PROJECT_FOLDER / "data" / "titanic_sample.csv"
"""Synthetic passengers, for when the address above cannot be reached. Made by data/make_sample.py."""

PREDICTIONS_FILE = PROJECT_FOLDER / "output" / "titanic_predict.csv"
