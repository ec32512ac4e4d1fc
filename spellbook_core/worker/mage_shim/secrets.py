"""mage's name for `spellbook_core.secret`."""

from __future__ import annotations

from spellbook_core.worker.secrecy import secret


def get_secret_value(name: str, *arguments: object, **options: object) -> str:
    """Return the secret `name`; what else mage's function takes (project, user) means nothing here.

    Raises:
        SecretMissingError: It is in none of the places. [SB-WRK-032]
    """
    return secret(name)
