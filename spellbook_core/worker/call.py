"""The boundary to user code: load the block, read its inputs, call its function, store what it returns, run its tests.

Nothing outside this module runs a line that a person wrote. What such a line may raise, everything, is caught here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import AsyncGeneratorType, GeneratorType
from typing import Protocol

from spellbook_core.decorators import BLOCK_DECORATORS, Collection
from spellbook_core.model.block import BlockType, is_dynamic
from spellbook_core.model.outcome import ErrorReport, TestResult
from spellbook_core.model.output import ArtifactRef, OutputInfo
from spellbook_core.model.task import BlockTask
from spellbook_core.worker.addons import add_on_keywords, call_back, holds
from spellbook_core.worker.arguments import arguments_of_test, bind, count, spread, system_keywords
from spellbook_core.worker.failures import NoFunctionError, TestsFailedError, UnsupportedBlockError
from spellbook_core.worker.items import child_keywords, put_items, read_children, read_input
from spellbook_core.worker.load import load_block
from spellbook_core.worker.other_languages import is_other, run_other
from spellbook_core.worker.report import report_exception


class Artifacts(Protocol):
    """What the worker needs of the artifact store."""

    def put(self, value: object, *, index: int = 0, origin: str = "") -> OutputInfo:
        """Store a value."""

    def get(self, ref: ArtifactRef) -> object:
        """Read a stored value."""


@dataclass(slots=True)
class CallResult:
    """What one attempt brought."""

    outputs: tuple[OutputInfo, ...] = ()
    tests: tuple[TestResult, ...] = ()
    error: ErrorReport | None = None
    is_met: bool | None = None


@dataclass(slots=True)
class _Steps:
    """What has been reached; outputs survive a failing test only."""

    outputs: list[OutputInfo] = field(default_factory=list)
    tests: list[TestResult] = field(default_factory=list)
    is_met: bool | None = None


def call_block(task: BlockTask, artifacts: Artifacts) -> CallResult:
    """Run the block of `task` from its source to its last test; never raises for anything that user code does."""
    steps = _Steps()
    try:
        _run(task, artifacts, steps)
    except TestsFailedError as failure:
        report = report_exception(failure, task)
        line = next((test.line for test in steps.tests if not test.passed), None)
        report = ErrorReport(report.code, report.message, report.hint, report.facts, line=line)
        return CallResult(tuple(steps.outputs), tuple(steps.tests), report)
    except BaseException as failure:  # noqa: BLE001  # user code boundary: SystemExit and KeyboardInterrupt included
        return CallResult((), tuple(steps.tests), report_exception(failure, task))
    return CallResult(tuple(steps.outputs), tuple(steps.tests), is_met=steps.is_met)


def _run(task: BlockTask, artifacts: Artifacts, steps: _Steps) -> None:
    if is_other(task):
        steps.outputs += _stored_outputs(task) if task.tests_only else run_other(task, artifacts)
        return
    if task.language != "python" or task.block_type not in BLOCK_DECORATORS:
        raise UnsupportedBlockError(
            f"Block '{task.block}' is a {task.block_type} in {task.language}, which does not run here.",
            hint="write it in Python, as a data loader, transformer, custom block, data exporter or sensor.",
        )
    _, collection = load_block(task)
    keywords = {**system_keywords(task), **add_on_keywords(task), **child_keywords(task, artifacts)}
    if task.hangs_on is not None:
        _call_add_on(task, artifacts, steps, collection, keywords)
        return
    if task.tests_only and task.inputs[0].children is not None:
        _test_children(task, artifacts, steps, collection, keywords)
        return
    values = _stored(task, artifacts, steps) if task.tests_only else _made(task, artifacts, steps, collection, keywords)
    if task.run_tests and steps.is_met is not False:
        for test in collection.of("test"):
            steps.tests.append(_run_test(test.function, values, keywords, task))
        _check_tests(task, steps.tests)


def _test_children(
    task: BlockTask, artifacts: Artifacts, steps: _Steps, collection: Collection, keywords: Mapping[str, object]
) -> None:
    """Run the tests on the stored outputs of every child; a test passes when it does for all of them."""
    entry = task.inputs[0]
    steps.outputs += entry.outputs
    values_of = dict(zip(entry.children or (), read_children(entry, artifacts), strict=True))
    for test in collection.of("test"):
        found = TestResult(test.function.__name__, passed=True)
        for child, values in values_of.items():
            result = _run_test(test.function, values, keywords, task)
            if not result.passed:
                found = replace(result, message=f"child {child}: {result.message}")
                break
        steps.tests.append(found)
    _check_tests(task, steps.tests)


def _stored(task: BlockTask, artifacts: Artifacts, steps: _Steps) -> list[object]:
    """Return the values that the block made in an earlier run; they stay its outputs."""
    steps.outputs += _stored_outputs(task)
    return [artifacts.get(output.artifact) for output in steps.outputs]


def _call_add_on(
    task: BlockTask, artifacts: Artifacts, steps: _Steps, collection: Collection, keywords: Mapping[str, object]
) -> None:
    """Call the functions of a condition or callback; neither has outputs."""

    def read() -> list[list[object]]:
        return _read_inputs(task, artifacts)

    if task.block_type == BlockType.CONDITIONAL:
        steps.is_met = holds(task, collection, keywords, read, _consumed)
    else:
        call_back(task, collection, keywords, read, _consumed)


def _stored_outputs(task: BlockTask) -> list[OutputInfo]:
    return [output for entry in task.inputs for output in entry.outputs]


def _made(
    task: BlockTask, artifacts: Artifacts, steps: _Steps, collection: Collection, keywords: Mapping[str, object]
) -> list[object]:
    """Call the block's function and store what it returns; return the values, one per output."""
    function = _main_function(task, collection)
    arguments, named = bind(function, task, keywords, lambda: _read_inputs(task, artifacts))
    for preprocess in collection.of("preprocesser"):
        _consumed(preprocess.function(*arguments))
    value = _consumed(function(*arguments, **named))
    del arguments, named  # a frame is freed after its last reader
    if task.block_type == BlockType.SENSOR:
        value = bool(value)
        steps.is_met = None if task.trigger == "notebook" else value  # in the notebook one call is all
        if steps.is_met is False:
            return []  # the engine calls it again later, in another process
    if is_dynamic(task.configuration):
        stored, values = put_items(task, value, artifacts)
        steps.outputs += stored
        return values
    values = spread(value)
    for index, entry in enumerate(values):
        steps.outputs.append(artifacts.put(entry, index=index, origin=f"{task.pipeline}/{task.block}"))
    return values


