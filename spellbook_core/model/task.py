"""What the engine sends to a worker and what comes back: plain values with a JSON form, so any executor can carry them.

The files of one attempt lie in one folder: the engine writes `TASK_FILE`, the worker answers with `OUTCOME_FILE`
(written under a temporary name, then renamed). The outcome file is the truth of an attempt, never an exit status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.recipe import Recipe
from spellbook_core.model.values import JsonObject, JsonValue, YamlValue

TASK_FILE = "task.json"
OUTCOME_FILE = "outcome.json"
LOG_FILE = "log.jsonl"
METRICS_FILE = "metrics.jsonl"
LOCK_FILE = "attempt.lock"


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


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column: its label as text, its pandas (or Arrow) dtype as text."""

    name: str
    dtype: str


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
            index=_int(data["index"]),
            artifact=ArtifactRef(str(data["digest"]), str(data["format"])),
            kind=OutputKind(str(data["kind"])),
            type_name=str(data["type_name"]),
            rows=None if data["rows"] is None else _int(data["rows"]),
            columns=tuple(Column(str(name), str(dtype)) for name, dtype in _list(data["columns"])),
            size_bytes=_int(data["size_bytes"]),
            summary=str(data["summary"]),
            warnings=tuple(str(text) for text in _list(data["warnings"])),
            items=None if data.get("items") is None else tuple(_item(entry) for entry in _list(data["items"])),
            child=str(data.get("child", "")),
        )


