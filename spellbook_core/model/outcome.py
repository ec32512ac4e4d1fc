"""What comes back from a worker: how an attempt ended, and what it stored, as plain values with a JSON form.

The worker writes `OUTCOME_FILE` under a temporary name, then renames it. It is the truth of an attempt, never an exit
status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from spellbook_core.model.output import OutputInfo
from spellbook_core.model.record import record
from spellbook_core.model.values import JsonObject, JsonValue, as_float, as_int, as_list

OUTCOME_FILE = "outcome.json"


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
        frames = as_list(data.get("frames") or [])
        return cls(
            code=str(data["code"]),
            message=str(data["message"]),
            hint=str(data["hint"]),
            facts=dict(facts) if isinstance(facts, Mapping) else {},
            exception=None if exception is None else str(exception),
            frames=tuple(Frame(str(f), as_int(n), str(fn), str(t)) for f, n, fn, t in frames),
            traceback=None if text is None else str(text),
            line=None if line is None else as_int(line),
        )


@dataclass(frozen=True, slots=True)
class TestResult:
    """One `@test` function's result: `passed` or `failed`, with the assertion's message."""

    __test__ = False  # pytest would collect the name otherwise

    name: str
    passed: bool
    message: str = ""
    line: int | None = None


@record
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
            outputs=tuple([OutputInfo.from_json(output) for output in as_list(data["outputs"])]),
            tests=tuple([TestResult(str(n), bool(p), str(m), line) for n, p, m, line in as_list(data["tests"])]),
            error=ErrorReport.from_json(error) if isinstance(error, dict) else None,
            started_at=str(data["started_at"]),
            ended_at=str(data["ended_at"]),
            duration_s=as_float(data["duration_s"]),
            cpu_s=as_float(data["cpu_s"]),
            peak_memory_bytes=as_int(data["peak_memory_bytes"]),
            modules=tuple(map(str, as_list(data["modules"]))),
            warnings=tuple(map(str, as_list(data["warnings"]))),
            is_met=None if data.get("is_met") is None else bool(data["is_met"]),
        )
