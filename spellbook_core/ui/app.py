"""The one place that knows Streamlit's server: build the app, start it with safe settings, say where it listens."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).with_name("page.py")
"""The script that Streamlit runs for every session."""


def safe_config() -> dict[str, object]:
    """Return every setting of `config.toml` by its dotted name, as overrides that no other file can loosen."""
    with Path(__file__).with_name("config.toml").open("rb") as file:
        return dict(_flat(tomllib.load(file)))


def _flat(table: Mapping[str, object], prefix: str = ""):
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def build(options: Mapping[str, object]):
    """Return the Streamlit app, an ASGI callable, for `serve.app_options()`."""
    import streamlit as st

    return st.App(**options)


def run(app, *, host: str, port: int, remote: bool) -> None:
    """Serve `app` until a signal ends it.

    Args:
        app: What `build` returned.
        host: Address to bind.
        port: A free TCP port.
        remote: Whether names other than this machine's own may be asked for; the token guard then checks the host.
    """
    overrides = safe_config() | {"server.address": host, "server.port": port}
    if remote:
        overrides["server.allowedHosts"] = ["*"]
    # Streamlit puts the launcher's folder first on sys.path; for `python -m spellbook_core.serve` that folder holds
    # `http/`, which would hide Python's own. "-c" says that there is no launcher file.
    sys.argv = ["-c"]
    app.run(config=overrides)


def settle(*, remote: bool) -> tuple[str, int]:
    """Return the host and port that Streamlit was told to bind, once its settings are read.

    Also takes the pages' folder off `sys.path`, where Streamlit puts it: `app`, `page` and `state` are no modules
    of the world.
    """
    from streamlit import config

    if remote:
        config.set_option("server.allowedHosts", ["*"])
    while str(PAGE.parent) in sys.path:
        sys.path.remove(str(PAGE.parent))
    return str(config.get_option("server.address") or "0.0.0.0"), int(config.get_option("server.port"))  # noqa: S104