def _main_function(task: BlockTask, collection: Collection) -> Callable[..., object]:
    decorator = BLOCK_DECORATORS[task.block_type]
    marked = collection.of(decorator)
    if marked:
        return marked[0].function
    others = sorted({entry.decorator for entry in collection.found} & set(BLOCK_DECORATORS.values()))
    found = f"; it has @{', @'.join(others)}, but the pipeline lists it as {task.block_type}" if others else ""
    raise NoFunctionError(
        f"Block '{task.block}' has no function decorated with @{decorator}{found}.",
        hint=f"put @{decorator} above the function that the block shall run.",
    )


def _read_inputs(task: BlockTask, artifacts: Artifacts) -> list[list[object]]:
    return [read_input(entry, artifacts) for entry in task.inputs]


def _consumed(value: object) -> object:
    """Return what a generator yields as a list, what a coroutine returns, anything else as it is."""
    if isinstance(value, GeneratorType):
        return list(value)
    if inspect.iscoroutine(value) or isinstance(value, AsyncGeneratorType):
        import asyncio

        async def collect() -> object:
            if isinstance(value, AsyncGeneratorType):
                return [entry async for entry in value]
            return await value

        return asyncio.run(collect())
    return value


def _run_test(
    function: Callable[..., object], values: list[object], keywords: Mapping[str, object], task: BlockTask
) -> TestResult:
    line = function.__code__.co_firstlineno if inspect.isfunction(function) else None
    try:
        arguments, named = arguments_of_test(function, values or [None], keywords)
        _consumed(function(*arguments, **named))
    except KeyboardInterrupt:
        raise  # a cancel, not a finding
    except BaseException as failure:  # noqa: BLE001  # user code boundary: any exception fails the test
        report = report_exception(failure, task)
        text = str(failure) if isinstance(failure, AssertionError) else report.exception or report.message
        if not text:
            text = next((frame.text for frame in reversed(report.frames)), "") or type(failure).__name__
        return TestResult(function.__name__, passed=False, message=text, line=report.line or line)
    return TestResult(function.__name__, passed=True, line=line)


def _check_tests(task: BlockTask, tests: list[TestResult]) -> None:
    failed = [test for test in tests if not test.passed]
    if failed:
        raise TestsFailedError(
            f"Block '{task.block}' ran, but {len(failed)} of {count(len(tests), 'test')} failed: "
            f"{failed[0].name}: {failed[0].message}",
            hint="look at the stored output, then correct the block or the test.",
        )
