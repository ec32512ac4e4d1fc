"""The files between a shell block and its surroundings: its parents' outputs in, one output out."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from spellbook_core.artifacts.export import export
from spellbook_core.artifacts.formats.query_results import QueryResult
from spellbook_core.artifacts.formats.registry import ARROW_FORMATS
from spellbook_core.worker.items import read_input
from spellbook_core.worker.shell_problems import CommandOutputError, CommandRefusedError

if TYPE_CHECKING:
    from spellbook_core.artifacts.store import ArtifactStore
    from spellbook_core.model.output import OutputInfo
    from spellbook_core.model.task import BlockInput, BlockTask

OUTPUTS = {
    "SPELLBOOK_OUTPUT": "output.json",
    "SPELLBOOK_OUTPUT_PARQUET": "output.parquet",
    "SPELLBOOK_OUTPUT_CSV": "output.csv",
}
"""Environment variable -> the file of that name that becomes the block's output; the first that is written counts."""

INPUT_FORMATS = ("parquet", "csv", "json")
"""What `input_format` of a shell block may be."""


def write_inputs(task: BlockTask, store: ArtifactStore, folder: Path) -> dict[str, str]:
    """Write the parents' outputs into files and return the environment variables that name them.

    `SPELLBOOK_INPUT_1` is the first output of the first parent, `SPELLBOOK_INPUT_LOAD_ORDERS` of the one of that name,
    `SPELLBOOK_INPUT_1_1` the second output of the first parent; `SPELLBOOK_INPUTS` is their folder. A table is
    Parquet, or what `input_format` says; what JSON can hold is JSON; an output of another kind has no file. Of a parent
    that ran once per item, `SPELLBOOK_INPUT_1` is a folder with the files of its children.
    """
    chosen = str(task.configuration.get("input_format") or "parquet").lower()
    if chosen not in INPUT_FORMATS:
        raise CommandRefusedError(
            f"'input_format: {chosen[:40]}' is not known.", hint=f"write {', '.join(INPUT_FORMATS)}.", block=task.block
        )
    place = folder / "inputs"
    place.mkdir()
    found = {"SPELLBOOK_INPUTS": str(place)}
    for number, given in enumerate(task.inputs, start=1):
        name = re.sub(r"\W", "_", given.block)
        for suffix, path in _files(store, given, place / f"{number}_{name}", chosen):
            found[f"SPELLBOOK_INPUT_{number}{suffix}"] = found[f"SPELLBOOK_INPUT_{name.upper()}{suffix}"] = str(path)
    return found


def _files(store: ArtifactStore, given: BlockInput, stem: Path, chosen: str) -> Iterator[tuple[str, Path]]:
    """Write what a parent hands over: a file per output, of one item its value, of children a folder of theirs."""
    if given.item is not None:
        path = stem.with_name(f"{stem.name}.json")
        item = read_input(given, store)[0]
        path.write_text(json.dumps(item, default=str, ensure_ascii=False), encoding="utf-8")
        yield "", path
        return
    if given.children is not None:
        stem.mkdir()
        yield "", stem
    for output in given.outputs:
        suffix = f"_{output.index}" if output.index else ""
        own = stem / f"{output.child.replace(':', '_')}{suffix}" if output.child else Path(f"{stem}{suffix}")
        path_of = _write(store, output, own, chosen)
        if path_of is None:
            print(  # noqa: T201  # the block's own output
                f"The {output.name} of '{given.block}' is a {output.type_name}: shell blocks get no file of it.",
                flush=True,
            )
        elif not output.child:
            yield suffix, path_of


def _write(store: ArtifactStore, output: OutputInfo, path: Path, chosen: str) -> Path | None:
    ref = output.artifact
    if ref.format in ARROW_FORMATS:
        store.verify(ref)
        return export(store, ref, path.with_name(f"{path.name}.{chosen}"), chosen, neutralise=False)
    if ref.format == "json":
        store.verify(ref)
        return export(store, ref, path.with_name(f"{path.name}.json"), "json")
    return None


def read_output(folder: Path, task: BlockTask) -> object:
    """Return what the command wrote: a value from JSON, a table from Parquet or CSV; None when it wrote nothing.

    Raises:
        CommandOutputError: The file is not what its name says. [SB-WRK-092]
    """
    path = next((folder / name for name in OUTPUTS.values() if os.path.lexists(folder / name)), None)
    if path is None:
        return None
    if not path.is_file():
        raise CommandOutputError(
            f"Block '{task.block}' wrote a {path.name} that is no file.",
            hint="write a file there, in the format that its name says.",
            block=task.block,
        )
    try:
        if path.suffix == ".json":
            value: object = json.loads(path.read_text(encoding="utf-8"))
            return value
        return QueryResult(_table(path))
    except Exception as cause:  # noqa: BLE001  # JSON, Arrow and DuckDB each have errors of their own
        raise CommandOutputError(
            f"Block '{task.block}' wrote a {path.name} that cannot be read: {' '.join(str(cause).split())[:300]}",
            hint="write the whole file, in the format that its name says.",
            block=task.block,
        ) from None


def _table(path: Path) -> object:
    import duckdb

    with duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"}) as connection:
        if path.suffix == ".csv":  # every line counts: left to itself DuckDB passes over lines at the top, and samples
            return connection.read_csv(str(path), skiprows=0, sample_size=-1).to_arrow_table()
        return connection.read_parquet(str(path)).to_arrow_table()
