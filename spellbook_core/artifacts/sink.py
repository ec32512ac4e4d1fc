"""A file that is hashed while it is written, and the same hashes of a file that exists."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from hashlib import blake2b

HASH_NAME = "xxh3_128"
"""Hash that names an artifact: 0.12 CPU seconds per GiB, against 1.6 for blake2b. Taken over the format's name, a NUL
byte and the written bytes, so that equal bytes of two formats are two artifacts."""

PLAIN_HASH_NAME = "blake2b_128"
"""Used instead in environments without the package xxhash; of the same length, over the same bytes."""

KEPT_BYTES = 64 * 1024
"""What is kept in memory before a file is made for it."""

Bytes: TypeAlias = "bytes | bytearray | memoryview"


class Digest:
    """The hash that names an artifact, and blake2b beside it when the format can run code.

    Args:
        format_name: Is hashed too.
        runs_code: Whether the second hash is taken.
        hash_name: The first; None for the best that this environment has.

    Attributes:
        hash_name: The first hash's name.
    """

    def __init__(self, format_name: str, *, runs_code: bool, hash_name: str | None = None) -> None:
        self.hash_name = hash_name or best_hash()
        self._fast: Any = _hasher(self.hash_name, format_name.encode() + b"\0")
        self._strong: blake2b | None = hashlib.blake2b(digest_size=32) if runs_code else None

    def update(self, data: Bytes | mmap.mmap) -> None:
        """Add the next bytes."""
        if self._fast is not None:
            self._fast.update(data)
        if self._strong is not None:
            self._strong.update(data)

    def name(self) -> str | None:
        """Return 32 hex characters; None when the hash was made with a package that is not installed here."""
        return None if self._fast is None else str(self._fast.hexdigest())

    def strong(self) -> str | None:
        """Return 64 hex characters, or None for a format that cannot run code."""
        return None if self._strong is None else self._strong.hexdigest()


def best_hash() -> str:
    """Return the name of the hash that new artifacts get in this environment."""
    try:
        import xxhash  # noqa: F401
    except ImportError:
        return PLAIN_HASH_NAME
    return HASH_NAME


def _hasher(name: str, start: bytes) -> Any:
    if name == PLAIN_HASH_NAME:
        return hashlib.blake2b(start, digest_size=16)
    try:
        import xxhash
    except ImportError:
        return None
    return xxhash.xxh3_128(start)


class Sink:
    """A new file (0600) that hashes what is written to it. Speaks enough of `io` for pyarrow, numpy and pickle.

    The file is made when more than `KEPT_BYTES` have come, or by `settle`: a small value that proves to be stored
    already costs the disk nothing.

    Args:
        path: Of the file; there is none yet.
        digest: Takes what is written.
        make_folder: Makes the folder of the file; called once, before anything is made in it.
    """

    def __init__(self, path: Path, digest: Digest, make_folder: Callable[[], None]) -> None:
        self._file: FileIO | None = None
        self._kept: list[bytes] = []
        self._digest = digest
        self._make_folder = make_folder
        self._has_folder = False
        self.path = path
        self.size_bytes = 0
        self.closed = False

    def write(self, data: Any) -> int:
        """Write all of `data` (anything with a buffer)."""
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self.size_bytes += len(view)
        if self._file is None and self.size_bytes <= KEPT_BYTES:
            self._kept.append(bytes(view))
        else:
            self._write(self._made(), view)
        return len(view)

    def settle(self) -> None:
        """Have the file, with all that was written, and closed."""
        self._made()
        self.close()

    def beside(self, ending: str) -> Path:
        """Return a path in the file's folder, which is made, for a writer that takes a path only."""
        self._have_folder()
        return self.path.with_name(f"{self.path.name}{ending}")

    def _have_folder(self) -> None:
        if not self._has_folder:
            self._make_folder()
            self._has_folder = True

    def _made(self) -> FileIO:
        if self._file is None:
            self._have_folder()
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._file = FileIO(handle, "wb")
            self._write(self._file, memoryview(b"".join(self._kept)))
            self._kept.clear()
        return self._file

    @staticmethod
    def _write(file: FileIO, view: memoryview) -> None:
        done = 0
        while done < len(view):  # one write(2) takes at most 2 GiB, and may take less
            done += file.write(view[done:]) or 0

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self.size_bytes

    def seekable(self) -> bool:
        """Return False: bytes are hashed as they pass."""
        return False

    def writable(self) -> bool:
        """Return True."""
        return True

    def readable(self) -> bool:
        """Return False."""
        return False

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    def close(self) -> None:
        """Take no more."""
        self.closed = True
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


class HashOnly(Sink):
    """Takes what is written for its hash and its size, and makes no file."""

    def __init__(self, digest: Digest) -> None:
        super().__init__(Path(os.devnull), digest, lambda: None)

    def write(self, data: Any) -> int:
        """Hash all of `data`."""
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self.size_bytes += len(view)
        return len(view)


def digest_of(path: Path, format_name: str, *, runs_code: bool, hash_name: str | None = None) -> Digest:
    """Return the hashes of the file at `path`, read through a memory map, so that memory stays small.

    Args:
        path: The file.
        format_name: Of its format.
        runs_code: See `Digest`.
        hash_name: See `Digest`.

    Raises:
        OSError: It cannot be read, or is a symbolic link.
    """
    digest = Digest(format_name, runs_code=runs_code, hash_name=hash_name)
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if os.fstat(handle).st_size:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                digest.update(view)
    return digest
