"""What keeps a name inside its folder: which relative paths are refused, and reading without following a swap.

Checks are by `resolve()` and `is_relative_to`, never by comparing the beginning of texts: `/data-secret` begins with
`/data` (Jupyter CVE-2026-35397, Starlette CVE-2023-29159).
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from pathlib import Path

from spellbook_core.errors import NotFoundError, SpellbookError, StorageError

MAX_FILE_BYTES = 16 * 1024 * 1024
"""Largest text file that is read for showing or editing; the editor is for code, not for data."""

_ENCODED = re.compile(r"%[0-9a-fA-F]{2}")
_DRIVE_OR_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class OutsideProjectError(SpellbookError, PermissionError):
    """A path leads out of its folder, to a hidden file, or through a symbolic link that leaves the folder."""

    code = "SB-PRJ-002"


class UnreadableFileError(SpellbookError, ValueError):
    """A file is no regular file, is too large to show, or is no UTF-8 text."""

    code = "SB-PRJ-003"


def check_relative(relative: str) -> tuple[str, ...]:
    """Return the parts of a relative path that a person or a file gave.

    Refused: empty, absolute, `..`, hidden parts, back slashes, drive letters and schemes, `~`, percent-encoding,
    control characters, parts that end in a dot or a space.

    Raises:
        OutsideProjectError: Names the rule; the path is shown in ASCII. [SB-PRJ-002]
    """
    parts = tuple(relative.split("/"))
    reason = None
    if not relative.strip():
        reason = "it is empty"
    elif len(relative) > 1000:
        reason = "it is longer than 1,000 characters"
    elif relative.startswith(("/", "~")) or _DRIVE_OR_SCHEME.match(relative):
        reason = "it is not relative to the project"
    elif "\\" in relative or _ENCODED.search(relative):
        reason = "it has a back slash or a percent code"
    elif any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in relative):
        reason = "it has a control or invisible character"
    elif any(part.startswith(".") for part in parts):
        reason = "a part of it begins with a dot"
    elif any(not part or part[-1] in ". " for part in parts):
        reason = "a part of it is empty or ends in a dot or space"
    if reason:
        raise _refused(relative, reason)
    return parts


def inside(root: Path, path: Path) -> Path:
    """Return `path` when it stays in `root` after every symbolic link is followed.

    Raises:
        OutsideProjectError: It leaves `root`. [SB-PRJ-002]
    """
    _place(root, path)
    return path


def _place(root: Path, path: Path) -> Path:
    """Return where `path` leads, which is in `root`."""
    if _is_free_of_links(root, path):
        return path
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError) as cause:  # a loop of links
        raise _refused(path.name, "its links cannot be followed") from cause
    if not resolved.is_relative_to(os.path.realpath(root)):
        raise _refused(path.name, "it leads out of the folder")
    return resolved


def _is_free_of_links(root: Path, path: Path) -> bool:
    """Return whether no link lies between `root` and `path`, so that it leads nowhere else.

    Looking at these few folders costs a quarter of resolving both paths from the top of the disk.
    """
    above, parts = root.parts, path.parts
    if parts[: len(above)] != above or ".." in parts:
        return False
    place = str(root)
    try:
        for part in parts[len(above) :]:
            place = f"{place}{os.sep}{part}"
            if stat.S_ISLNK(os.lstat(place).st_mode):
                return False
    except FileNotFoundError:
        return True  # what is not there leads nowhere
    except OSError:
        return False
    return True


def existing_form(folder: Path, relative: str) -> Path:
    """Return `folder/relative` in the Unicode form that is on disk, NFC when neither is there.

    macOS and some archives write names decomposed (NFD): `한글` then has other bytes and is the same name.
    """
    if relative.isascii():  # both forms are the same
        return folder / relative
    for form in ("NFC", "NFD"):
        path = folder / unicodedata.normalize(form, relative)
        if os.path.lexists(path):
            return path
    return folder / unicodedata.normalize("NFC", relative)


def read_inside(root: Path, path: Path, *, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Return the bytes of a regular file that lies in `root`.

    The file is opened with O_NOFOLLOW at its resolved place and compared with that place afterwards, so a link that is
    swapped in between is refused. Devices and pipes are refused before anything is read from them.

    Raises:
        OutsideProjectError: It leaves `root`. [SB-PRJ-002]
        UnreadableFileError: No regular file, or more than `max_bytes`. [SB-PRJ-003]
        NotFoundError: There is no such file. [SB-SYS-002]
        StorageError: The disk refused. [SB-SYS-006]
    """
    place = _place(root, path)
    try:
        handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):  # the latter: a part of the path is a file
        raise NotFoundError(
            f"There is no file {path.name}.", hint="create it, or restore it from git.", path=str(path)
        ) from None
    except OSError as cause:
        raise StorageError(
            f"Cannot read {path}: {cause.strerror or cause}.", hint="make the file readable.", path=str(path)
        ) from cause
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableFileError(
                f"{path.name} is no regular file.", hint="replace it by a plain file.", path=str(path)
            )
        if found.st_size > max_bytes:
            raise UnreadableFileError(
                f"{path.name} has {found.st_size:,} bytes; at most {max_bytes:,} are read.",
                hint="make it smaller, or open it with another program.",
                path=str(path),
            )
        inside(root, path)
        return _contents(handle, found.st_size, max_bytes + 1)
    finally:
        os.close(handle)


def _contents(handle: int, size: int, at_most: int) -> bytes:
    """Return what an open file of `size` bytes holds, of one that grows meanwhile `at_most` bytes."""
    data = b""
    while some := os.read(handle, min(max(size - len(data), 4096), at_most - len(data))):
        data += some
    return data


def decode(data: bytes, path: Path) -> str:
    """Return `data` as UTF-8 text, a byte order mark dropped.

    Raises:
        UnreadableFileError: Names the line of the first wrong byte. [SB-PRJ-003]
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = data.count(b"\n", 0, cause.start) + 1
        raise UnreadableFileError(
            f"{path.name}:{line}: this is no UTF-8 text (byte {data[cause.start]:#04x}).",
            hint="save the file as UTF-8.",
            path=str(path),
            line=line,
        ) from None


def _refused(shown: str, reason: str) -> OutsideProjectError:
    return OutsideProjectError(
        f"The path '{ascii(shown[:120])[1:-1]}' is refused: {reason}.",
        hint="give a path inside the project, such as 'utils/variables.py'.",
    )
