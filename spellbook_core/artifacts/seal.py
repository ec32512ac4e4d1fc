"""The key of a workspace, and the mark it leaves on what the workspace wrote.

A pickle runs code when it is read, so only pickles that bear this workspace's mark are read. The content hash (xxh3)
is fast but can be forged, hence `meta.json` of a pickle also holds a blake2b of its bytes, and the mark covers that.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from spellbook_core.errors import StorageError
from spellbook_core.model.values import JsonValue

KEY_BYTES = 32


class Seal:
    """Signs the meta data of artifacts with the key in `path`, which is made (0600) on first use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key: bytes | None = None

    def sign(self, meta: Mapping[str, JsonValue]) -> str:
        """Return 64 hex characters that only this workspace can make for `meta` (its own signature left out)."""
        unsigned = {name: value for name, value in meta.items() if name != "signature"}
        text = json.dumps(unsigned, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), key=self._load_key(), digest_size=32).hexdigest()

    def is_signed(self, meta: Mapping[str, JsonValue]) -> bool:
        """Return whether this workspace signed `meta` as it is."""
        signature = meta.get("signature")
        return isinstance(signature, str) and hmac.compare_digest(signature.encode(), self.sign(meta).encode())

    def _load_key(self) -> bytes:
        if self._key is None:
            try:
                self._key = self._read()
            except FileNotFoundError:
                self._make()
                self._key = self._read()
        return self._key

    def _read(self) -> bytes:
        handle = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            key = file.read(KEY_BYTES + 1)
        if len(key) != KEY_BYTES:
            raise StorageError(
                f"The artifact key {self._path.name} is damaged: it has {len(key)} bytes instead of {KEY_BYTES}.",
                hint="delete it to get a new one; stored models and objects must then be computed again.",
                path=str(self._path),
            )
        return key

    def _make(self) -> None:
        """Write the key under another name and link it into place: of several first users exactly one wins."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, self._path)
            except FileExistsError:
                return
        finally:
            draft.unlink()
