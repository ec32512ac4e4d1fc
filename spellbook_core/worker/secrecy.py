"""The secrets of the attempt that runs here: what a block asks for by name, and what is masked in all it leaves behind.

Masking happens in this process and its zygote, before anything is written: no log, outcome, metric, preview or run
record ever holds a secret. The stored value of an output is the block's own and stays as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from spellbook_core.errors import NotFoundError
from spellbook_core.model.masking import Masker
from spellbook_core.model.task import BlockTask
from spellbook_core.project import secrets


class SecretMissingError(NotFoundError):
    """No secret of that name is declared anywhere."""

    code = "SB-WRK-032"


_masker = Masker()
_found: dict[str, str] = {}
_env_files: dict[str, str] = {}
_tell: Callable[[Iterable[str]], None] = lambda _: None  # noqa: E731  # replaced by `begin`


def begin(task: BlockTask, tell: Callable[[Iterable[str]], None]) -> None:
    """Find the secrets that the block of `task` can reach; before a line of it runs.

    Args:
        task: Names the project and the workspace.
        tell: Called with texts that are masked from then on: whoever writes the log must know them too.
    """
    global _masker, _found, _env_files, _tell
    known = secrets.declared(Path(task.project_root), Path(task.workspace))
    _found = {one.name: one.value for one in reversed(known)}
    _env_files = {one.name: one.value for one in known if one.origin.startswith(secrets.ENV_FILE)}
    _masker, _tell = Masker(), tell
    mask(secrets.masked_values(known))


def mask(values: Iterable[str]) -> None:
    """Mask these texts from now on, in this attempt."""
    global _masker
    widened = _masker.with_values(values)
    if widened is not _masker:
        _masker = widened
        _tell(values)


def masker() -> Masker:
    """Return what masks the texts of this attempt."""
    return _masker


def secret(name: str, default: str | None = None) -> str:
    """Return the secret `name`: of the environment, else of the project's `.env`, else of the workspace's.

    From then on it is masked in everything that the block prints, raises or shows. Outside a run (pytest, Jupyter) it
    is looked up in the environment alone.

    Args:
        name: As the environment or the file has it.
        default: Returned, unmasked, when there is no such secret; None raises.

    Raises:
        SecretMissingError: It is in none of the places. [SB-WRK-032]
    """
    value = os.environ.get(name, _found.get(name))
    if value is not None:
        mask([value])
        return value
    if default is not None:
        return default
    raise SecretMissingError(
        f"There is no secret '{name}'.",
        hint=f"add {name} on the Settings screen, write {name}=... into the file .env in the project's folder (keep it "
        "out of git), or set it in the environment before Spellbook starts. Secrets that mage keeps in its own "
        "database are not read.",
        secret=name,
    )


def exported() -> Mapping[str, str]:
    """Return the names of `.env` files that the environment lacks, with their values, for the block's process."""
    return {name: value for name, value in _env_files.items() if name not in os.environ and name.isidentifier()}
