"""What the engine sends to a worker: plain values with a JSON form (`worker/wire.py`), so any executor can carry them.

The files of one attempt lie in one folder: the engine writes `TASK_FILE`, the worker answers with `OUTCOME_FILE` (see
`model/outcome.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.outcome import ErrorReport
from spellbook_core.model.output import OutputInfo
from spellbook_core.model.recipe import Recipe
from spellbook_core.model.record import record
from spellbook_core.model.values import YamlValue

TASK_FILE = "task.json"
LOG_FILE = "log.jsonl"
METRICS_FILE = "metrics.jsonl"
LOCK_FILE = "attempt.lock"


@record
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


@record
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
