"""Which secrets a project declares: lines of `.env`, secret-like keys of io_config.yaml, variables of the environment.

Read line by line, without a YAML library: every block's process asks before it starts, whatever it has loaded.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from spellbook_core.errors import BadNameError, SpellbookError
from spellbook_core.model.masking import MIN_CHARS, Masker

ENV_FILE = ".env"
IO_CONFIG_FILE = "io_config.yaml"
_WORKSPACE_ENV_FILE = ".env of the workspace"

MAX_FILE_BYTES = 1024 * 1024
"""Longest file that is read for secrets."""

PLAIN_CHARS = 8
"""A value of `.env` whose name says nothing of a secret is masked from this length on; `dev` and `5432` are not."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_SECRET_NAME = re.compile(
    r"(?:^|[_\-.])(?:pass|passwd|password|passphrase|pwd|secrets?|tokens?|apikey|keys?|credentials?|dsn|auth"
    r"|connection_string|service_acc_key)(?:$|[_\-.])",
    re.IGNORECASE,
)
_ENTRY = re.compile(r"^(?P<indent>\s*)(?:- +)?[\"']?(?P<key>[A-Za-z_][\w.-]*)[\"']?\s*:(?:\s+(?P<value>.*))?$")
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'")
_REFERENCE = re.compile(r"(?:env_var|mage_secret_var|secret)\(\s*['\"]([^'\"]+)['\"]")
_PLAIN = re.compile(r"(?i)true|false|yes|no|null|none|localhost|[\d.:_-]*")
_PASSWORD_OF_ADDRESS = re.compile(r"://[^/@\s:]*:([^@\s]+)@")
_LISTED = re.compile(
    r"^secrets:[ \t]*(?:\[(?P<inline>[^\]]*)\]|(?P<below>(?:\n[ \t]*-[ \t]+.*|\n[ \t]*#.*)*))", re.MULTILINE
)


class BadSecretError(SpellbookError, ValueError):
    """A secret's value cannot be kept in a `.env` file, or is too short to be masked."""

    code = "SB-PRJ-040"


@dataclass(frozen=True, slots=True)
class DeclaredSecret:
    """A secret of a project.

    Attributes:
        origin: `.env`, `.env of the workspace`, `environment` or `io_config.yaml`, for people.
        is_masked: False for a value too plain or too short to be told from other text.
    """

    name: str
    value: str
    origin: str
    is_masked: bool = True


def declared(project: Path, workspace: Path, environment: Mapping[str, str] = os.environ) -> tuple[DeclaredSecret, ...]:
    """Return the secrets that blocks of a project can reach, of several places of one name the one that counts.

    Args:
        project: The project's folder.
        workspace: Its `.env` counts where the project's has no such name.
        environment: Counts before both files. Of it: what the project's metadata.yaml lists under `secrets`, what
            io_config.yaml refers to under a secret-like key, what is named like a secret.
    """
    config = config_of(project)
    values, referred = _io_config(config)
    listed = referred | _listed(_read(project / "metadata.yaml"))
    found: dict[str, DeclaredSecret] = {}
    for name, value in environment.items():
        if name in listed or (len(value) >= PLAIN_CHARS and not value.startswith("/") and is_secret_name(name)):
            found[name] = DeclaredSecret(name, value, "environment", len(value) >= MIN_CHARS)
    folders = {project: ENV_FILE} if project == workspace else {project: ENV_FILE, workspace: _WORKSPACE_ENV_FILE}
    for folder, origin in folders.items():
        for name, value in read_env_file(folder / ENV_FILE).items():
            if name not in found:
                value = environment.get(name, value)
                found[name] = DeclaredSecret(name, value, origin, _is_masked(name, value, name in listed))
    others = []  # of other profiles: one name, several values
    for name, value in values:
        one = DeclaredSecret(name, value, IO_CONFIG_FILE, _is_masked(name, value, False))
        if found.setdefault(name, one).value != value:
            others.append(one)
    return (*found.values(), *others)


def masked_values(secrets: tuple[DeclaredSecret, ...]) -> tuple[str, ...]:
    """Return the texts to mask: each secret's value, and the password in a value that is an address."""
    found = []
    for one in secrets:
        if one.is_masked:
            found.append(one.value)
            found += [text for part in _PASSWORD_OF_ADDRESS.findall(one.value) for text in {part, unquote(part)}]
    return tuple(found)


def masker_of(projects: Iterable[Path], workspace: Path) -> Masker:
    """Return what masks the secrets of some projects of a workspace, for screens that show all of them."""
    values = {value for project in projects for value in masked_values(declared(project, workspace))}
    return _masker(frozenset(values))


