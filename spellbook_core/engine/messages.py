"""The engine's socket protocol: one JSON object per line, both ways, and where the socket lies."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from pathlib import Path

from spellbook_core.model.values import JsonObject

PROTOCOL = 1
"""Raised when a message changes its meaning."""

MAX_SOCKET_PATH_BYTES = 100
"""Longest path of a unix socket that every system takes: 104 bytes on macOS, 108 on Linux, with their end mark."""

MAX_LINE_BYTES = 64 * 1024
"""A client that sends a longer line is no client of ours."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encode(message: JsonObject) -> bytes:
    """Return a message as its line."""
    return _encode(message).encode("utf-8", "replace") + b"\n"


def decode(line: bytes) -> JsonObject:
    """Return the message of a line; empty for anything but a JSON object."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def receive_line(connection: socket.socket) -> JsonObject:
    """Return the next message of a blocking connection that carries one at a time; empty at its end."""
    data = b""
    while not data.endswith(b"\n") and len(data) < MAX_LINE_BYTES:
        chunk = connection.recv(4096)
        if not chunk:
            break
        data += chunk
    return decode(data)


def socket_path(state_dir: Path) -> Path:
    """Return where to bind: in the state folder, or in a private temporary folder where that path is too long."""
    path = state_dir / "engine.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return path
    return Path(tempfile.mkdtemp(prefix="spellbook-")) / "engine.sock"
