"""Plot specifications that fetch nothing: a figure must not make the viewer's browser ask another machine."""

from __future__ import annotations

import re
from collections.abc import Mapping

from spellbook_core.model.values import JsonValue

_FETCHED = frozenset({"url", "href", "baseURL", "baseUrl", "usermeta", "topojsonURL", "accesstoken"})
"""Keys of Vega-Lite and plotly that name something to fetch or to open, or that change the viewer's own settings."""

_ADDRESS = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//|\s*(?:javascript|vbscript|file|data:text/html)", re.IGNORECASE)
_MAY_HOLD_ADDRESS = frozenset({"source", "src", "image", "target"})
_MAX_DEPTH = 60


def harmless(spec: JsonValue, depth: int = 0) -> JsonValue:
    """Return a specification without anything that is fetched from an address, or that a click would open."""
    if depth > _MAX_DEPTH:
        return None
    if isinstance(spec, Mapping):
        return {
            key: harmless(value, depth + 1)
            for key, value in spec.items()
            if key not in _FETCHED and not (key in _MAY_HOLD_ADDRESS and _is_address(value))
        }
    if isinstance(spec, list):
        if len(spec) > 1000 and all(isinstance(value, (int, float, type(None))) for value in spec):
            return spec  # data, the bulk of a figure
        return [harmless(value, depth + 1) for value in spec]
    return spec


def _is_address(value: JsonValue) -> bool:
    return isinstance(value, str) and bool(_ADDRESS.match(value))
