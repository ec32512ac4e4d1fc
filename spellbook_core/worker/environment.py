"""Environment variables that a block asks for in its configuration; its process alone gets them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from spellbook_core.errors import SpellbookError
from spellbook_core.model.values import YamlValue
from spellbook_core.project.secrets import is_secret_name
from spellbook_core.worker import secrecy

KEY = "env"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\{\{\s*(env_var|secret|mage_secret_var)\(\s*['\"]([^'\"]+)['\"]\s*\)\s*\}\}")


class BadEnvironmentError(SpellbookError, ValueError):
    """`env` of a block's configuration is no mapping of names to texts."""

    code = "SB-WRK-052"


def environment_of(configuration: Mapping[str, YamlValue]) -> dict[str, str]:
    """Return the variables under `env`, with `{{ secret('NAME') }}` and `{{ env_var('NAME') }}` filled in.

    A value whose name says that it is secret is masked like one.

    Raises:
        BadEnvironmentError: Names the entry. [SB-WRK-052]
        SecretMissingError: A secret that a value refers to is declared nowhere. [SB-WRK-032]
    """
    found = {name: _REFERENCE.sub(_filled_in, text) for name, text in entries_of(configuration).items()}
    secrecy.mask([text for name, text in found.items() if is_secret_name(name)])
    return found


def entries_of(configuration: Mapping[str, YamlValue]) -> dict[str, str]:
    """Return the variables under `env` as they are written; true and false become `1` and `0`.

    Raises:
        BadEnvironmentError: Names the entry. [SB-WRK-052]
    """
    entries = configuration.get(KEY)
    if entries is None:
        return {}
    if not isinstance(entries, Mapping):
        raise _refused("it is no mapping")
    found = {}
    for name, value in entries.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _refused(f"{str(name)[:60]!r} is no name of a variable")
        if not isinstance(value, (str, int, float)):
            raise _refused(f"the value of {name} is no text")
        found[name] = str(int(value)) if isinstance(value, bool) else str(value)
        if "\0" in found[name]:
            raise _refused(f"the value of {name} holds a NUL")
    return found


def _filled_in(reference: re.Match[str]) -> str:
    if reference[1] == "env_var":
        return os.environ.get(reference[2], "")
    return secrecy.secret(reference[2])


def _refused(why: str) -> BadEnvironmentError:
    return BadEnvironmentError(
        f"'{KEY}' in the block's configuration cannot be used: {why}.",
        hint="write one `NAME: text` per line below it.",
    )
