"""Write one stored value into a file, in a process of its own: reading a pickle may run code, and no other may do it.

Started as `python -m spellbook_core.worker.giving WORKSPACE PROJECT DIGEST FORMAT FILE`; the file's ending decides.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.errors import SpellbookError
from spellbook_core.model.output import ArtifactRef
from spellbook_core.project.layout import Workspace
from spellbook_core.worker.load import extend_import_path


def give(workspace: Path, project: Path, ref: ArtifactRef, to: Path) -> None:
    """Write the value of `ref` to `to`, whole or not at all: pkl exactly, csv, json and parquet as far as they can."""
    os.chdir(project.parent)
    extend_import_path(project)
    value = LocalArtifactStore(Workspace.open(workspace).artifacts_dir).get(ref)
    draft = to.with_name(f".{to.name[:40]}.{os.getpid()}.tmp")
    try:
        _write(value, draft, to.suffix.lower())
        os.replace(draft, to)
    finally:
        draft.unlink(missing_ok=True)


def _write(value: Any, path: Path, ending: str) -> None:
    if ending == ".pkl":
        import cloudpickle

        with path.open("wb") as file:
            cloudpickle.dump(value, file)
    elif ending == ".json" and not hasattr(value, "to_json"):
        path.write_text(json.dumps(_jsonable(value), ensure_ascii=False, default=str), encoding="utf-8")
    else:
        frame = _frame(value)
        has_index = type(frame.index).__name__ != "RangeIndex"
        if ending == ".csv":
            frame.to_csv(path, index=has_index)
        elif ending == ".json":
            frame.to_json(path, orient="records", date_format="iso", force_ascii=False)
        else:
            frame.rename(columns=str).to_parquet(path, index=has_index)


def _jsonable(value: Any) -> Any:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_jsonable(item) for item in value]
    return value


def _frame(value: Any) -> Any:
    import pandas as pd

    if hasattr(value, "to_pandas"):
        value = value.to_pandas()
    if isinstance(value, pd.DataFrame):
        return value
    if isinstance(value, pd.Series):
        return value.to_frame()
    if not isinstance(value, (dict, list, tuple)) and not hasattr(value, "tolist") and not hasattr(value, "detach"):
        raise TypeError("it has no rows and columns")
    return pd.DataFrame(_jsonable(value))


def main() -> None:
    """Do what the arguments say; what goes wrong is one line on stderr and exit status 1."""
    workspace, project, digest, form, to = sys.argv[1:]
    try:
        give(Path(workspace), Path(project), ArtifactRef(digest, form), Path(to))
    except Exception as cause:  # noqa: BLE001  # user code boundary: unpickling may raise anything
        text = cause.message if isinstance(cause, SpellbookError) else f"{type(cause).__name__}: {cause}"
        sys.exit(" ".join(text.split())[:1000])


if __name__ == "__main__":
    main()
