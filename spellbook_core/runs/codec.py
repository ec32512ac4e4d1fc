"""How runs look in the columns of a database: JSON text for what is nested, fixed-width UTC text for times."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Protocol, TypeVar, cast

from spellbook_core.clock import from_text
from spellbook_core.model.children import Over, Pick
from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.outcome import ErrorReport, TestResult
from spellbook_core.model.output import ArtifactRef, OutputInfo
from spellbook_core.model.retry import ONCE, RetryPolicy
from spellbook_core.model.run import Again, BlockRun, Code, PipelineRun, Selection, Share, Status, Upstream
from spellbook_core.model.values import JsonObject, YamlValue
from spellbook_core.runs.records import AttemptEnd, BlockSpec, LatestOutput, ProcessIdentity, Reusable

Value = TypeVar("Value")


class Row(Protocol):
    """A row whose columns are found by name."""

    def __getitem__(self, column: str, /) -> object:
        """Return the value of a column."""


def dump(value: object) -> str:
    """Return compact JSON text; dates are tagged, so that `load` returns them as dates."""
    if not value and type(value) in _EMPTY:  # most blocks have no tests, no warnings, no variables
        return _EMPTY[type(value)]
    return _encode(value)


def load(text: object) -> object:
    """Return what `dump` wrote."""
    if text == "[]":
        return []
    return {} if text == "{}" else _decode(str(text))


def _tagged(value: object) -> JsonObject:
    if isinstance(value, datetime):
        return {"__datetime__": value.isoformat()}
    if isinstance(value, date):
        return {"__date__": value.isoformat()}
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _untagged(found: dict[str, object]) -> object:
    if len(found) == 1:
        if "__datetime__" in found:
            return datetime.fromisoformat(str(found["__datetime__"]))
        if "__date__" in found:
            return date.fromisoformat(str(found["__date__"]))
    return found


_EMPTY: dict[type, str] = {list: "[]", tuple: "[]", dict: "{}"}
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_tagged).encode
_decode = json.JSONDecoder(object_hook=_untagged).decode  # made once: every column of every row is read by it


def mapping(text: object) -> dict[str, YamlValue]:
    """Return the mapping that `dump` wrote."""
    return cast("dict[str, YamlValue]", load(text))


def selection_text(chosen: Selection) -> str:
    """Return a selection as a column's text."""
    return dump(
        {
            "blocks": chosen.blocks,
            "upstream": chosen.upstream.value,
            "downstream": chosen.downstream,
            "tests_only": chosen.tests_only,
            "is_fresh": chosen.is_fresh,
        }
    )


@lru_cache(maxsize=64)
def selection(text: object) -> Selection:
    """Return what `selection_text` wrote; most runs have one of a few."""
    data = cast("dict[str, object]", load(text))
    names = cast("list[str] | None", data["blocks"])
    return Selection(
        blocks=None if names is None else tuple(BlockUuid(name) for name in names),
        upstream=Upstream(str(data["upstream"])),
        downstream=bool(data["downstream"]),
        tests_only=bool(data["tests_only"]),
        is_fresh=bool(data.get("is_fresh", False)),
    )


def again_text(again: Again | None) -> str | None:
    """Return how a run repeats an earlier one as a column's text."""
    if again is None:
        return None
    return dump({"run": again.run_id, "share": again.share.value, "code": again.code.value, "start": again.start})


def _again(text: object) -> Again | None:
    if text is None:
        return None
    data = cast("dict[str, object]", load(text))
    start = data["start"]
    return Again(
        run_id=RunId(cast("int", data["run"])),
        share=Share(str(data["share"])),
        code=Code(str(data["code"])),
        start=None if start is None else BlockUuid(str(start)),
    )


def spec_text(spec: BlockSpec) -> str:
    """Return a block spec as a column's text."""
    return dump(
        {
            "language": spec.language,
            "path": spec.relative_path,
            "parents": spec.parents,
            "stored": dict(spec.stored_inputs),
            "configuration": dict(spec.configuration),
            "timeout_s": spec.timeout_s,
            **({} if spec.retry == ONCE else {"retry": _retry_values(spec.retry)}),
            **_rare_values(spec),
        }
    )


