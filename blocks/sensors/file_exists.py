"""Wait for a file.

True once the file `PATH` of the project is there and not empty. Write the same path under `watch` in the settings of
its card, and it is noticed at once instead of within a minute.
"""

from pathlib import Path

from spellbook_core import sensor

PATH = "data/ready.csv"


@sensor
def is_there(*args, **kwargs):
    """Return whether PATH, in the project, is there and not empty."""
    path = Path(kwargs.get("repo_path", ".")) / PATH
    return path.is_file() and path.stat().st_size > 0
