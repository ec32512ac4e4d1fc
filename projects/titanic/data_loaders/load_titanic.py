"""Load the Titanic passengers from the public address, or the shipped sample when it cannot be reached."""

import io
import threading
import urllib.request
import warnings

import pandas as pd

from spellbook_core import data_loader, test
from titanic.utils.variables import COLS, SAMPLE_FILE, TITANIC_DATA_URL

TIMEOUT_S = 3


@data_loader
def load_titanic(*args, **kwargs):
    """Return 891 passengers with the 12 columns of the public file."""
    try:
        return pd.read_csv(io.BytesIO(download(TITANIC_DATA_URL)))
    except Exception as error:  # whatever keeps the address from answering, the sample is there
        warnings.warn(
            f"{TITANIC_DATA_URL} cannot be reached ({error}). "
            "These passengers are SYNTHETIC: the sample that the project ships, data/titanic_sample.csv.",
            stacklevel=1,
        )
        return pd.read_csv(SAMPLE_FILE)


def download(url):
    """Return the content of a web address; give up after TIMEOUT_S, the name look-up included."""
    answer = []

    def fetch():
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
                answer.append(response.read())
        except Exception as error:
            answer.append(error)

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    if not answer:
        raise TimeoutError(f"no answer in {TIMEOUT_S} s")
    if isinstance(answer[0], Exception):
        raise answer[0]
    return answer[0]


@test
def test_has_the_columns(output, *args):
    missing = [column for column in COLS if column not in output.columns]
    assert not missing, f"columns are missing: {missing}"


@test
def test_has_passengers(output, *args):
    assert len(output) > 0, "there are no passengers"
