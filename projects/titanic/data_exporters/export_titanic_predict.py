"""Write the passengers and their predictions to output/titanic_predict.csv in the project."""

from spellbook_core import data_exporter
from titanic.utils.variables import PREDICTIONS_FILE


@data_exporter
def export_titanic_predict(data, *args, **kwargs):
    """Write one CSV line per passenger; the file is replaced at each run."""
    PREDICTIONS_FILE.parent.mkdir(exist_ok=True)
    data.to_csv(PREDICTIONS_FILE, index=False)
    print(f"{len(data)} rows written to {PREDICTIONS_FILE.name}")