def _rare_values(spec: BlockSpec) -> JsonObject:
    """Return what few specs have, so that the others stay short."""
    values: JsonObject = {}
    if spec.over:
        values["over"] = [[each.parent, list(each.sources), each.is_dynamic, each.is_group] for each in spec.over]
    if spec.picks:
        values["picks"] = {name: [pick.child, pick.item] for name, pick in spec.picks.items()}
    if spec.child:
        values["child"] = spec.child
    if spec.hangs_on:
        values["hangs_on"] = spec.hangs_on
    if spec.conditions:
        values["conditions"] = list(spec.conditions)
    return values


def spec(text: object) -> BlockSpec:
    """Return what `spec_text` wrote."""
    data = cast("dict[str, object]", load(text))
    stored = cast("dict[str, int]", data["stored"])
    return BlockSpec(
        language=str(data["language"]),
        relative_path=str(data["path"]),
        parents=tuple(BlockUuid(name) for name in cast("list[str]", data["parents"])),
        stored_inputs={BlockUuid(name): BlockRunId(number) for name, number in stored.items()},
        configuration=cast("Mapping[str, YamlValue]", data["configuration"]),
        timeout_s=cast("float | None", data["timeout_s"]),
        retry=RetryPolicy(*cast("tuple[int, float, float, bool]", data["retry"])) if "retry" in data else ONCE,
        over=tuple(_over(entry) for entry in cast("list[tuple[str, list[str], bool, bool]]", data.get("over", []))),
        child=str(data.get("child", "")),
        picks={
            BlockUuid(name): Pick(*pick)
            for name, pick in cast("dict[str, tuple[str, int | None]]", data.get("picks", {})).items()
        },
        hangs_on=str(data.get("hangs_on", "")),
        conditions=tuple(BlockUuid(name) for name in cast("list[str]", data.get("conditions", []))),
    )


def _over(entry: tuple[str, list[str], bool, bool]) -> Over:
    parent, sources, is_dynamic, is_group = entry
    return Over(BlockUuid(parent), tuple(BlockUuid(name) for name in sources), is_dynamic, is_group)


def _retry_values(retry: RetryPolicy) -> list[float | bool]:
    return [retry.retries, retry.delay_s, retry.max_delay_s, retry.exponential_backoff]


def error_text(error: ErrorReport | None) -> str | None:
    """Return an error report as a column's text."""
    return None if error is None else dump(error.to_json())


def _error(text: object) -> ErrorReport | None:
    return None if text is None else ErrorReport.from_json(cast("dict[str, object]", load(text)))


def process_text(process: ProcessIdentity | None) -> str | None:
    """Return a process identity as a column's text."""
    return None if process is None else dump([process.pid, process.started, process.boot_id])


def process(text: object) -> ProcessIdentity | None:
    """Return what `process_text` wrote."""
    if text is None:
        return None
    pid, started, boot_id = cast("list[object]", load(text))
    return ProcessIdentity(cast("int", pid), str(started), str(boot_id))


def outputs_text(outputs: Iterable[OutputInfo]) -> str:
    """Return outputs as a column's text."""
    return dump([output.to_json() for output in outputs])


def tests_text(tests: Iterable[TestResult]) -> str:
    """Return test results as a column's text."""
    return dump([[test.name, test.passed, test.message, test.line] for test in tests])


def at(text: object) -> datetime | None:
    """Return a time column's value."""
    return None if text is None else from_text(str(text))


def pipeline_run(row: Row) -> PipelineRun:
    """Return the run that a row of `pipeline_runs` holds."""
    return PipelineRun(
        id=RunId(cast("int", row["id"])),
        project=ProjectName(str(row["project"])),
        pipeline=PipelineUuid(str(row["pipeline"])),
        status=Status(str(row["status"])),
        trigger=str(row["trigger_kind"]),
        selection=selection(row["selection"]),
        variables=mapping(row["variables"]),
        execution_date=from_text(str(row["execution_date"])),
        created_at=from_text(str(row["created_at"])),
        started_at=at(row["started_at"]),
        ended_at=at(row["ended_at"]),
        error=_error(row["error"]),
        blocks_total=cast("int", row["blocks_total"]),
        blocks_done=cast("int", row["blocks_done"]),
        priority=cast("int", row["priority"]),
        waiting_for=None if row["waiting_for"] is None else str(row["waiting_for"]),
        outputs_removed_at=at(row["outputs_removed_at"]),
        again=_again(row["again"]),
    )


