"""Runs as the JSON that the command line and the web API both give out; programs rely on its keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from spellbook_core.clock import to_text
from spellbook_core.model.block import BlockType
from spellbook_core.model.children import node_key
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.outcome import ErrorReport
from spellbook_core.model.output import OutputInfo, OutputKind
from spellbook_core.model.run import Again, BlockRun, PipelineRun
from spellbook_core.model.values import JsonObject, JsonValue, YamlValue


def run_report(run: PipelineRun, block_runs: Sequence[BlockRun] | None = None) -> JsonObject:
    """Return a run: `run_id`, `state`, `seconds`, times as UTC text; with `block_runs` also `blocks`, in plan order."""
    report: JsonObject = {
        "run_id": run.id,
        "project": run.project,
        "pipeline": run.pipeline,
        "state": run.status.value,
        "seconds": run.duration_s,
        "trigger": run.trigger,
        "variables": {name: plain(value) for name, value in run.variables.items()},
        "execution_date": to_text(run.execution_date),
        "created_at": to_text(run.created_at),
        "started_at": _time(run.started_at),
        "ended_at": _time(run.ended_at),
        "blocks_total": run.blocks_total,
        "blocks_done": run.blocks_done,
        "error": None if run.error is None else _error(run.error),
        "again": None if run.again is None else _again(run.again),
        "priority": run.priority,
        "waiting_for": run.waiting_for,
        "outputs_removed_at": _time(run.outputs_removed_at),
    }
    if block_runs is not None:
        report.update(_blocks(block_runs))
    return report


def _again(again: Again) -> JsonObject:
    return {"run_id": again.run_id, "share": again.share.value, "code": again.code.value, "start": again.start}


def _blocks(block_runs: Sequence[BlockRun]) -> JsonObject:
    """Return the blocks, each with its children, and the conditions and callbacks beside them."""
    children: dict[BlockUuid, list[BlockRun]] = {}
    for block_run in block_runs:
        if block_run.child:
            children.setdefault(node_key(block_run.block, "", block_run.hangs_on), []).append(block_run)
    whole = [(found, block_report(found, children.get(found.key, ()))) for found in block_runs if not found.child]
    return {
        "blocks": [report for found, report in whole if not found.hangs_on],
        "conditionals": [report for found, report in whole if found.block_type == BlockType.CONDITIONAL],
        "callbacks": [report for found, report in whole if found.block_type == BlockType.CALLBACK],
    }


def block_report(block_run: BlockRun, children: Sequence[BlockRun] = ()) -> JsonObject:
    """Return a block run: `uuid`, `state`, `seconds`, `error`, `outputs`, `tests`, what it used, what it waits for.

    A block that runs once per item has `children`, each as a block run of its own with `child`, and no outputs itself.
    """
    rare: JsonObject = {}
    if block_run.child:
        rare["child"] = block_run.child
    if block_run.hangs_on:
        rare["hangs_on"] = block_run.hangs_on
    if block_run.children is not None:
        rare["children"] = [block_report(child) for child in children]
    return {
        **rare,
        "uuid": block_run.block,
        "type": block_run.block_type,
        "block_run_id": block_run.id,
        "state": block_run.status.value,
        "reason": block_run.reason,
        "reused": block_run.reused,
        "reused_from": block_run.reused_from,
        "attempt": block_run.attempt,
        "retried": block_run.retried,
        "waiting_for": block_run.waiting_for,
        "waiting_since": _time(block_run.waiting_since),
        "due_at": _time(block_run.due_at),
        "seconds": block_run.duration_s,
        "started_at": _time(block_run.started_at),
        "ended_at": _time(block_run.ended_at),
        "cpu_seconds": block_run.cpu_s,
        "peak_memory_bytes": block_run.peak_memory_bytes,
        "rows": block_run.rows,
        "outputs": [_output(output) for output in block_run.outputs] if block_run.children is None else [],
        "tests": [
            {"name": test.name, "passed": test.passed, "message": test.message, "line": test.line}
            for test in block_run.tests
        ],
        "warnings": list(block_run.warnings),
        "error": None if block_run.error is None else _error(block_run.error),
    }


def plain(value: YamlValue) -> JsonValue:
    """Return a YAML value as JSON: dates and times become ISO text."""
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def _output(output: OutputInfo) -> JsonObject:
    return {
        "index": output.index,
        "name": output.name,
        "kind": output.kind.value,
        "type": output.type_name,
        "rows": output.rows,
        "dtype": _dtype(output),
        "columns": [{"name": column.name, "dtype": column.dtype} for column in output.columns],
        "size_bytes": output.size_bytes,
        "summary": output.summary,
        "warnings": list(output.warnings),
    }


def _dtype(output: OutputInfo) -> str | None:
    """Return the type of an array's, tensor's or series' elements; the first two begin their summary with it."""
    if output.kind is OutputKind.SERIES and output.columns:
        return output.columns[0].dtype
    return output.summary.split(" ", 1)[0] if output.kind in {OutputKind.ARRAY, OutputKind.TENSOR} else None


def _error(error: ErrorReport) -> JsonObject:
    last_line = (error.exception or error.message).strip().splitlines()[-1:]
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "facts": dict(error.facts),
        "last_line": last_line[0] if last_line else "",
        "line": error.line,
        "frames": [{"file": f.file, "line": f.line, "function": f.function, "text": f.text} for f in error.frames],
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else to_text(at)
