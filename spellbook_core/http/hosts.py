"""Which Host and Origin headers are ours: the defence against DNS rebinding and requests made by other sites."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(address: str) -> bool:
    """Whether binding `address` keeps the server on this machine."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def split_host(header: str) -> str | None:
    """Return the name in a Host header, lower case, without port and brackets; None when it is malformed."""
    if not header or any(char in header for char in "/@\\?# \t"):
        return None
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port  # raises when it is no number
    except ValueError:
        return None
    return parts.hostname.lower().rstrip(".") if parts.hostname else None


class HostRule:
    """Says which Host headers are answered.

    On loopback: this machine's loopback names. Opened to others: also the bound address, the machine's name, names
    given by the person, and any bare IP address, which DNS rebinding cannot use because it needs a name.
    """

    def __init__(self, *, remote: bool, extra: Iterable[str] = ()) -> None:
        names = {name.lower().rstrip(".") for name in extra}
        self._names = LOOPBACK_NAMES | names | ({socket.gethostname().lower()} if remote else set())
        self._any_address = remote

    def allows(self, header: str | None) -> bool:
        """Whether a request with this Host header is answered."""
        name = split_host(header or "")
        if name is None:
            return False
        if name in self._names:
            return True
        if not self._any_address:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def is_same_origin(origin: str, host: str) -> bool:
    """Whether an Origin header names the very server (name and port) that the Host header asked for."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower() and not parts.path
