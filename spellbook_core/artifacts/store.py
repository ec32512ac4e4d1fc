"""What the rest of Spellbook asks of a store of block outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from spellbook_core.model.masking import Masker
from spellbook_core.model.output import ArtifactRef, OutputInfo
from spellbook_core.model.values import JsonObject

META_FILE = "meta.json"
PREVIEW_TABLE_FILE = "preview.arrow"
PREVIEW_JSON_FILE = "preview.json"
PREVIEW_IMAGE_FILE = "preview.png"


class ArtifactStore(Protocol):
    """Keeps values by content: the same bytes are stored once, and a stored artifact never changes.

    A list or dict that holds tables or arrays is stored as several artifacts, one per part. Its reference stands for
    all of them: it is there, whole and held when they are.
    """

    def put(self, value: object, *, index: int = 0, origin: str = "") -> OutputInfo:
        """Store `value`; afterwards it is there whole, or not at all. Worker side only.

        Args:
            value: What a block returned. It is not changed.
            index: Which output of its block it is, 0-based.
            origin: Who made it, for messages, e.g. `block 'load_titanic'`.

        Raises:
            UnstorableValueError: Names the type, the place inside the value and the fix. [SB-ART-004]
            DuplicateColumnsError: Columns of one name differ. [SB-ART-006]
        """

    def get(self, ref: ArtifactRef) -> object:
        """Return a new value equal to the one stored, after checking its bytes. Worker side only: may run code.

        Raises:
            ArtifactMissingError: Nothing is stored under `ref`. [SB-ART-001]
            CorruptArtifactError: The bytes are damaged. [SB-ART-002]
            UntrustedArtifactError: A pickle that this workspace did not write. [SB-ART-003]
            UnreadableArtifactError: A module or class that the value needs is not importable. [SB-ART-007]
        """

    def masker(self) -> Masker:
        """Return what masks secrets wherever a stored value is shown; the values themselves are never masked."""

    def has(self, ref: ArtifactRef) -> bool:
        """Return whether `ref` is stored; its bytes are not checked."""

    def hold(self, ref: ArtifactRef) -> bool:
        """Keep `ref` from housekeeping until it is recorded who needs it; False when it is not stored."""

    def verify(self, ref: ArtifactRef) -> None:
        """Read every byte of `ref` and compare it with the hash; 0.12 CPU seconds per GiB.

        Raises:
            ArtifactMissingError: Nothing is stored under `ref`. [SB-ART-001]
            CorruptArtifactError: The bytes are damaged. [SB-ART-002]
        """

    def folder(self, ref: ArtifactRef) -> Path:
        """Return the folder of `ref`, which need not exist.

        Raises:
            ArtifactMissingError: The digest is malformed, or the folder is a link. [SB-ART-001]
        """

    def meta(self, ref: ArtifactRef) -> JsonObject:
        """Return what `meta.json` says of `ref`.

        Raises:
            ArtifactMissingError: Nothing is stored under `ref`. [SB-ART-001]
            CorruptArtifactError: It is not the JSON that was written. [SB-ART-002]
        """

    def data_path(self, ref: ArtifactRef) -> Path:
        """Return the file that holds the value, for readers that open it themselves.

        Raises:
            ArtifactMissingError: Nothing is stored under `ref`. [SB-ART-001]
            CorruptArtifactError: The file is gone, a link, or not as long as it was. [SB-ART-002]
        """
