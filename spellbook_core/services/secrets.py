"""A project's secrets as a screen or command handles them: their names, never a value; adding and removing one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spellbook_core.atomic import content_hash, write_atomically
from spellbook_core.errors import NotFoundError, SpellbookError
from spellbook_core.project import secrets
from spellbook_core.project.containment import read_inside
from spellbook_core.project.layout import HasWorkspace
from spellbook_core.project.secrets import ENV_FILE

_MODE = 0o600


@dataclass(frozen=True, slots=True)
class SecretName:
    """A declared secret without its value.

    Attributes:
        origin: Where it is kept, for people.
        is_masked: False when the value is too short or too plain to be told from other text.
        is_removable: Whether it lies in the project's own `.env`.
    """

    name: str
    origin: str
    is_masked: bool
    is_removable: bool


def names(ctx: HasWorkspace, project: str) -> list[SecretName]:
    """Return the secrets that blocks of the project can reach, by name.

    Raises:
        NotFoundError: There is no such project. [SB-SYS-002]
    """
    layout = ctx.workspace.project(project)
    own = secrets.read_env_file(layout.root / ENV_FILE)
    found: dict[str, SecretName] = {}
    for one in secrets.declared(layout.root, ctx.workspace.root):
        found.setdefault(one.name, SecretName(one.name, one.origin, one.is_masked, one.name in own))
    return sorted(found.values(), key=lambda one: one.name)


def put(ctx: HasWorkspace, project: str, name: str, value: str) -> None:
    """Keep a secret in the project's `.env`, readable by its owner alone and ignored by git; replaces one of that name.

    Raises:
        NotFoundError: There is no such project. [SB-SYS-002]
        BadNameError: No environment variable can have that name. [SB-SYS-001]
        BadSecretError: The value is too short, or none that a variable can hold. [SB-PRJ-040]
        StorageError: The disk refused. [SB-SYS-006]
    """
    root = ctx.workspace.project(project).root
    text = secrets.with_secret(_text(root, ENV_FILE), name, value)
    _ignore(root)
    write_atomically(root / ENV_FILE, text.encode("utf-8"), mode=_MODE)


def remove(ctx: HasWorkspace, project: str, name: str) -> None:
    """Take a secret out of the project's `.env`; what blocks did with it stays done.

    Raises:
        NotFoundError: There is no such project, or its `.env` has no such name. [SB-SYS-002]
        StorageError: The disk refused. [SB-SYS-006]
    """
    root = ctx.workspace.project(project).root
    text = _text(root, ENV_FILE)
    if name not in secrets.read_env_file(root / ENV_FILE):
        raise NotFoundError(f"The file .env of project '{project}' has no secret '{name}'.", hint="reload the page.")
    expected = content_hash(text.encode("utf-8"))
    write_atomically(
        root / ENV_FILE, secrets.without_secret(text, name).encode("utf-8"), expected_hash=expected, mode=_MODE
    )


def _ignore(root: Path) -> None:
    """See to it that git never takes `.env` along."""
    text = _text(root, ".gitignore")
    if not {".env", "/.env", "*.env", ".env*"} & {line.strip() for line in text.splitlines()}:
        ending = "" if not text or text.endswith("\n") else "\n"
        write_atomically(root / ".gitignore", f"{text}{ending}.env\n".encode())


def _text(root: Path, name: str) -> str:
    try:
        return read_inside(root, root / name).decode("utf-8", "replace")
    except NotFoundError:
        return ""
    except SpellbookError:
        if not (root / name).exists():
            return ""
        raise