def _outputs(text: object) -> tuple[OutputInfo, ...]:
    return tuple(OutputInfo.from_json(output) for output in cast("list[dict[str, object]]", load(text)))


def _tests(text: object) -> tuple[TestResult, ...]:
    tests = cast("list[tuple[str, bool, str, int | None]]", load(text))
    return tuple(TestResult(name, passed, message, line) for name, passed, message, line in tests)


def reusable(row: Row) -> Reusable:
    """Return the outputs that a row of `fingerprints` holds."""
    return Reusable(
        run_id=RunId(cast("int", row["run_id"])),
        block_run_id=BlockRunId(cast("int", row["block_run_id"])),
        made_at=from_text(str(row["made_at"])),
        recorded=cast("dict[str, str]", load(row["recorded"])),
        outputs=_outputs(row["outputs"]),
        tests=_tests(row["tests"]),
        warnings=tuple(cast("list[str]", load(row["warnings"]))),
    )


def latest_output(row: Row) -> LatestOutput:
    """Return what a row of `block_runs`, joined with `fingerprints`, says of a block's newest outputs."""
    outputs = cast("list[dict[str, object]]", load(row["outputs"]))
    return LatestOutput(
        made_at=from_text(str(row["made_at"] or row["ended_at"])),
        outputs=tuple(ArtifactRef(str(output["digest"]), str(output["format"])) for output in outputs),
        parts=None if row["parts"] is None else str(row["parts"]),
        recorded={} if row["recorded"] is None else cast("dict[str, str]", load(row["recorded"])),
        shape=None if row["children"] is None else tuple(str(output.get("child", "")) for output in outputs),
    )


def attempt_end(row: Row) -> AttemptEnd:
    """Return how the attempt ended that a row of `attempts` holds."""
    return AttemptEnd(
        attempt=cast("int", row["attempt"]),
        started_at=from_text(str(row["created_at"])),
        ended_at=from_text(str(row["ended_at"])),
        duration_s=cast("float | None", row["duration_s"]),
        error=_error(row["error"]),
    )


def block_run(row: Row) -> BlockRun:
    """Return the block run that a row of `block_runs` holds."""
    reused_from = row["reused_from"]
    waits = row["status"] == Status.QUEUED.value
    return BlockRun(
        id=BlockRunId(cast("int", row["id"])),
        run_id=RunId(cast("int", row["run_id"])),
        block=BlockUuid(str(row["block"])),
        block_type=str(row["block_type"]),
        status=Status(str(row["status"])),
        position=cast("int", row["position"]),
        attempt=cast("int", row["attempt"]),
        reason=str(row["reason"]),
        code_hash=str(row["code_hash"]),
        queued_at=at(row["queued_at"]),
        started_at=at(row["started_at"]),
        ended_at=at(row["ended_at"]),
        duration_s=cast("float | None", row["duration_s"]),
        cpu_s=cast("float | None", row["cpu_s"]),
        peak_memory_bytes=cast("int | None", row["peak_memory_bytes"]),
        outputs=_outputs(row["outputs"]),
        tests=_tests(row["tests"]),
        warnings=tuple(cast("list[str]", load(row["warnings"]))),
        error=_error(row["error"]),
        reused=bool(row["reused"]),
        reused_from=None if reused_from is None else BlockRunId(cast("int", reused_from)),
        fingerprint=cast("str | None", row["fingerprint"]),
        waiting_for=cast("str | None", row["waiting_for"]) if waits else None,
        waiting_since=at(row["waiting_since"]) if waits else None,
        due_at=at(row["due_at"]) if waits else None,
        retried=cast("int", row["retried"]),
        first_started_at=at(row["first_started_at"]),
        child=str(row["child"]),
        hangs_on=str(row["hangs_on"]),
        children=None if row["children"] is None else tuple(cast("list[str]", load(row["children"]))),
    )
