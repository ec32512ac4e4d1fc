"""Names of widgets and fragments: stable, one per block, and made of safe characters whatever the block is called."""

from __future__ import annotations

import hashlib
import re

PAGE_LIVE = "ed_live"
TOOLBAR = "ed_toolbar"
PACKAGES = "ed_packages"
SIDE = "ed_side"
DIALOGS = "ed_dialogs"


def slug(uuid: str) -> str:
    """Return a key part of ASCII letters, digits and single `_`: plain names stay themselves, others get a digest.

    Streamlit's components refuse keys with two `_` in a row.
    """
    if re.fullmatch(r"[A-Za-z0-9]+(_[A-Za-z0-9]+)*", uuid):
        return uuid
    digest = hashlib.sha256(uuid.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    words = re.findall(r"[A-Za-z0-9]+", uuid)
    return "_".join([*words, digest])


def card(uuid: str) -> str:
    """Return the key of a block's card fragment and container."""
    return f"card_{slug(uuid)}"


def head(uuid: str) -> str:
    """Return the key of the fragment with a block's name, state and buttons."""
    return f"top_{slug(uuid)}"


def code(uuid: str) -> str:
    """Return the key of the fragment with a block's parents, signature and editor."""
    return f"code_{slug(uuid)}"


def output(uuid: str) -> str:
    """Return the key of the fragment with a block's result."""
    return f"output_{slug(uuid)}"


def charts(uuid: str) -> str:
    """Return the key of the fragment with a block's charts."""
    return f"charts_{slug(uuid)}"


def live(uuid: str) -> str:
    """Return the key of the fragment that follows a running block."""
    return f"live_{slug(uuid)}"


def widget(what: str, uuid: str) -> str:
    """Return the key of one widget of a block, e.g. `run_load_titanic`."""
    return f"{what}_{slug(uuid)}"
