"""The access token of a workspace, and the sessions that are signed with it.

A block editor runs code by design, so every request must show the token or a session made from it. Sessions are
signed, not stored: when the token changes, all of them end at their next request.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from spellbook_core.atomic import ABSENT, content_hash, write_atomically
from spellbook_core.errors import BadSettingError, ChangedOnDiskError

TOKEN_VARIABLE = "SPELLBOOK_TOKEN"  # noqa: S105  # a name, not a value
"""Overrides the token file; needed to serve other machines."""

MIN_TOKEN_CHARS = 12
"""Shortest SPELLBOOK_TOKEN: 12 random letters and digits are 71 bits, beyond guessing at ten tries a minute."""

SESSION_S = 30 * 24 * 3600
"""How long a browser stays signed in, seconds."""


def read_or_create_token(path: Path) -> str:
    """Return the token in `path`, made at random (256 bits, mode 0600) when there is none; safe among processes.

    Args:
        path: In a folder that exists and is private.
    """
    while True:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = None
        token = (data or b"").decode("utf-8").strip()
        if token:
            return token
        with suppress(ChangedOnDiskError):  # another process was first: its token is the one
            # nothing there, or an empty file that somebody truncated; whatever came meanwhile stays
            _write(path, secrets.token_urlsafe(32), expected_hash=ABSENT if data is None else content_hash(data))


def rotate_token(path: Path) -> str:
    """Replace the token in `path` and return the new one; every session and script with the old one is refused."""
    token = secrets.token_urlsafe(32)
    _write(path, token, expected_hash=None)
    return token


def _write(path: Path, token: str, *, expected_hash: str | None) -> None:
    write_atomically(path, f"{token}\n".encode(), expected_hash=expected_hash, mode=0o600)


def token_from_environment(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return SPELLBOOK_TOKEN, or None when it is not set.

    Raises:
        BadSettingError: It is too short to protect anything. [SB-SYS-005]
    """
    token = environment.get(TOKEN_VARIABLE, "").strip()
    if token and len(token) < MIN_TOKEN_CHARS:
        raise BadSettingError(
            f"{TOKEN_VARIABLE} has {len(token)} characters; at least {MIN_TOKEN_CHARS} are needed.",
            hint=f"set {TOKEN_VARIABLE} to a long random text, or unset it to use the workspace's own token.",
        )
    return token or None


class Access:
    """Checks tokens and sessions against the token as it is now, also after another process rotated it."""

    def __init__(self, token_path: Path, *, fixed: str | None = None) -> None:
        """Use `fixed` (SPELLBOOK_TOKEN) for the life of the process, else the file at `token_path`."""
        self._path = token_path
        self._fixed = fixed
        self._stamp: tuple[int, int] | None = None
        self._token = fixed or ""
        self._login_codes: dict[str, float] = {}

    @property
    def token(self) -> str:
        """The token that opens the workspace now; costs one stat() while the file is unchanged."""
        if self._fixed is not None:
            return self._fixed
        try:
            status = self._path.stat()
            stamp = (status.st_ino, status.st_mtime_ns)
        except FileNotFoundError:
            stamp = None
        if stamp is None or stamp != self._stamp:
            self._token = read_or_create_token(self._path)
            status = self._path.stat()
            self._stamp = (status.st_ino, status.st_mtime_ns)
        return self._token

    def is_token(self, text: str) -> bool:
        """Whether `text` is the token; takes as long for a near miss as for a far one."""
        return hmac.compare_digest(text.encode("utf-8", "replace"), self.token.encode())

    def new_session(self) -> str:
        """Return a signed session value for a cookie, valid for `SESSION_S` seconds or until the token changes."""
        body = f"{int(time.time()) + SESSION_S:x}.{secrets.token_hex(8)}"
        return f"{body}.{self._sign(body)}"

    def is_session(self, value: str) -> bool:
        """Whether `value` is a session that this workspace signed with today's token and that has not expired."""
        body, _, signature = value.rpartition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._sign(body).encode()):
            return False
        return int(body.partition(".")[0], 16) > time.time()

    def _sign(self, body: str) -> str:
        key = hashlib.blake2b(self.token.encode(), person=b"sb-session").digest()
        return hmac.new(key, body.encode("utf-8", "replace"), "sha256").hexdigest()

    def new_login_code(self, *, valid_s: float = 120.0) -> str:
        """Return a code that signs in once, so that the token itself never stands in a process list."""
        code = secrets.token_urlsafe(16)
        self._login_codes[code] = time.monotonic() + valid_s
        return code

    def use_login_code(self, code: str) -> bool:
        """Whether `code` is an unused login code; it is used up by this call."""
        return self._login_codes.pop(code, 0.0) > time.monotonic()
