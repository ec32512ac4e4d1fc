"""Why an output cannot be stored, read, shown or exported: every error of the artifact store."""

from __future__ import annotations

from pathlib import Path

from spellbook_core.errors import NotFoundError, SpellbookError, StorageError
from spellbook_core.model.output import ArtifactRef


class ArtifactMissingError(NotFoundError):
    """A stored output was asked for that is not (or no longer) in the store."""

    code = "SB-ART-001"


class CorruptArtifactError(SpellbookError, OSError):
    """A stored output's bytes are not those that were written."""

    code = "SB-ART-002"


class UntrustedArtifactError(SpellbookError, PermissionError):
    """A stored output would run code when read, and this workspace did not write it."""

    code = "SB-ART-003"


class UnstorableValueError(SpellbookError, TypeError):
    """A value that a block returned cannot be kept for the next block."""

    code = "SB-ART-004"


class NotATableError(SpellbookError, TypeError):
    """Rows were asked of an output that has none to show."""

    code = "SB-ART-005"


class DuplicateColumnsError(SpellbookError, ValueError):
    """A table has several columns of one name with different contents."""

    code = "SB-ART-006"


class UnreadableArtifactError(SpellbookError, ImportError):
    """A stored output is intact, but this Python environment cannot rebuild the value."""

    code = "SB-ART-007"


class BadPageError(SpellbookError, ValueError):
    """A page was asked for with an impossible offset, limit or column."""

    code = "SB-ART-008"


class NotExportableError(SpellbookError, TypeError):
    """An output cannot be written in the file format that was asked for."""

    code = "SB-ART-009"


class PackageNeededError(SpellbookError, ModuleNotFoundError):
    """A value cannot be stored because the block's environment lacks a package; which one is said."""

    code = "SB-ART-011"


def missing(ref: ArtifactRef) -> ArtifactMissingError:
    """Return the error for a reference under which nothing is stored."""
    shown = ascii(ref.digest[:40])[1:-1]
    return ArtifactMissingError(
        f"The stored output {shown} ({ref.format[:20]}) is not in the store.",
        hint="run the block that makes it again.",
        artifact=shown,
    )


def corrupt(ref: ArtifactRef, reason: str) -> CorruptArtifactError:
    """Return the error for a stored output that is not as it was written."""
    return CorruptArtifactError(
        f"The stored output {ref.digest} is corrupt: {reason}.",
        hint="run the block that makes it again; the damaged copy is then replaced.",
        artifact=ref.digest,
    )


def disk_error(cause: OSError, root: Path) -> StorageError:
    """Return the error for a disk that refused what was to be stored below `root`."""
    return StorageError(
        f"The output cannot be stored: {cause.strerror or cause}.",
        hint="free some disk space or make the folder writable, then run the block again.",
        path=str(root),
    )