@lru_cache(maxsize=8)
def _masker(values: frozenset[str]) -> Masker:
    return Masker(values)


def is_secret_name(name: str) -> bool:
    """Return whether a name says that its value is secret: password, secret, token, key, credentials, dsn."""
    return bool(_SECRET_NAME.search(name))


def config_of(project: Path) -> str:
    """Return the text of a project's io_config.yaml; empty when there is none."""
    return _read(project / IO_CONFIG_FILE)


def references_in(text: str) -> frozenset[str]:
    """Return the names of the variables and secrets that expressions in a text refer to."""
    return frozenset(_REFERENCE.findall(text))


def read_env_file(path: Path) -> dict[str, str]:
    r"""Return the `NAME=value` lines of a file; empty when there is none.

    Quotes around a value are removed; between double ones `\n`, `\"` and `\\` mean what they mean in Python.
    """
    found = {}
    for line in _read(path).splitlines():
        name, separator, value = line.strip().removeprefix("export ").partition("=")
        if separator and not name.startswith("#"):
            found[name.strip()] = _unquoted(value.strip())
    return found


def with_secret(text: str, name: str, value: str) -> str:
    """Return the text of a `.env` file with `name` set to `value`; every other line stays as it is.

    Raises:
        BadNameError: The name is none that an environment variable can have. [SB-SYS-001]
        BadSecretError: The value is empty, too short to be masked, or holds a NUL. [SB-PRJ-040]
    """
    if not _NAME.fullmatch(name):
        raise BadNameError(f"A secret cannot be called {name[:60]!r}.", hint="use letters, digits and _, e.g. API_KEY.")
    if len(value) < MIN_CHARS or "\0" in value or len(value.encode()) > MAX_FILE_BYTES // 4:
        raise BadSecretError(
            f"The value of '{name}' cannot be kept: it has {len(value)} characters, or one that no variable can hold.",
            hint=f"use {MIN_CHARS} characters or more; a shorter one could not be masked in logs.",
        )
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    lines = [line for line in text.splitlines() if _name_of(line) != name]
    return "\n".join([*lines, f'{name}="{escaped}"']) + "\n"


def without_secret(text: str, name: str) -> str:
    """Return the text of a `.env` file without the lines that set `name`."""
    return "".join(line for line in text.splitlines(keepends=True) if _name_of(line) != name)


def _name_of(line: str) -> str:
    name, separator, _ = line.strip().removeprefix("export ").partition("=")
    return name.strip() if separator and not name.startswith("#") else ""


def _is_masked(name: str, value: str, is_listed: bool) -> bool:
    if len(value) < MIN_CHARS:
        return False
    return is_listed or is_secret_name(name) or (len(value) >= PLAIN_CHARS and not _PLAIN.fullmatch(value))


def _io_config(text: str) -> tuple[list[tuple[str, str]], set[str]]:
    """Return (key, value) of the secret-like keys, and the names of variables that their values refer to."""
    values: list[tuple[str, str]] = []
    referred: set[str] = set()
    for key, value in _entries(text.splitlines()):
        if not is_secret_name(key):
            continue
        names = references_in(value)
        referred.update(names)
        if value and not names:
            values.append((key, value))
    return values, referred


def _entries(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield `key: value` of YAML lines, of nested mappings too; texts in `|` blocks are joined."""
    for number, line in enumerate(lines):
        found = _ENTRY.match(line)
        if found is None or line.lstrip().startswith("#"):
            continue
        value = (found["value"] or "").strip()
        if value[:1] in {"|", ">"}:
            value = "\n".join(_below(lines[number + 1 :], len(found["indent"])))
        elif quoted := _QUOTED.match(value):
            is_single = quoted[0].startswith("'")
            value = quoted[0][1:-1].replace("''", "'") if is_single else _unquoted(quoted[0])
        else:
            value = value.partition(" #")[0].strip()
        yield found["key"], value


def _below(lines: list[str], indent: int) -> Iterator[str]:
    for line in lines:
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            return
        yield line.strip()


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != value[-1] or value[0] not in "'\"":
        return value
    if value[0] == "'":
        return value[1:-1]
    try:
        return str(json.loads(value, strict=False))
    except ValueError:
        return value[1:-1]


def _listed(text: str) -> set[str]:
    """Return the names under `secrets` of a project's metadata.yaml, a list in either form of YAML."""
    found = _LISTED.search(text)
    if found is None:
        return set()
    items = (found["inline"] or "").split(",") + re.findall(r"\n[ \t]*-[ \t]+(.*)", found["below"] or "")
    return {name for item in items if _NAME.fullmatch(name := _unquoted(item.partition("#")[0].strip()))}


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
