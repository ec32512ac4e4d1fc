"""What the run store takes and returns beside the values of `model.run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from spellbook_core.model.children import Over, Pick, node_key
from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.outcome import ErrorReport, TestResult
from spellbook_core.model.output import ArtifactRef, OutputInfo
from spellbook_core.model.record import record
from spellbook_core.model.retry import ONCE, RetryPolicy
from spellbook_core.model.run import PipelineRun, Selection, Status
from spellbook_core.model.values import JsonValue, YamlValue


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process that cannot be mistaken for a later one with the same number.

    Attributes:
        started: Start time as the system counts it (clock ticks since boot), as text.
        boot_id: The boot it belongs to.
    """

    pid: int
    started: str
    boot_id: str


@record
class BlockSpec:
    """All that is needed to run a block of a run later, whatever happened to its file since.

    Attributes:
        relative_path: Of the block file, from the project's root.
        parents: Parents whose outputs it takes, in argument order.
        stored_inputs: For the parents outside the run: which block run their outputs come from.
        retry: What follows a failed attempt.
        over: The parents whose items or children it runs once for; empty for a block that runs once, and for a child.
        child: Which child this is; `picks` then says what it takes of the parents in `over`.
        hangs_on: Of a condition or callback: the block it belongs to.
        conditions: Keys of the conditions that guard it, which are blocks of the run too.
    """

    language: str = "python"
    relative_path: str = ""
    parents: tuple[BlockUuid, ...] = ()
    stored_inputs: Mapping[BlockUuid, BlockRunId] = field(default_factory=dict)
    configuration: Mapping[str, YamlValue] = field(default_factory=dict)
    timeout_s: float | None = None
    retry: RetryPolicy = ONCE
    over: tuple[Over, ...] = ()
    child: str = ""
    picks: Mapping[BlockUuid, Pick] = field(default_factory=dict)
    hangs_on: str = ""
    conditions: tuple[BlockUuid, ...] = ()


@record
class NewBlockRun:
    """A planned block of a run that begins, with the text it will run."""

    block: BlockUuid
    block_type: str
    reason: str
    source: str
    code_hash: str
    spec: BlockSpec

    @property
    def key(self) -> BlockUuid:
        """Return what names it in its run."""
        return node_key(self.block, self.spec.child, self.spec.hangs_on)


@record
class Fingerprint:
    """What the outputs of a block run depend on; see `engine.fingerprint`.

    Attributes:
        digest: Equal for block runs that must bring the same.
        parts: What went into it, as text.
        recorded: Project file -> digest, for modules that were imported though no import statement says so.
        meanings: Digest in `parts` -> what it stands for.
    """

    digest: str
    parts: str
    recorded: Mapping[str, str] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reusable:
    """What the newest execution with a fingerprint brought."""

    run_id: RunId
    block_run_id: BlockRunId
    made_at: datetime
    recorded: Mapping[str, str]
    outputs: tuple[OutputInfo, ...]
    tests: tuple[TestResult, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LatestOutput:
    """The newest stored outputs of a block, as far as staleness needs them.

    Attributes:
        made_at: When they were made, by the run that executed the block.
        parts: What they were made from; None when that is not known.
        recorded: As in `Fingerprint`.
        shape: Of a block that ran once per item: which child made each of `outputs`. None for any other.
    """

    made_at: datetime
    outputs: tuple[ArtifactRef, ...]
    parts: str | None
    recorded: Mapping[str, str] = field(default_factory=dict)
    shape: tuple[str, ...] | None = None


@record
class BlockEnd:
    """How a block run ended.

    Attributes:
        modules: Project files that it imported.
        fingerprint: What its outputs depend on; None when that is not known.
        reused_from: The block run whose outputs were taken instead of running; `reason` then says why.
        attempt: Whose end it is; None where nothing was attempted.
        children: Of a block that ran once per item: the children whose outputs it has.
    """

    status: Status
    ended_at: datetime
    started_at: datetime | None = None
    duration_s: float | None = None
    cpu_s: float | None = None
    peak_memory_bytes: int | None = None
    outputs: tuple[OutputInfo, ...] = ()
    tests: tuple[TestResult, ...] = ()
    warnings: tuple[str, ...] = ()
    error: ErrorReport | None = None
    modules: tuple[str, ...] = ()
    fingerprint: Fingerprint | None = None
    reused_from: BlockRunId | None = None
    reason: str | None = None
    attempt: int | None = None
    children: tuple[str, ...] | None = None

    def with_fingerprint(self, known: Fingerprint | None) -> BlockEnd:
        """Return this end with what its outputs depend on; `replace` would look at each field for every block."""
        return BlockEnd(
            self.status,
            self.ended_at,
            self.started_at,
            self.duration_s,
            self.cpu_s,
            self.peak_memory_bytes,
            self.outputs,
            self.tests,
            self.warnings,
            self.error,
            self.modules,
            known,
            self.reused_from,
            self.reason,
            self.attempt,
            self.children,
        )


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """How an attempt ended that is followed by another one.

    Attributes:
        started_at: When it was recorded, just before its process was made.
        error: Why it failed; None of a sensor that was not true yet.
    """

    attempt: int
    started_at: datetime
    ended_at: datetime
    duration_s: float | None
    error: ErrorReport | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """That a block run is queued, and what for.

    Attributes:
        what: For people: `retry 2 of 3`, `the sensor's next look`, `a free place`.
        due_at: When it runs again at the latest; None when no time is set.
        retried: Failed attempts so far that are followed by another one.
        attempt: How the attempt ended that came before; None when none did.
        forget: An older attempt that nobody will look at any more.
    """

    what: str
    since: datetime
    due_at: datetime | None = None
    retried: int = 0
    attempt: AttemptEnd | None = None
    forget: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt as recorded: written before its process exists, completed once that is known."""

    block_run_id: BlockRunId
    attempt: int
    created_at: datetime
    handle: Mapping[str, JsonValue] | None
    process: ProcessIdentity | None


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs a list shows; empty fields do not restrict."""

    project: ProjectName | None = None
    pipeline: PipelineUuid | None = None
    statuses: tuple[Status, ...] = ()
    triggers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunsPage:
    """A page of runs, newest first, and how many match in all."""

    runs: tuple[PipelineRun, ...]
    total: int


@record
class UnendedRun:
    """A run that has not ended, with what decides who goes on with it.

    Attributes:
        owner: The process that runs it by itself (`spellbook run`); None for the engine.
        is_cancelled: Whether somebody asked it to end.
        selection: With the project, the pipeline, the trigger and the priority: what decides when it begins.
        waiting_for: What was last noted that it waits for.
    """

    id: RunId
    status: Status
    owner: ProcessIdentity | None
    is_cancelled: bool
    project: ProjectName
    pipeline: PipelineUuid
    trigger: str
    selection: Selection
    priority: int = 0
    waiting_for: str | None = None


@dataclass(frozen=True, slots=True)
class OutputHolder:
    """Something stored that needs outputs.

    Attributes:
        kind: `run`, `fingerprint` (what may be reused), or `head` (the newest outputs of a block).
        id: Of the run, or of the block run that made the fingerprint or is the head.
        at: When it was made; None where age does not count.
        digests: Of the outputs; there may be more in it than outputs.
        is_current: Whether it is what the editor shows and children read: it is never let go of.
    """

    kind: str
    id: int
    project: ProjectName
    at: datetime | None
    digests: frozenset[str]
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class EngineBeat:
    """What the leading engine tells about itself every few seconds."""

    pid: int
    boot_id: str
    version: str
    started_at: datetime
    heartbeat_at: datetime
    workers: int
