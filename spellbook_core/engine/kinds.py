"""How blocks end that do not end by an attempt of their own, or whose attempt says more than that it completed."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from spellbook_core.engine.active import ActiveBlock, ActiveRun
from spellbook_core.errors import SpellbookError
from spellbook_core.model.block import BlockType
from spellbook_core.model.children import node_key
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.outcome import ErrorReport, TestResult
from spellbook_core.model.run import Status
from spellbook_core.runs.records import BlockEnd

MAX_WARNINGS = 20
"""Most different warnings of its children that a block shows."""


HEARD = {Status.COMPLETED: "success", Status.FAILED: "failure", Status.CANCELLED: "cancelled"}
"""How a block ended -> what a callback for it is marked with."""


class ChildrenFailedError(SpellbookError, RuntimeError):
    """Some runs of a block that runs once per item failed."""

    code = "SB-RUN-040"


class ConditionFaultError(SpellbookError, RuntimeError):
    """A block was not run because the condition that guards it raised an exception."""

    code = "SB-RUN-041"


def judged(block: ActiveBlock, end: BlockEnd, is_met: bool | None) -> BlockEnd:
    """Return the end of an attempt with what a condition said in it."""
    if block.block_type != BlockType.CONDITIONAL or end.status is not Status.COMPLETED:
        return end
    if is_met:
        return replace(end, reason=f"it holds, so '{block.hangs_on}' runs")
    return replace(end, status=Status.CONDITION_FAILED, reason=f"it does not hold, so '{block.hangs_on}' does not run")


def unheard(run: ActiveRun, block: ActiveBlock) -> BlockEnd | None:
    """Return how a callback ends that has no function for the end of its block; None when it has to be called.

    Told from the text, so that no process starts for nothing: most callbacks are for failures, and most blocks do not
    fail.
    """
    if block.block_type != BlockType.CALLBACK or block.hangs_on is None:
        return None
    words = marks(block.source)
    ended = run.state.statuses[block.hangs_on]
    if words is None or HEARD.get(ended) in words:
        return None
    at = run.ends[block.hangs_on].ended_at if block.hangs_on in run.ends else run.run.created_at
    return BlockEnd(Status.COMPLETED, at, reason=f"nothing to call: '{block.hangs_on}' ended {ended.value}")


@lru_cache(maxsize=256)
def marks(source: str) -> frozenset[str] | None:
    """Return the ends that the functions of a callback's text are for; None when the text alone does not tell."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found: set[str] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for mark in node.decorator_list:
            word = _word(mark)
            if word is None:
                return None
            found.add(word)
    return frozenset(found) or None


def _word(mark: ast.expr) -> str | None:
    called = mark.func if isinstance(mark, ast.Call) else mark
    name = called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
    if name in {"on_success", "on_failure"}:
        return name.removeprefix("on_")
    if name != "callback":
        return None
    if not isinstance(mark, ast.Call) or not (mark.args or mark.keywords):
        return "success"
    given = mark.args[0] if mark.args else mark.keywords[0].value
    word = str(given.value) if isinstance(given, ast.Constant) else ""
    return word if word in HEARD.values() else None


def end_of(run: ActiveRun, key: BlockUuid, status: Status, *, now: datetime) -> BlockEnd:
    """Return how a block ended that had no attempt under way: it never ran, or it is as its children are."""
    block = run.blocks[key]
    if key in run.state.bonds.groups and block.children is not None:
        return _together(run, block, status, now)
    reason, error = None, None
    if status is Status.CONDITION_FAILED:
        unmet = [name for name in block.spec.conditions if run.state.statuses.get(name) is Status.CONDITION_FAILED]
        names = ", ".join(f"'{run.blocks[name].block}'" for name in unmet)
        reason = f"its condition {names} does not hold" if unmet else "a condition above it does not hold"
    elif status is Status.FAILED:
        error = _fault(run, block)
    return BlockEnd(status, now, reason=reason, error=error)


def _fault(run: ActiveRun, block: ActiveBlock) -> ErrorReport | None:
    for name in block.spec.conditions:
        end = run.ends.get(name)
        if run.state.statuses.get(name) is Status.FAILED and end is not None and end.error is not None:
            what = end.error.exception or end.error.message
            error = ConditionFaultError(
                f"Block '{block.key}' did not run: its condition '{run.blocks[name].block}' failed: {what}",
                hint=end.error.hint,
                block=block.block,
                condition=run.blocks[name].block,
            )
            return replace(end.error, code=error.code, message=error.message, facts=dict(error.facts), line=None)
    return None


def _together(run: ActiveRun, block: ActiveBlock, status: Status, now: datetime) -> BlockEnd:
    """Return how a block ended that ran once per item: the outputs of the children that completed, in their order."""
    names = block.children or ()
    ends = {name: run.ends[key] for name in names if (key := _child_key(block, name)) in run.ends}
    done = tuple(name for name, end in ends.items() if end.status is Status.COMPLETED)
    started = block.first_started_at
    return BlockEnd(
        status=status,
        ended_at=now,
        started_at=started,
        duration_s=None if started is None else max(0.0, (now - started).total_seconds()),
        cpu_s=sum(end.cpu_s or 0.0 for end in ends.values()),
        peak_memory_bytes=max((end.peak_memory_bytes or 0 for end in ends.values()), default=0) or None,
        outputs=tuple(replace(output, child=name) for name in done for output in ends[name].outputs),
        tests=_tests(list(ends.items())),
        warnings=tuple(dict.fromkeys(text for end in ends.values() for text in end.warnings))[:MAX_WARNINGS],
        error=_failed(block, list(ends.items()), len(names)) if status is Status.FAILED else None,
        children=done if status is Status.COMPLETED else names,
    )


def _child_key(block: ActiveBlock, name: str) -> BlockUuid:
    return node_key(block.block, name, block.spec.hangs_on)


def _tests(ends: Sequence[tuple[str, BlockEnd]]) -> tuple[TestResult, ...]:
    """Return each test once: passed when it did for every child, else as the first child has it that failed it."""
    found: dict[str, TestResult] = {}
    for name, end in ends:
        for test in end.tests:
            if test.name not in found or (found[test.name].passed and not test.passed):
                found[test.name] = test if test.passed else replace(test, message=f"child {name}: {test.message}")
    return tuple(found.values())


def _failed(block: ActiveBlock, ends: Sequence[tuple[str, BlockEnd]], total: int) -> ErrorReport | None:
    failed = [(name, end.error) for name, end in ends if end.status is Status.FAILED and end.error is not None]
    if not failed:
        return None
    name, first = failed[0]
    error = ChildrenFailedError(
        f"{len(failed)} of {total} children of block '{block.block}' failed; child {name}: "
        f"{first.exception or first.message}",
        hint=first.hint,
        block=block.block,
        child=name,
    )
    return replace(first, code=error.code, message=error.message, facts=dict(error.facts))
