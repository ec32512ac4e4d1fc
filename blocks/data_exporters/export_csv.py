"""Export to a CSV file.

Writes the table to a file in the project, over the one of the last run.
"""

from pathlib import Path

from spellbook_core import data_exporter


@data_exporter
def export_csv(data, *args, **kwargs):
    """Write the table to output/<block><suffix> in the project; the file is replaced at each run."""
    folder = Path(kwargs.get("repo_path", ".")) / "output"
    folder.mkdir(exist_ok=True)
    path = folder / f"{kwargs.get('block_uuid', 'export').replace('/', '_')}.csv"
    data.to_csv(path, index=False)
    print(f"{len(data)} rows written to output/{path.name}")
