"""What a block handed over, told without reading it: how each output is shown, and where it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from spellbook_core.model.record import record
from spellbook_core.model.values import JsonObject, as_int, as_list


class OutputKind(StrEnum):
    """How an output can be shown; the format says how it is stored."""

    TABLE = "table"
    SERIES = "series"
    ARRAY = "array"
    TENSOR = "tensor"
    MODEL = "model"
    FIGURE = "figure"
    TEXT = "text"
    JSON = "json"
    OBJECT = "object"


_KINDS: Mapping[object, OutputKind] = {kind.value: kind for kind in OutputKind}
"""To call an enum takes ten times as long."""


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column: its label as text, its pandas (or Arrow) dtype as text."""

    name: str
    dtype: str


@record
class ArtifactRef:
    """The small value that points at a stored output: its content hash and the format it is stored in."""

    digest: str
    format: str


@dataclass(frozen=True, slots=True)
class Item:
    """One item that a dynamic block hands to one child.

    Attributes:
        digest: Of the item's value together with its metadata; equal items have equal digests.
        artifact: The item by itself; None where the whole list is read instead, because it is plain data.
        label: `block_uuid` of its metadata, or empty: what people call the child.
    """

    digest: str
    artifact: ArtifactRef | None = None
    label: str = ""


@record
class OutputInfo:
    """One stored output of a block run, with what screens show without reading it.

    Attributes:
        index: 0-based; the output is called `output_<index>`.
        type_name: The value's own type, e.g. `pandas.DataFrame`.
        rows: Rows of a table, length of a series or first axis of an array; None where that means nothing.
        columns: A table's columns; empty otherwise.
        size_bytes: Of the stored data.
        summary: One line for people, e.g. `891 rows x 12 columns`, `Sequential, 71 parameters`, `float32 (891, 1)`.
        warnings: What was noticed while storing, e.g. merged duplicate columns.
        items: Of the first output of a dynamic block: what each child gets. None for every other output.
        child: Of a block that ran once per item: which child made it, e.g. `3` or `0:2`; empty otherwise.
    """

    index: int
    artifact: ArtifactRef
    kind: OutputKind
    type_name: str
    rows: int | None
    columns: tuple[Column, ...]
    size_bytes: int
    summary: str
    warnings: tuple[str, ...] = ()
    items: tuple[Item, ...] | None = None
    child: str = ""

    @property
    def name(self) -> str:
        """Return `output_<index>`."""
        return f"output_{self.index}"

    def to_json(self) -> JsonObject:
        """Return the JSON form."""
        rare: JsonObject = {} if not self.child else {"child": self.child}
        if self.items is not None:
            rare["items"] = [
                [
                    item.digest,
                    *((item.artifact.digest, item.artifact.format) if item.artifact else (None, None)),
                    item.label,
                ]
                for item in self.items
            ]
        return {
            **rare,
            "index": self.index,
            "digest": self.artifact.digest,
            "format": self.artifact.format,
            "kind": self.kind.value,
            "type_name": self.type_name,
            "rows": self.rows,
            "columns": [[column.name, column.dtype] for column in self.columns],
            "size_bytes": self.size_bytes,
            "summary": self.summary,
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> OutputInfo:
        """Return the value that `to_json` wrote."""
        return cls(
            index=as_int(data["index"]),
            artifact=ArtifactRef(str(data["digest"]), str(data["format"])),
            kind=_KINDS.get(data["kind"]) or OutputKind(str(data["kind"])),
            type_name=str(data["type_name"]),
            rows=None if data["rows"] is None else as_int(data["rows"]),
            columns=tuple([Column(str(name), str(dtype)) for name, dtype in as_list(data["columns"])]),
            size_bytes=as_int(data["size_bytes"]),
            summary=str(data["summary"]),
            warnings=tuple(map(str, as_list(data["warnings"]))),
            items=None if data.get("items") is None else tuple(_item(entry) for entry in as_list(data["items"])),
            child=str(data.get("child", "")),
        )


def _item(entry: object) -> Item:
    digest, artifact, form, label = as_list(entry)
    return Item(str(digest), None if artifact is None else ArtifactRef(str(artifact), str(form)), str(label))
