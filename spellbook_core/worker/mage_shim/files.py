"""`FileIO`: tables from and to files, by the file's ending. Also the format rules that object stores use."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from spellbook_core.worker.mage_shim.drivers import driver
from spellbook_core.worker.mage_shim.failures import DataFileError

ENDINGS: Mapping[str, str] = {
    **{"csv": "csv", "tsv": "csv", "json": "json", "parquet": "parquet", "pq": "parquet", "xml": "xml"},
    **{"xlsx": "xlsx", "xls": "xlsx", "hdf5": "hdf5", "h5": "hdf5", "hdf": "hdf5"},
}
"""Ending -> format. Compressed CSV and JSON (`.csv.gz`) are recognised by the ending before."""

_PACKED = frozenset(["gz", "bz2", "zip", "xz", "zst"])


def format_of(name: str, given: object = None) -> str:
    """Return the format of a file: the one given, else what the name's ending says.

    Raises:
        DataFileError: Unknown. [SB-WRK-037]
    """
    endings = [part.lower() for part in PurePosixPath(name).name.split(".")[1:]]
    while len(endings) > 1 and endings[-1] in _PACKED:
        endings.pop()
    wanted = str(getattr(given, "value", given) or "").lower() or (endings[-1] if endings else "")
    if wanted not in ENDINGS and wanted not in ENDINGS.values():
        raise DataFileError(
            f"The format of '{name}' is not known.",
            hint="use an ending of csv, json, parquet, xlsx, xml or hdf5, or pass format='csv'.",
        )
    return ENDINGS.get(wanted, wanted)


def read_frame(source: Any, form: str, name: str, **options: Any) -> Any:
    """Return the table in `source`, a path or an open binary file."""
    import pandas as pd

    _require(form)
    if form == "csv" and name.lower().endswith(".tsv"):
        options.setdefault("sep", "\t")
    if form == "hdf5":
        options.setdefault("key", None)
    readers: Mapping[str, Callable[..., Any]] = {
        "csv": pd.read_csv,
        "json": pd.read_json,
        "parquet": pd.read_parquet,
        "xlsx": pd.read_excel,
        "xml": pd.read_xml,
        "hdf5": pd.read_hdf,
    }
    return readers[form](source, **options)


def write_frame(frame: Any, target: Any, form: str, name: str, **options: Any) -> None:
    """Write a table to `target`, a path or an open binary file.

    Raises:
        DataFileError: `frame` is no table. [SB-WRK-037]
    """
    if not hasattr(frame, "to_csv"):
        raise DataFileError(
            f"Only a table can be written to '{name}', not a {type(frame).__name__}.",
            hint="make it a pandas.DataFrame first.",
        )
    _require(form)
    if form in {"csv", "xlsx", "xml"}:
        options.setdefault("index", False)
    if form == "csv" and name.lower().endswith(".tsv"):
        options.setdefault("sep", "\t")
    if form == "hdf5":
        options.setdefault("key", PurePosixPath(name).stem)
    methods = {"csv": "to_csv", "json": "to_json", "parquet": "to_parquet", "xlsx": "to_excel", "xml": "to_xml"}
    getattr(frame, methods.get(form, "to_hdf"))(target, **options)


def frame_from_bytes(data: bytes, form: str, name: str, **options: Any) -> Any:
    """Return the table that the bytes of an object hold."""
    return read_frame(io.BytesIO(data), form, name, **options)


def frame_to_bytes(frame: Any, form: str, name: str, **options: Any) -> bytes:
    """Return the table as the bytes of an object."""
    buffer = io.BytesIO()
    write_frame(frame, buffer, form, name, **options)
    return buffer.getvalue()


def _files_below(folders: Iterable[str | os.PathLike[str]]) -> list[str | os.PathLike[str]]:
    """Return the files of folders and of the folders in them, by name; mage's order is the disk's."""
    return [path for folder in folders for path in sorted(Path(folder).rglob("*")) if path.is_file()]


def _require(form: str) -> None:
    """Say which driver is missing before pandas says it in its own way."""
    packages = {"xlsx": ("openpyxl", "openpyxl"), "xml": ("lxml", "lxml"), "hdf5": ("tables", "tables")}
    if form in packages:
        driver(f"A file of the format {form}", *packages[form])


class FileIO:
    """mage's client for files on this machine; relative paths start at the project's parent, as in mage."""

    def __init__(self, verbose: bool = False, **options: object) -> None:
        self.verbose = verbose

    @classmethod
    def with_config(cls, *arguments: object, **options: object) -> FileIO:
        """Return a client; a file needs no configuration."""
        return cls()

    def __enter__(self) -> FileIO:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def load(
        self,
        filepath: str | os.PathLike[str] | None = None,
        format: object = None,
        file_directories: Sequence[str | os.PathLike[str]] | None = None,
        limit: int | None = None,
        **read: Any,
    ) -> Any:
        """Return the table in a file or behind an address, or of all files below folders; `read` goes to pandas.

        Raises:
            DataFileError: There is nothing to read. [SB-WRK-037]
        """
        import pandas as pd

        places = [filepath] if filepath is not None else _files_below(file_directories or ())
        if not places:
            folders = ", ".join(str(folder) for folder in file_directories or ())
            raise DataFileError(
                f"FileIO().load found no file below {folders}." if folders else "FileIO().load needs a path.",
                hint="write FileIO().load('data/in.csv') or FileIO().load(file_directories=['data']).",
            )
        frames = [read_frame(each, format_of(os.fspath(each), format), os.fspath(each), **read) for each in places]
        frame = frames[0] if filepath is not None else pd.concat(frames, ignore_index=True)
        return frame if limit is None else frame.head(limit)

    def export(
        self, df: Any, filepath: str | os.PathLike[str] | None = None, format: object = None, **write: Any
    ) -> None:
        """Write a table to a file and make its folder; `write` goes to pandas. mage's older order is taken too."""
        if isinstance(df, (str, os.PathLike)) and filepath is not None:
            df, filepath = filepath, df
        if filepath is None:
            raise DataFileError("FileIO().export needs a path.", hint="write FileIO().export(df, 'out/data.csv').")
        name = os.fspath(filepath)
        form = format_of(name, format)
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write_frame(df, filepath, form, name, **write)

    def exists(self, filepath: str | os.PathLike[str]) -> bool:
        """Return whether the file is there."""
        return Path(filepath).exists()
