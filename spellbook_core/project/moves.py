"""Making, moving and deleting folders and files; what is deleted goes to the workspace's trash and can come back."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from spellbook_core.atomic import write_atomically
from spellbook_core.errors import AlreadyExistsError, NotFoundError, StorageError
from spellbook_core.model.values import JsonObject
from spellbook_core.project.layout import ProjectLayout, Workspace

KEPT_DELETES = 200
"""Newest deletes that can be undone; older ones leave the trash for good when another delete comes."""

_RECORD = "record.json"


@contextmanager
def disk(what: str, path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a StorageError that says `Cannot <what> <path>`."""
    try:
        yield
    except OSError as cause:
        raise StorageError(
            f"Cannot {what} {path}: {cause.strerror or cause}.",
            hint="free some disk space or make the folder writable, then try again.",
            path=str(path),
        ) from cause


def make_folder(path: Path) -> None:
    """Make a folder and those above it; one that is there is fine. Raises StorageError."""
    with disk("make the folder", path):
        path.mkdir(parents=True, exist_ok=True)


def move(source: Path, target: Path) -> None:
    """Move a file or folder to a place where nothing is.

    Raises:
        AlreadyExistsError: Something is there. [SB-SYS-003]
        StorageError: The disk refused. [SB-SYS-006]
    """
    if os.path.lexists(target) and not (os.path.lexists(source) and os.path.samefile(source, target)):
        raise AlreadyExistsError(f"There is already something at {target.name}.", hint="choose another name.")
    make_folder(target.parent)
    with disk("move to", target):
        shutil.move(source, target)


def put_in_trash(project: ProjectLayout, paths: Sequence[Path], record: Mapping[str, object]) -> str:
    """Move `paths` of a project to the trash and return the token that brings them back.

    Args:
        project: Whose files they are.
        paths: Files or folders inside the project; may be empty, when only `record` matters.
        record: JSON values that `take_from_trash` returns with it.
    """
    workspace = project.workspace
    workspace.ensure_state_dir()
    token = secrets.token_hex(16)
    entry = workspace.trash_entry(token)
    make_folder(entry)
    names = [project.relative(path) for path in paths]
    full = {**record, "project": project.name, "paths": names}
    write_atomically(entry / _RECORD, json.dumps(full, ensure_ascii=False).encode("utf-8"), mode=0o600)
    done: list[tuple[Path, Path]] = []
    try:
        for index, path in enumerate(paths):
            move(path, entry / str(index))
            done.append((path, entry / str(index)))
    except StorageError:
        for path, kept in done:
            move(kept, path)
        raise
    _forget_old(workspace)
    return token


def trash_record(workspace: Workspace, token: str) -> JsonObject:
    """Return what `put_in_trash` was told.

    Raises:
        NotFoundError: It was undone already, or is too long ago. [SB-SYS-002]
    """
    entry = workspace.trash_entry(token)
    try:
        data = json.loads((entry / _RECORD).read_bytes())
    except (OSError, ValueError):
        raise NotFoundError(
            "This delete cannot be undone any more.", hint="restore the file from git, if it was committed."
        ) from None
    return dict(data)


def take_from_trash(workspace: Workspace, token: str) -> None:
    """Move the files of a delete back to where they were.

    Raises:
        AlreadyExistsError: Something else is there now; nothing was moved. [SB-SYS-003]
        NotFoundError: It was undone already, or is too long ago. [SB-SYS-002]
    """
    record = trash_record(workspace, token)
    project = workspace.project(str(record["project"]))
    names = record["paths"]
    targets = [project.contained(str(name)) for name in names] if isinstance(names, list) else []
    for target in targets:
        if os.path.lexists(target):
            raise AlreadyExistsError(
                f"Cannot restore {target.name}: there is another one now.", hint="rename or delete that one first."
            )
    entry = workspace.trash_entry(token)
    for index, target in enumerate(targets):
        move(entry / str(index), target)
    with disk("empty", entry):
        shutil.rmtree(entry)


def _forget_old(workspace: Workspace) -> None:
    with disk("empty", workspace.trash_dir):
        entries = sorted(os.scandir(workspace.trash_dir), key=lambda entry: entry.stat().st_mtime_ns, reverse=True)
    for entry in entries[KEPT_DELETES:]:
        shutil.rmtree(entry.path, ignore_errors=True)
