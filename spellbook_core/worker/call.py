"""The boundary to user code: load the block, read its inputs, call its function, store what it returns, run its tests.

Nothing outside this module runs a line that a person wrote. What such a line may raise, everything, is caught here.
"""

from __future__ import annotations

import inspect
import json
import linecache
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import AsyncGeneratorType, GeneratorType
from typing import Protocol

from spellbook_core.clock import from_text, to_text
from spellbook_core.decorators import BLOCK_DECORATORS, Collection
from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.task import ArtifactRef, BlockTask, ErrorReport, OutputInfo, TestResult
from spellbook_core.worker.failures import (
    NoFunctionError,
    ParameterMismatchError,
    TestsFailedError,
    UnsupportedBlockError,
)
from spellbook_core.worker.load import MODULE_PREFIX, forget_block, load_block
from spellbook_core.worker.report import report_exception
from spellbook_core.worker.wire import task_from_json, task_to_json

MAX_OUTPUTS = 100
"""Most outputs that a returned list is spread into. A longer one is stored whole: a child gets a list either way."""

SENSOR_INTERVAL_S = 60.0
"""Seconds between two calls of a sensor in a run, as in mage; `configuration.interval_s` changes it."""


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


@dataclass(slots=True)
class _Steps:
    """What has been reached; outputs survive a failing test only."""

    outputs: list[OutputInfo] = field(default_factory=list)
    tests: list[TestResult] = field(default_factory=list)


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
    return CallResult(tuple(steps.outputs), tuple(steps.tests))


def _run(task: BlockTask, artifacts: Artifacts, steps: _Steps) -> None:
    if task.language != "python" or task.block_type not in BLOCK_DECORATORS:
        raise UnsupportedBlockError(
            f"Block '{task.block}' is a {task.block_type} in {task.language}, which does not run here.",
            hint="write it as a Python data loader, transformer, custom block, data exporter or sensor.",
        )
    _, collection = load_block(task)
    function = _main_function(task, collection)
    keywords = system_keywords(task)
    arguments, named = bind(function, task, keywords, lambda: _read_inputs(task, artifacts))
    for preprocess in collection.of("preprocesser"):
        _consumed(preprocess.function(*arguments))
    call = _sense if task.block_type == "sensor" else _call
    value = call(function, arguments, named, task)
    del arguments, named  # a frame is freed after its last reader
    values = spread(value)
    for index, entry in enumerate(values):
        steps.outputs.append(artifacts.put(entry, index=index, origin=f"{task.pipeline}/{task.block}"))
    if task.run_tests:
        for test in collection.of("test"):
            steps.tests.append(_run_test(test.function, values, keywords, task))
        _check_tests(task, steps.tests)


def rehearse() -> None:
    """Run an empty block without reading or storing, so that a later one finds warm caches and memory of its own.

    A forked child copies each memory page that it first touches; doing so while it waits for work takes two thirds
    off the time of a no-op block.
    """
    task = BlockTask(
        run_id=RunId(0),
        block_run_id=BlockRunId(0),
        attempt=0,
        workspace="",
        project=ProjectName(""),
        project_root="",
        pipeline=PipelineUuid(""),
        block=BlockUuid(""),
        block_type="custom",
        language="python",
        source="@custom\ndef f(*args, **kwargs):\n    pass\n",
        source_path="<rehearsal>",
        inputs=(),
        variables={},
        configuration={},
        execution_date=to_text(datetime.now(UTC)),
        trigger="",
    )
    task = task_from_json(json.loads(json.dumps(task_to_json(task))))
    _run(task, _NoArtifacts(), _Steps())
    forget_block(MODULE_PREFIX)
    linecache.cache.pop(task.source_path, None)


class _NoArtifacts:
    """The store of a rehearsal, which has nothing to store."""

    def put(self, value: object, *, index: int = 0, origin: str = "") -> OutputInfo:
        raise NotImplementedError

    def get(self, ref: ArtifactRef) -> object:
        raise NotImplementedError


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


def system_keywords(task: BlockTask) -> dict[str, object]:
    """Return the keyword arguments that mage gives every block, with the run's variables over them."""
    at: datetime = from_text(task.execution_date)
    return {
        "block_uuid": task.block,
        "pipeline_uuid": task.pipeline,
        "configuration": dict(task.configuration),
        "context": {},
        "env": "dev" if task.trigger == "notebook" else "prod",
        "repo_path": task.project_root,
        "execution_date": at,
        "execution_partition": f"{task.run_id}/{at:%Y%m%dT%H%M%S}",
        "pipeline_run_id": task.run_id,
        "trigger_name": task.trigger,
        "ds": f"{at:%Y-%m-%d}",
        "hr": f"{at:%H}",
        "event": {},
        "logger": _logger(task.block),
        **task.variables,
    }


def _logger(block: str) -> logging.Logger:
    logger = logging.getLogger(f"spellbook.block.{block}")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    return logger