@dataclass(frozen=True, slots=True)
class BlockInput:
    """What one parent hands over: its outputs in order.

    Attributes:
        item: Of a dynamic parent: which of its items is handed over instead; `items` of its output then holds only it.
        children: Of a parent that ran once per item: its children in order; their outputs are handed over as one list
            with an entry per child. None for every other parent.
    """

    block: BlockUuid
    outputs: tuple[OutputInfo, ...]
    item: int | None = None
    children: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class HangsOn:
    """The block that a condition guards, or whose end a callback hears of.

    Attributes:
        status: How it ended; empty for a condition, which comes before it.
        error: Why it failed, if it did.
    """

    block: BlockUuid
    status: str = ""
    error: ErrorReport | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of the user's part of a traceback."""

    file: str
    line: int
    function: str
    text: str


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """Why a block run failed, in the shape of `SpellbookError.to_dict`, with the user's traceback when there is one.

    Attributes:
        exception: `ValueError: bad row`, the exception's last line; None when no exception was raised.
        frames: The user's frames only, outermost first; the block's own file comes first.
        traceback: The full text, framework frames included, shown behind a toggle.
        line: 1-based line in the block's own file to mark in the editor; None when unknown.
    """

    code: str
    message: str
    hint: str
    facts: Mapping[str, JsonValue] = field(default_factory=dict)
    exception: str | None = None
    frames: tuple[Frame, ...] = ()
    traceback: str | None = None
    line: int | None = None

    def to_json(self) -> JsonObject:
        """Return the JSON form."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "facts": dict(self.facts),
            "exception": self.exception,
            "frames": [[f.file, f.line, f.function, f.text] for f in self.frames],
            "traceback": self.traceback,
            "line": self.line,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> ErrorReport:
        """Return the value that `to_json` wrote; a bare `SpellbookError.to_dict` is accepted too."""
        line = data.get("line")
        facts = data.get("facts")
        exception = data.get("exception")
        text = data.get("traceback")
        return cls(
            code=str(data["code"]),
            message=str(data["message"]),
            hint=str(data["hint"]),
            facts=dict(facts) if isinstance(facts, Mapping) else {},
            exception=None if exception is None else str(exception),
            frames=tuple(Frame(str(f), _int(n), str(fn), str(t)) for f, n, fn, t in _list(data.get("frames") or [])),
            traceback=None if text is None else str(text),
            line=None if line is None else _int(line),
        )


@dataclass(frozen=True, slots=True)
class TestResult:
    """One `@test` function's result: `passed` or `failed`, with the assertion's message."""

    __test__ = False  # pytest would collect the name otherwise

    name: str
    passed: bool
    message: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker seals at the end of an attempt.

    Attributes:
        outputs: Stored outputs; also present when only a test failed, empty after any other failure.
        error: None exactly when the attempt completed.
        started_at: UTC text of `clock.to_text`, when user code began to load; likewise `ended_at`.
        duration_s: By the monotonic clock, from loading the source to the last output stored and the last test run.
        cpu_s: User and system seconds of the worker and its reaped children.
        peak_memory_bytes: Largest resident set of the worker.
        modules: Project files that were imported, relative to the project (for the fingerprint).
        warnings: What the person should know, e.g. a fallback to sample data.
        is_met: Whether a condition holds, or a sensor was true in a run; None of anything else.
    """

    outputs: tuple[OutputInfo, ...]
    tests: tuple[TestResult, ...]
    error: ErrorReport | None
    started_at: str
    ended_at: str
    duration_s: float
    cpu_s: float
    peak_memory_bytes: int
    modules: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    is_met: bool | None = None

    def to_json(self) -> JsonObject:
        """Return the JSON form."""
        return {
            "is_met": self.is_met,
            "outputs": [output.to_json() for output in self.outputs],
            "tests": [[t.name, t.passed, t.message, t.line] for t in self.tests],
            "error": None if self.error is None else self.error.to_json(),
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "duration_s": self.duration_s,
            "cpu_s": self.cpu_s,
            "peak_memory_bytes": self.peak_memory_bytes,
            "modules": list(self.modules),
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Outcome:
        """Return the value that `to_json` wrote."""
        error = data["error"]
        return cls(
            outputs=tuple(OutputInfo.from_json(output) for output in _list(data["outputs"])),
            tests=tuple(TestResult(str(n), bool(p), str(m), line) for n, p, m, line in _list(data["tests"])),
            error=ErrorReport.from_json(error) if isinstance(error, Mapping) else None,
            started_at=str(data["started_at"]),
            ended_at=str(data["ended_at"]),
            duration_s=_float(data["duration_s"]),
            cpu_s=_float(data["cpu_s"]),
            peak_memory_bytes=_int(data["peak_memory_bytes"]),
            modules=tuple(str(name) for name in _list(data["modules"])),
            warnings=tuple(str(text) for text in _list(data["warnings"])),
            is_met=None if data.get("is_met") is None else bool(data["is_met"]),
        )


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a block's process comes from.

    Attributes:
        python: An interpreter's path; None for the one Spellbook runs in.
        preload: Third-party packages that the project's block files import statically and that are safe to import
            before the fork (`pandas`, `pyarrow`, `duckdb`, `torch`, `sklearn`), sorted.
        recipe: How the environment of `python` is made when it is not there yet; None for one that is not ours. Only
            executors look at it: it does not reach the worker.
    """

    python: str | None = None
    preload: tuple[str, ...] = ()
    recipe: Recipe | None = None


@dataclass(frozen=True, slots=True)
class BlockTask:
    """The message an executor runs: everything a worker needs to know about one attempt.

    Attributes:
        workspace: Absolute path of the folder that holds `.spellbook/`.
        project_root: Absolute path of the project; the working directory of the block is its parent.
        source: The block file's text as it was when the run started; None reads `source_path`.
        source_path: Absolute path shown in tracebacks.
        inputs: One entry per parent, in `upstream_blocks` order.
        variables: Pipeline variables overlaid with the run's; they reach the function as keyword arguments.
        trigger: `notebook`, `manual`, `cli`, `api` or `schedule`.
        run_tests: Whether `@test` functions run after the block.
        tests_only: Whether only they run, on stored outputs: `inputs` then holds one entry, the block's own.
        child: Of a block that runs once per item: which child this is, e.g. `3` or `0:2`; likewise `child_index`, its
            place among them, from 0. Empty and None for every other block.
        hangs_on: Of a condition or callback: the block it belongs to.
        timeout_s: Seconds one attempt may take; None for no limit.
        is_as_it_was: Whether it imports the project's modules as its run kept them, instead of today's.
    """

    run_id: RunId
    block_run_id: BlockRunId
    attempt: int
    workspace: str
    project: ProjectName
    project_root: str
    pipeline: PipelineUuid
    block: BlockUuid
    block_type: str
    language: str
    source: str | None
    source_path: str
    inputs: tuple[BlockInput, ...]
    variables: Mapping[str, YamlValue]
    configuration: Mapping[str, YamlValue]
    execution_date: str
    trigger: str
    environment: Environment = Environment()
    run_tests: bool = True
    timeout_s: float | None = None
    tests_only: bool = False
    child: str = ""
    child_index: int | None = None
    hangs_on: HangsOn | None = None
    is_as_it_was: bool = False


def _item(entry: object) -> Item:
    digest, artifact, form, label = _list(entry)
    return Item(str(digest), None if artifact is None else ArtifactRef(str(artifact), str(form)), str(label))


def _int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"expected a number, got {value!r}")
    return int(value)


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"expected a number, got {value!r}")
    return float(value)


def _list(value: object) -> list:  # type: ignore[type-arg]  # elements are checked where they are used
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"expected a list, got {value!r}")
    return list(value)
