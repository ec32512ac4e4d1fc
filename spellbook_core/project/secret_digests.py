"""Digests of secrets and of variables of the environment, by which a changed one is noticed.

Made with a key of the workspace, also those of variables that nobody calls secret. The key lies in a file of its owner,
so nobody who sees only a digest can try values against it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets as randomness
from collections.abc import Collection
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from spellbook_core.project.closure import is_settled
from spellbook_core.project.layout import PIPELINE_FILE, ProjectLayout, Workspace
from spellbook_core.project.secrets import (
    ENV_FILE,
    IO_CONFIG_FILE,
    DeclaredSecret,
    config_of,
    declared,
    references_in,
)

_Stamp: TypeAlias = "tuple[int, int, int, int]"

KEY_FILE = "secret.key"
KEY_BYTES = 32


def secret_digests(project: ProjectLayout, names: Collection[str] | None) -> dict[str, str]:
    """Return name -> 16 hexadecimal characters for those of `names` that are secrets of a project; None for all.

    Empty where the key can be neither read nor made, as in a folder that is only looked at.
    """
    workspace = project.workspace
    places = (project.root, workspace.root)
    stamps = tuple(_stamp(path) for path in _files(*places))
    if all(is_settled(max(stamp[0], stamp[3])) for stamp in stamps):
        known = _declared(*places, stamps, frozenset(os.environ.items()))
    else:  # a file that may change again within the same tick of the file system's clock
        known = declared(*places)
    found = [one for one in known if names is None or one.name in names]
    if not found:
        return {}
    key = _key(workspace)
    return {} if key is None else {one.name: _digest(key, one.name, one.value) for one in reversed(found)}


def variable_digests(project: ProjectLayout, names: Collection[str]) -> dict[str, str]:
    """Return name -> the same for those of `names` that are variables of this process, which its blocks inherit."""
    found = {name: os.environ[name] for name in names if name in os.environ}
    key = _key(project.workspace) if found else None
    return {} if key is None else {name: _digest(key, name, value) for name, value in sorted(found.items())}


def config_digest(project: ProjectLayout) -> str | None:
    """Return what stands for `io_config.yaml` with the variables that it refers to; None when there is none."""
    text = config_of(project.root)
    key = _key(project.workspace) if text else None
    if key is None:
        return None
    values = {name: os.environ.get(name) for name in sorted(references_in(text))}
    return _digest(key, IO_CONFIG_FILE, json.dumps([text, values]))


@lru_cache(maxsize=32)
def _declared(
    project: Path, workspace: Path, stamps: tuple[_Stamp, ...], environment: frozenset[tuple[str, str]]
) -> tuple[DeclaredSecret, ...]:
    """Read once per state of the files and of the environment: every block that is looked at asks."""
    return declared(project, workspace, dict(environment))


def _files(project: Path, workspace: Path) -> tuple[Path, ...]:
    return (project / ENV_FILE, workspace / ENV_FILE, project / IO_CONFIG_FILE, project / PIPELINE_FILE)


def _stamp(path: Path) -> _Stamp:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns)


def _digest(key: bytes, name: str, value: str) -> str:
    text = json.dumps([name, value])  # names may hold no separator, values anything
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=8).hexdigest()


def _key(workspace: Workspace) -> bytes | None:
    path = workspace.state_dir / KEY_FILE
    try:
        return _read(path)
    except FileNotFoundError:
        with suppress(OSError):
            workspace.ensure_state_dir()
            _make(path)
            return _read(path)
    except OSError:
        pass
    return None


def _read(path: Path) -> bytes | None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        key = file.read(KEY_BYTES + 1)
    return key if len(key) == KEY_BYTES else None


def _make(path: Path) -> None:
    """Write the key under another name and link it into place: of several first users exactly one wins."""
    draft = path.with_name(f".{path.name}.{randomness.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(randomness.token_bytes(KEY_BYTES))
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
