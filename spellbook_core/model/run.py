"""Runs as values: a pipeline run and the block runs in it, as the run store returns them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from spellbook_core.model.children import node_key
from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.outcome import ErrorReport, TestResult
from spellbook_core.model.output import OutputInfo
from spellbook_core.model.record import record
from spellbook_core.model.values import YamlValue


class Status(StrEnum):
    """mage's words for the state of a pipeline run or block run."""

    INITIAL = "initial"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UPSTREAM_FAILED = "upstream_failed"
    CONDITION_FAILED = "condition_failed"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing will change any more."""
        return self not in _UNENDED


_UNENDED = frozenset({Status.INITIAL, Status.QUEUED, Status.RUNNING})


class Upstream(StrEnum):
    """What happens to ancestors of the selected blocks: must be stored, run when nothing is stored, or all run.

    `stale` runs those whose stored output is missing or would come out otherwise now.
    """

    NONE = "none"
    MISSING = "missing"
    STALE = "stale"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which blocks a run executes.

    Attributes:
        blocks: None for the whole pipeline.
        upstream: How ancestors of `blocks` are treated. For the whole pipeline only `STALE` has a meaning: no block
            runs but those that are stale or have no stored output.
        downstream: Whether all descendants of `blocks` run too.
        tests_only: Run only the `@test` functions, on the stored outputs.
        is_fresh: Whether every block of the run executes; otherwise unchanged ones are reused. Blocks named in
            `blocks` always execute.
    """

    blocks: tuple[BlockUuid, ...] | None = None
    upstream: Upstream = Upstream.NONE
    downstream: bool = False
    tests_only: bool = False
    is_fresh: bool = False


class Code(StrEnum):
    """Which text of the block files a repeated run takes: today's files, or what the earlier run stored."""

    NOW = "now"
    THEN = "then"


class Share(StrEnum):
    """What a repeated run takes over from the earlier one instead of running it.

    `completed`: every block that completed. `above`: the same, but for one block and all below it. `nothing`.
    """

    COMPLETED = "completed"
    ABOVE = "above"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Again:
    """How a run repeats an earlier one.

    Attributes:
        run_id: The earlier run; its variables and its execution date are kept.
        share: Which of its outputs are shared.
        start: With `Share.ABOVE`: the block where it starts again.
    """

    run_id: RunId
    share: Share = Share.COMPLETED
    code: Code = Code.NOW
    start: BlockUuid | None = None


MAX_PRIORITY = 100
"""Highest priority of a run; the lowest is its negative."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """A request for a pipeline run.

    Attributes:
        trigger: `manual` (Run pipeline now), `notebook` (single blocks), `cli`, `api` or `schedule`.
        variables: Runtime variables, over the pipeline's own.
        request_id: Chosen by the client; a second request with the same one returns the first run.
        again: The earlier run that this one repeats, and how; None for a run of its own.
        execution_date: The instant that the run stands for; None for the moment of the request.
        priority: Higher goes first, from -`MAX_PRIORITY` to `MAX_PRIORITY`.
    """

    project: ProjectName
    pipeline: PipelineUuid
    trigger: str
    selection: Selection = Selection()
    variables: Mapping[str, YamlValue] = field(default_factory=dict)
    request_id: str | None = None
    again: Again | None = None
    execution_date: datetime | None = None
    priority: int = 0


@record
class PipelineRun:
    """One execution of a pipeline, or of some blocks of it.

    Attributes:
        waiting_for: What a queued run waits for, for people; None when nothing is known or it has begun.
        outputs_removed_at: When its outputs were removed to free space; those that others need are still there.
    """

    id: RunId
    project: ProjectName
    pipeline: PipelineUuid
    status: Status
    trigger: str
    selection: Selection
    variables: Mapping[str, YamlValue]
    execution_date: datetime
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    error: ErrorReport | None
    blocks_total: int = 0
    blocks_done: int = 0
    again: Again | None = None
    priority: int = 0
    waiting_for: str | None = None
    outputs_removed_at: datetime | None = None

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None while it runs or when it never started."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(0.0, (self.ended_at - self.started_at).total_seconds())


@dataclass(frozen=True, slots=True)
class BlockRun:
    """One execution of a block in a pipeline run.

    Attributes:
        position: 0-based place in the run's plan.
        attempt: 1 for the first; 0 before anything started.
        reason: Why it ran, was reused or did not run, for people.
        code_hash: Content hash of the source that ran.
        duration_s: Of the last attempt, by the monotonic clock.
        reused: Whether stored outputs were taken instead of running.
        reused_from: The block run that made them, with its log and metrics; it may have been deleted since.
        fingerprint: Digest of what the outputs depend on; None when that is not known.
        waiting_for: What a queued block run waits for, for people: `retry 2 of 3`; None while it waits for nothing.
        waiting_since: When that began.
        due_at: When it runs again at the latest; None when no time is set.
        retried: How many failed attempts were followed by another one.
        first_started_at: When its first attempt began; `started_at` is that of the newest.
        child: Of a block that runs once per item: which child this is, `3` or `0:2`; empty for the block as a whole,
            which starts no process itself.
        hangs_on: Of a condition or callback: the block it belongs to; empty for any other.
        children: Of a block that runs once per item, as a whole: its children, once they are known; when it has ended,
            those whose outputs it has. None for any other.
    """

    id: BlockRunId
    run_id: RunId
    block: BlockUuid
    block_type: str
    status: Status
    position: int
    attempt: int
    reason: str
    code_hash: str
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    duration_s: float | None
    cpu_s: float | None
    peak_memory_bytes: int | None
    outputs: tuple[OutputInfo, ...] = ()
    tests: tuple[TestResult, ...] = ()
    warnings: tuple[str, ...] = ()
    error: ErrorReport | None = None
    reused: bool = False
    reused_from: BlockRunId | None = None
    fingerprint: str | None = None
    waiting_for: str | None = None
    waiting_since: datetime | None = None
    due_at: datetime | None = None
    retried: int = 0
    first_started_at: datetime | None = None
    child: str = ""
    hangs_on: str = ""
    children: tuple[str, ...] | None = None

    @property
    def key(self) -> BlockUuid:
        """Return what names it in its run: its uuid, `uuid:3` for a child, `condition@uuid` for what hangs on it."""
        return node_key(self.block, self.child, self.hangs_on)

    @property
    def rows(self) -> int | None:
        """Rows of the first table among the outputs; of all children together where there are some."""
        if self.children is not None:
            found = [output.rows for output in self.outputs if output.columns and output.rows is not None]
            return sum(found) if found else None
        return next((output.rows for output in self.outputs if output.columns), None)