def _read_inputs(task: BlockTask, artifacts: Artifacts) -> list[list[object]]:
    return [[artifacts.get(output.artifact) for output in entry.outputs] for entry in task.inputs]


def bind(
    function: Callable[..., object],
    task: BlockTask,
    keywords: Mapping[str, object],
    read: Callable[[], Sequence[Sequence[object]]],
) -> tuple[list[object], dict[str, object]]:
    """Return the positional and keyword arguments for `function`: one positional per parent, in order.

    A parent with one output hands over the value, with several a list, with none None. A function that takes no
    positional argument gets none (its parents only order it). One that fits only the outputs one by one gets those.

    Args:
        function: The block's function.
        task: Its `inputs` say how many parents and outputs there are.
        keywords: Handed over where the function names them or takes `**kwargs`.
        read: Reads every parent's outputs; not called when the function takes none.

    Raises:
        ParameterMismatchError: Parents and parameters cannot be matched. [SB-WRK-004]
    """
    parameters = list(inspect.signature(function).parameters.values())
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    counts = [len(entry.outputs) for entry in task.inputs]
    needed = sum(1 for p in positional if p.default is p.empty)
    free = sum(1 for p in positional if p.default is p.empty and p.name not in keywords)

    def fits(count: int) -> bool:
        late = [p for p in positional[count:] if p.default is p.empty]
        return (takes_any or count <= len(positional)) and all(p.name in keywords for p in late)

    arguments: list[object]
    if not positional and not takes_any:
        arguments = []
    elif fits(len(counts)):
        arguments = [_one(values, count) for values, count in zip(read(), counts, strict=True)]
    elif fits(sum(counts)):
        arguments = [value for values in read() for value in values]
    else:
        raise ParameterMismatchError(
            f"Block '{task.block}' has {_count(len(counts), 'parent')}, but its function "
            f"'{function.__name__}' takes {_capacity(len(positional), min(needed, free), takes_any)}.",
            hint="link or unlink parents, or change the function's parameters: one per parent, in the parents' order.",
        )
    used = {p.name for p in positional[: len(arguments)]}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        only_positional = {p.name for p in positional if p.kind is p.POSITIONAL_ONLY}
        named = {name: value for name, value in keywords.items() if name not in used - only_positional}
    else:
        accepted = {p.name for p in parameters if p.kind in {p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD}} - used
        named = {name: value for name, value in keywords.items() if name in accepted}
    return arguments, named


def _one(values: Sequence[object], count: int) -> object:
    if count == 1:
        return values[0]
    return list(values) if values else None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _capacity(most: int, least: int, takes_any: bool) -> str:
    if takes_any:
        return f"at least {_count(least, 'positional argument')}"
    return _count(most, "positional argument") if least >= most else f"{least} to {_count(most, 'positional argument')}"


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


def _call(
    function: Callable[..., object], arguments: list[object], named: dict[str, object], task: BlockTask
) -> object:
    return _consumed(function(*arguments, **named))


def _sense(
    function: Callable[..., object], arguments: list[object], named: dict[str, object], task: BlockTask
) -> object:
    """Call a sensor until it is true; in the notebook once."""
    interval = task.configuration.get("interval_s", SENSOR_INTERVAL_S)
    wait_s = float(interval) if isinstance(interval, (int, float)) else SENSOR_INTERVAL_S
    while True:
        value = _call(function, arguments, named, task)
        if value or task.trigger == "notebook":
            return bool(value)
        time.sleep(wait_s)


def spread(value: object) -> list[object]:
    """Return the outputs that a returned value means: none for None, one each for a tuple or list, else one."""
    if value is None:
        return []
    if isinstance(value, (tuple, list)) and 0 < len(value) <= MAX_OUTPUTS:
        return list(value)
    return [value]


def _run_test(
    function: Callable[..., object], values: list[object], keywords: Mapping[str, object], task: BlockTask
) -> TestResult:
    line = function.__code__.co_firstlineno if inspect.isfunction(function) else None
    try:
        arguments, named = _test_arguments(function, values or [None], keywords)
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


def _test_arguments(
    function: Callable[..., object], values: list[object], keywords: Mapping[str, object]
) -> tuple[list[object], dict[str, object]]:
    parameters = list(inspect.signature(function).parameters.values())
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    if not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        values = values[: len(positional)]
    used = {p.name for p in positional[: len(values)]}
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    names = {p.name for p in parameters}
    return values, {n: v for n, v in keywords.items() if n not in used and (takes_all or n in names)}


def _check_tests(task: BlockTask, tests: list[TestResult]) -> None:
    failed = [test for test in tests if not test.passed]
    if failed:
        raise TestsFailedError(
            f"Block '{task.block}' ran, but {len(failed)} of {_count(len(tests), 'test')} failed: "
            f"{failed[0].name}: {failed[0].message}",
            hint="look at the stored output, then correct the block or the test.",
        )
