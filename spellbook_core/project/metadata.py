"""A pipeline's `metadata.yaml` in mage's format: read everything, write little.

Unknown keys survive in their place, at every level. Status, timestamps and machine paths that are in a file stay as
they are and are never written by us. `upstream_blocks` is the truth; `downstream_blocks` is derived from it and written
in step.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NoReturn, cast

import yaml

from spellbook_core.atomic import content_hash, file_hash, write_atomically
from spellbook_core.errors import ChangedOnDiskError
from spellbook_core.model.block import Block
from spellbook_core.model.naming import BlockUuid, PipelineUuid
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.model.values import YamlValue
from spellbook_core.project import yaml_files
from spellbook_core.project.containment import read_inside
from spellbook_core.project.render import render
from spellbook_core.settings import MAX_YAML_BYTES

BLOCK_LISTS = ("blocks", "callbacks", "conditionals", "widgets")


@dataclass(frozen=True, slots=True)
class PipelineFile:
    """A pipeline file as it was read.

    Attributes:
        document: Every key of the file, in its order; never changed in place.
        text: The file's text.
        content_hash: Of the file's bytes; what `save_pipeline` compares.
        warnings: What a person should know, such as links that contradict each other.
    """

    pipeline: Pipeline
    document: dict[str, object]
    text: str
    content_hash: str
    path: Path
    warnings: tuple[str, ...] = ()


def load_pipeline(path: Path) -> PipelineFile:
    """Return the pipeline in a file that `project.layout` named.

    Raises:
        BadYamlError: With path, line, column and what to do. [SB-PRJ-004]
        NotFoundError: There is no such file. [SB-SYS-002]
        UnreadableFileError: No regular file, or too large. [SB-PRJ-003]
    """
    return _parsed(read_inside(path.parent, path, max_bytes=MAX_YAML_BYTES), path)


@lru_cache(maxsize=64)
def _parsed(data: bytes, path: Path) -> PipelineFile:
    """Parse equal bytes once: 37 ms for 500 blocks, which every screen, plan and state would pay."""
    return parse_pipeline(data, path)


def parse_pipeline(data: bytes, path: Path) -> PipelineFile:
    """Return the pipeline in `data`; `path` names the file in messages and its folder is the pipeline's uuid.

    Raises:
        BadYamlError: With path, line, column and what to do. [SB-PRJ-004]
    """
    document, text, root = yaml_files.read(data, path)
    reader = _Reader(path, root)
    pipeline = reader.pipeline(document)
    warnings = (*reader.warnings, *_contradictions(document, pipeline))
    return PipelineFile(pipeline, document, text, content_hash(data), path, warnings)


def render_pipeline(
    document: Mapping[str, object], pipeline: Pipeline, *, text: str | None = None, old: Pipeline | None = None
) -> str:
    """Return the YAML of `document` with what differs in `pipeline` changed, and nothing else.

    Args:
        document: As read; empty for a new pipeline.
        pipeline: What the file shall say.
        text: The text `document` was read from; its style is kept, and returned as it is when nothing differs.
        old: The pipeline `document` was read as; worked out again when None.
    """
    before = dict(document)
    if not before:
        return yaml_files.write(render({}, None, pipeline))
    if old is None:
        place = Path(str(before.get("uuid") or pipeline.uuid)) / "metadata.yaml"
        old = _Reader(place, yaml.MappingNode("tag:yaml.org,2002:map", [])).pipeline(before)
    if text is not None and old == pipeline:
        return text
    after = render(before, old, pipeline)
    return yaml_files.write(after, like=None if text is None else (before, text))


def save_pipeline(file: PipelineFile, pipeline: Pipeline, *, expected_hash: str) -> PipelineFile:
    """Write `pipeline` over `file` when the disk still holds `expected_hash`; atomic.

    Returns:
        The file as it is now on disk; `file` itself when nothing differs.

    Raises:
        ChangedOnDiskError: Someone else wrote it since; nothing was written. [SB-SYS-004]
        StorageError: The disk refused; the old file is intact. [SB-SYS-006]
    """
    text = render_pipeline(file.document, pipeline, text=file.text, old=file.pipeline)
    if text == file.text and file.content_hash == expected_hash:
        if file_hash(file.path) != expected_hash:
            raise ChangedOnDiskError(
                f"{file.path.name} was changed on disk since it was read; nothing was written.",
                hint="reload it, or keep your version after looking at the difference.",
                path=str(file.path),
            )
        return file
    data = text.encode("utf-8")
    parsed = parse_pipeline(data, file.path)
    write_atomically(file.path, data, expected_hash=expected_hash)
    return parsed


class _Reader:
    """Turns a strict document into a `Pipeline`; complaints name the place in the file."""

    def __init__(self, path: Path, root: yaml.Node) -> None:
        self.path = path
        self.root = root
        self.warnings: list[str] = []

    def fail(self, where: Sequence[str | int], what: str, hint: str) -> NoReturn:
        yaml_files.fail(self.path, yaml_files.node_at(self.root, where), what, hint)

    def pipeline(self, document: Mapping[str, object]) -> Pipeline:
        uuid = unicodedata.normalize("NFC", self.path.parent.name)
        written = self.text(document, ["uuid"], default=uuid)
        if written != uuid:
            self.warnings.append(f"The file says uuid '{written}', its folder is '{uuid}': the folder counts.")
        lists = {name: self.blocks(document, name) for name in BLOCK_LISTS}
        variables = document.get("variables")
        if variables is not None and not isinstance(variables, Mapping):
            self.fail(["variables"], "'variables' is no mapping", "write 'variables:' with one 'name: value' per line")
        tags = document.get("tags")
        description = document.get("description")
        return Pipeline(
            uuid=PipelineUuid(uuid),
            name=self.text(document, ["name"], default=written),
            type=self.text(document, ["type"], default="python"),
            description="" if description is None else str(description),
            tags=tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
            blocks=lists["blocks"],
            callbacks=lists["callbacks"],
            conditionals=lists["conditionals"],
            widgets=lists["widgets"],
            variables=cast("dict[str, YamlValue]", dict(variables or {})),
            retry_config=self.mapping(document, "retry_config", "The pipeline"),
            environment=_mapping(_mapping(document.get("executor_config")).get("env")),
            concurrency_config=self.mapping(document, "concurrency_config", "The pipeline"),
        )

    def blocks(self, document: Mapping[str, object], name: str) -> tuple[Block, ...]:
        entries = document.get(name)
        if entries is None:
            return ()
        if not isinstance(entries, list):
            self.fail([name], f"'{name}' is no list", f"write '{name}: []' or one '- ' entry per block")
        return tuple(self.block(entry, [name, index]) for index, entry in enumerate(entries))

    def block(self, entry: object, where: list[str | int]) -> Block:
        if not isinstance(entry, Mapping):
            self.fail(where, "a block entry is no mapping", "write 'uuid:', 'name:' and 'type:' under '- '")
        uuid = BlockUuid(_nfc(self.text(entry, [*where, "uuid"])))
        upstream = entry.get("upstream_blocks")
        if upstream is not None and not isinstance(upstream, list):
            self.fail(
                [*where, "upstream_blocks"], "'upstream_blocks' is no list", "write '[]' or one '- name' per line"
            )
        for index, parent in enumerate(upstream or []):
            if not isinstance(parent, str):
                self.fail(
                    [*where, "upstream_blocks", index],
                    f"a parent's name is read as {_kind(parent)}, not as text",
                    "put it in quotes",
                )
        color = entry.get("color")
        replicated = entry.get("replicated_block")
        return Block(
            uuid=uuid,
            name=self.text(entry, [*where, "name"], default=uuid),
            type=self.text(entry, [*where, "type"]),
            language=self.text(entry, [*where, "language"], default="python"),
            upstream_blocks=tuple(BlockUuid(_nfc(parent)) for parent in dict.fromkeys(upstream or [])),
            configuration=self.mapping(entry, "configuration", f"Block '{uuid}'"),
            color=color if isinstance(color, str) else None,
            timeout_s=self.timeout(entry.get("timeout"), uuid),
            retry_config=self.mapping(entry, "retry_config", f"Block '{uuid}'"),
            replicated_block=BlockUuid(_nfc(replicated)) if isinstance(replicated, str) and replicated else None,
        )

    def text(self, entry: Mapping[str, object], where: list[str | int], *, default: str | None = None) -> str:
        key = str(where[-1])
        value = entry.get(key)
        if value is None and default is not None:
            return default
        if value is None:
            self.fail(where, f"a block has no '{key}'", f"add '{key}:' to it")
        if not isinstance(value, str):
            self.fail(where, f"'{key}' is read as {_kind(value)}, not as text", "put the value in quotes")
        return value or (default or "")

    def mapping(self, entry: Mapping[str, object], key: str, whose: str) -> dict[str, YamlValue]:
        """Anything but a mapping counts as empty, as in mage, with a warning."""
        value = entry.get(key)
        if value not in (None, "", []) and not isinstance(value, Mapping):
            self.warnings.append(f"{whose} has '{key}: {str(value)[:40]}', which is no mapping: it is passed over.")
        return _mapping(value)

    def timeout(self, value: object, block: str) -> float | None:
        """Files hold numbers and texts such as '180'; anything else is no limit, with a warning."""
        if value is None or value == "":
            return None
        try:
            seconds = float(cast("str", value))
        except (TypeError, ValueError):
            seconds = -1.0
        if isinstance(value, bool) or not 0 < seconds < float("inf"):
            self.warnings.append(f"Block '{block}' has the timeout {value!r}, which is no number of seconds: no limit.")
            return None
        return seconds


def _contradictions(document: Mapping[str, object], pipeline: Pipeline) -> list[str]:
    """Return a sentence per link that only one of the two ends lists; `upstream_blocks` counts."""
    entries = cast("list[Mapping[str, object]]", document.get("blocks") or [])
    parents = pipeline.parents()
    children = {uuid: set(found) for uuid, found in pipeline.children().items()}
    found = []
    for block, entry in zip(pipeline.blocks, entries, strict=True):
        listed = entry.get("downstream_blocks")
        if not isinstance(listed, list):
            continue
        names = {_nfc(name) for name in listed if isinstance(name, str)}
        for child in sorted(name for name in names if name in parents and name not in children[block.uuid]):
            found.append(
                f"Block '{block.uuid}' lists '{child}' as downstream, but '{child}' does not list '{block.uuid}' as "
                "upstream: there is no link."
            )
        for child in sorted(children[block.uuid] - names):
            found.append(
                f"Block '{child}' lists '{block.uuid}' as upstream, but '{block.uuid}' does not list '{child}' as "
                "downstream: there is a link."
            )
    return found


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _mapping(value: object) -> dict[str, YamlValue]:
    return cast("dict[str, YamlValue]", dict(value)) if isinstance(value, Mapping) else {}


def _kind(value: object) -> str:
    return {bool: "yes/no", int: "a number", float: "a number"}.get(type(value), f"a {type(value).__name__}")
