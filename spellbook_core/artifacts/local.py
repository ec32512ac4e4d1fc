"""The artifact store in a folder: `<root>/<aa>/<digest>/{data.*, preview.*, meta.json}`, written once."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from spellbook_core.artifacts.formats import composites, registry
from spellbook_core.artifacts.formats.composites import Apart, Skeleton
from spellbook_core.artifacts.formats.encoded import Encoded, UseFallbackError
from spellbook_core.artifacts.masked import mask_previews
from spellbook_core.artifacts.needs import packages_told, reader_told
from spellbook_core.artifacts.parts import put_apart
from spellbook_core.artifacts.problems import (
    ArtifactMissingError,
    CorruptArtifactError,
    UntrustedArtifactError,
    corrupt,
    disk_error,
    missing,
)
from spellbook_core.artifacts.seal import Seal
from spellbook_core.artifacts.sink import HASH_NAME, Digest, HashOnly, Sink, digest_of
from spellbook_core.artifacts.store import META_FILE
from spellbook_core.artifacts.sweep import hold
from spellbook_core.clock import to_text
from spellbook_core.errors import StorageError
from spellbook_core.model.masking import Masker
from spellbook_core.model.output import ArtifactRef, OutputInfo
from spellbook_core.model.values import JsonObject

KEY_FILE = "artifact.key"
DAMAGED_FILE = "damaged"
"""Beside a value whose bytes were found changed: whoever only asks whether it is there is told as well, and the block
that makes it runs again, which replaces the whole folder."""

META_VERSION = 1
_DIGEST = re.compile(r"[0-9a-f]{32}")
_NO_TEXTS = frozenset({"digest", "hash", "blake2b", "format", "kind", "created_at"})
"""Keys of `meta.json` that reading needs as they are."""


class LocalArtifactStore:
    """An `ArtifactStore` in the folder `root`; the signing key lies beside it. Safe for many processes at once.

    Args:
        root: Made when first written to.
        masker: Called for what masks secrets in previews and descriptions; the stored values stay as they are.
        since: Epoch seconds, of a block: when it began. Housekeeping leaves what is stored or held since then while the
            block runs, so that no time is before it, also where the clock is set back meanwhile.
    """

    def __init__(self, root: Path, *, masker: Callable[[], Masker] = Masker, since: float = 0.0) -> None:
        self._root = root
        self._since = since
        self._masker = masker
        self._seal = Seal(root.parent / KEY_FILE)

    def put(self, value: object, *, index: int = 0, origin: str = "") -> OutputInfo:
        """Store `value` under the hash of its bytes; what is stored already (and intact) is used again."""
        with packages_told(value):
            found = registry.encode(value)
            if isinstance(found, Apart):
                return replace(put_apart(found, lambda encoded: self._put(encoded, 0, origin)), index=index)
            return self._put(found, index, origin)

    def _put(self, encoded: Encoded, index: int, origin: str) -> OutputInfo:
        draft = self._root / "tmp" / f"{os.getpid()}.{secrets.token_hex(8)}"  # on the same file system
        try:
            found = self._stored_already(encoded) if encoded.hash_first else None
            encoded, ref, size = found or self._stored(encoded, draft, origin)
        except OSError as cause:
            if isinstance(cause, StorageError) or cause.errno is None:
                raise
            raise disk_error(cause, self._root) from cause
        finally:
            if os.path.lexists(draft):
                shutil.rmtree(draft, ignore_errors=True)
        return OutputInfo(
            index=index,
            artifact=ref,
            kind=encoded.kind,
            type_name=encoded.type_name,
            rows=encoded.rows,
            columns=encoded.columns,
            size_bytes=size,
            summary=encoded.summary,
            warnings=encoded.warnings,
        )

    def _stored(self, encoded: Encoded, draft: Path, origin: str) -> tuple[Encoded, ArtifactRef, int]:
        """Store a value; return how it was encoded in the end, where it lies and how many bytes it has."""
        try:
            digest, sink = self._write(encoded, draft)
        except UseFallbackError:
            if encoded.fallback is None:
                raise
            encoded = encoded.fallback
            shutil.rmtree(draft, ignore_errors=True)
            digest, sink = self._write(encoded, draft)
        ref = ArtifactRef(digest.name() or "", encoded.format)
        if not self._is_held(ref):
            sink.settle()
            self._finish(encoded, draft, digest, sink.size_bytes, origin)
            self._move_in(draft, ref)
        return encoded, ref, sink.size_bytes

    def _stored_already(self, encoded: Encoded) -> tuple[Encoded, ArtifactRef, int] | None:
        """Return where a value lies that was stored before, without writing it once more; None when it was not."""
        digest = Digest(encoded.format, runs_code=False)
        if digest.hash_name != HASH_NAME:  # the other hash takes longer than writing does
            return None
        sink = HashOnly(digest)
        encoded.write(sink)
        ref = ArtifactRef(digest.name() or "", encoded.format)
        return (encoded, ref, sink.size_bytes) if self._is_held(ref) else None

    def _is_held(self, ref: ArtifactRef) -> bool:
        """Return whether a value is stored, intact, and from now on kept from housekeeping."""
        # Before it is looked at: housekeeping must not take it afterwards.
        hold(self._root, self.folder(ref), since=self._since)
        return self._is_intact(ref)

    def get(self, ref: ArtifactRef) -> object:
        """Return the value, after checking its bytes and, where reading runs code, who wrote it."""
        meta = self.meta(ref)
        if ref.format in registry.CODE_FORMATS and not self._seal.is_signed(meta):
            raise UntrustedArtifactError(
                f"The stored {meta.get('type_name', 'value')} is a {ref.format} that this workspace did not write; "
                "reading it could run somebody else's code.",
                hint="run the block that makes it again in this workspace.",
                artifact=ref.digest,
            )
        self._check(ref, meta)
        if ref.format == composites.FORMAT:
            skeleton = self._skeleton(ref)
            return skeleton.rebuild([self.get(part) for part in skeleton.refs])
        with reader_told(str(meta.get("type_name", "value"))):
            return registry.decode(ref.format, self.data_path(ref))

    def masker(self) -> Masker:
        """Return what masks secrets in what is shown of a value."""
        return self._masker()

    def has(self, ref: ArtifactRef) -> bool:
        """Return whether `ref` is stored, with its parts."""
        try:
            place = self._place(ref)
            is_whole = os.path.isfile(f"{place}/{META_FILE}") and not os.path.lexists(f"{place}/{DAMAGED_FILE}")
            return is_whole and all(self.has(part) for part in self._parts(ref))
        except (ArtifactMissingError, CorruptArtifactError):
            return False

    def hold(self, ref: ArtifactRef) -> bool:
        """Keep `ref` from housekeeping until it is recorded who needs it."""
        try:
            return hold(self._root, self.folder(ref), since=self._since) and all(
                self.hold(part) for part in self._parts(ref)
            )
        except (ArtifactMissingError, CorruptArtifactError):
            return False

    def verify(self, ref: ArtifactRef) -> None:
        """Compare every byte with the hash."""
        self._check(ref, self.meta(ref))
        for part in self._parts(ref):
            self.verify(part)

    def folder(self, ref: ArtifactRef) -> Path:
        """Return the folder of `ref`; the digest is checked before it becomes a path."""
        return Path(self._place(ref))

    def _place(self, ref: ArtifactRef) -> str:
        """Return the folder as text: `has` is asked of hundreds of outputs at once."""
        if not _DIGEST.fullmatch(ref.digest) or registry.suffix(ref.format) is None:
            raise missing(ref)
        parent = f"{self._root}/{ref.digest[:2]}"
        place = f"{parent}/{ref.digest}"
        if os.path.islink(place) or os.path.islink(parent):
            raise missing(ref)
        return place

    def meta(self, ref: ArtifactRef) -> JsonObject:
        """Return what `meta.json` says."""
        try:
            meta = json.loads(_read_plain(self.folder(ref) / META_FILE))
        except FileNotFoundError:
            raise missing(ref) from None
        except (OSError, ValueError) as cause:
            raise corrupt(ref, "its meta.json cannot be read") from cause
        if not isinstance(meta, dict) or meta.get("digest") != ref.digest or meta.get("format") != ref.format:
            raise corrupt(ref, "its meta.json is of another artifact")
        return meta

    def data_path(self, ref: ArtifactRef) -> Path:
        """Return the file with the value: present, no link, as long as it was when written."""
        path = self._sized_data_path(ref, self.meta(ref))
        for part in self._parts(ref):
            self.data_path(part)
        return path

    def _parts(self, ref: ArtifactRef) -> tuple[ArtifactRef, ...]:
        return self._skeleton(ref).refs if ref.format == composites.FORMAT else ()

    def _skeleton(self, ref: ArtifactRef) -> Skeleton:
        try:
            return composites.read(self._sized_data_path(ref, self.meta(ref)))
        except ValueError as cause:
            raise corrupt(ref, str(cause)) from cause

    def _sized_data_path(self, ref: ArtifactRef, meta: JsonObject) -> Path:
        path = self._data_file(self.folder(ref), ref.format)
        if os.path.lexists(path.with_name(DAMAGED_FILE)):
            raise corrupt(ref, "its bytes changed")
        try:
            status = path.lstat()
        except FileNotFoundError:
            raise corrupt(ref, "its data file is gone") from None
        if path.is_symlink() or status.st_size != meta.get("size_bytes"):
            raise corrupt(ref, f"its data file has {status.st_size} bytes instead of {meta.get('size_bytes')}")
        return path

    @staticmethod
    def _data_file(folder: Path, format_name: str) -> Path:
        return folder / f"data.{registry.suffix(format_name)}"

    def _check(self, ref: ArtifactRef, meta: JsonObject) -> None:
        runs_code = ref.format in registry.CODE_FORMATS
        try:
            path, made_with = self._sized_data_path(ref, meta), str(meta.get("hash") or HASH_NAME)
            digest = digest_of(path, ref.format, runs_code=runs_code, hash_name=made_with)
        except FileNotFoundError:
            raise corrupt(ref, "its data file is gone") from None
        # where xxhash is missing, the size has been compared, and what runs code is compared by its other hash
        if digest.name() not in {ref.digest, None} or (runs_code and digest.strong() != meta.get("blake2b")):
            with suppress(OSError):  # a folder that is only looked at: everyone finds it anew
                path.with_name(DAMAGED_FILE).touch(0o600)
            raise corrupt(ref, "its bytes changed")

    def _is_intact(self, ref: ArtifactRef) -> bool:
        """Whether the same value lies here already, whole and (for code) ours; damaged ones are replaced."""
        try:
            self._check(ref, meta := self.meta(ref))
            return self._seal.is_signed(meta)
        except (ArtifactMissingError, CorruptArtifactError):
            return False

    def _make_draft(self, draft: Path) -> None:
        _make_private(self._root)
        _make_private(draft.parent)
        draft.mkdir(mode=0o700)

    def _write(self, encoded: Encoded, draft: Path) -> tuple[Digest, Sink]:
        """Write a value into the folder `draft`, which is made when it is needed; a small one waits in memory."""
        digest = Digest(encoded.format, runs_code=encoded.format in registry.CODE_FORMATS)
        with Sink(self._data_file(draft, encoded.format), digest, partial(self._make_draft, draft)) as sink:
            encoded.write(sink)
        return digest, sink

    def _finish(self, encoded: Encoded, draft: Path, digest: Digest, size: int, origin: str) -> None:
        problem = _write_preview(encoded.preview, draft)
        masker = self._masker()
        if masker:
            mask_previews(draft, masker)
        meta: JsonObject = {
            "version": META_VERSION,
            "digest": digest.name(),
            "hash": digest.hash_name,
            "blake2b": digest.strong(),
            "format": encoded.format,
            "kind": encoded.kind.value,
            "type_name": encoded.type_name,
            "rows": encoded.rows,
            "columns": [[column.name, column.dtype] for column in encoded.columns],
            "size_bytes": size,
            "summary": encoded.summary,
            "facts": encoded.facts,
            "preview_problem": problem,
            "origin": origin,
            "created_at": to_text(datetime.now(UTC)),
        }
        meta = masker.value(meta, but=_NO_TEXTS, keys=False)
        meta["signature"] = self._seal.sign(meta)
        (draft / META_FILE).write_text(json.dumps(meta, separators=(",", ":")), encoding="utf-8")
        for path in draft.iterdir():
            path.chmod(0o600)

    def _move_in(self, draft: Path, ref: ArtifactRef) -> None:
        """Rename the finished folder into place. Whoever comes second finds an equal one and keeps it."""
        target = self.folder(ref)
        _make_private(target.parent)
        for _ in range(3):
            try:
                os.rename(draft, target)
                if time.time() < self._since:
                    hold(self._root, target, since=self._since)
                return
            except OSError:
                if not target.exists():
                    raise
            if self._is_intact(ref):
                return
            aside = draft.with_name(f"{draft.name}.damaged")
            try:
                os.rename(target, aside)
            except FileNotFoundError:  # another process is replacing it too
                continue
            shutil.rmtree(aside, ignore_errors=True)
        raise corrupt(ref, "it could not be replaced")


def _write_preview(preview: Callable[[Path], None] | None, draft: Path) -> str | None:
    """Write the preview; return what went wrong, because a preview never fails a block."""
    if preview is None:
        return None
    try:
        preview(draft)
    except Exception as problem:  # noqa: BLE001  # user code: a figure's renderer, a value's __repr__ may raise anything
        for path in draft.glob("preview.*"):
            path.unlink()
        return f"{type(problem).__name__}: {problem}"[:300].encode("utf-8", "replace").decode()
    return None


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _read_plain(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        return file.read()
