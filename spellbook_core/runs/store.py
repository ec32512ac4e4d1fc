"""The port of the run store: what any database that keeps runs must do.

Several processes use one store at once. Every method is safe to call from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from spellbook_core.errors import NotFoundError, SpellbookError
from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.outcome import ErrorReport
from spellbook_core.model.run import BlockRun, NewRun, PipelineRun, Status
from spellbook_core.model.values import JsonValue, YamlValue
from spellbook_core.runs.records import (
    Attempt,
    AttemptEnd,
    BlockEnd,
    BlockSpec,
    EngineBeat,
    LatestOutput,
    NewBlockRun,
    OutputHolder,
    ProcessIdentity,
    Reusable,
    RunFilter,
    RunsPage,
    UnendedRun,
    Waiting,
)
from spellbook_core.runs.retention import EndedRun


class RunNotFoundError(NotFoundError):
    """No run, or no block run, of that number is stored."""

    code = "SB-RUN-001"


class NewerStoreError(SpellbookError):
    """The run store was written by a newer Spellbook."""

    code = "SB-RUN-002"


class StoreBusyError(SpellbookError, TimeoutError):
    """Another process kept the run store locked for longer than the busy timeout."""

    code = "SB-RUN-003"


class RunStore(Protocol):
    """Keeps runs. Reads see every transaction that ended before them."""

    def transaction(self, *, durable: bool = False) -> AbstractContextManager[None]:
        """Make all writes inside one step, for this thread; nested ones join the outermost.

        Args:
            durable: Survive a power cut once it returns; otherwise only a killed process.
        """

    # -- commands of the surfaces ---------------------------------------------------------------------------------

    def create_run(self, new: NewRun, *, now: datetime, owner: ProcessIdentity | None = None) -> PipelineRun:
        """Insert a queued run and return it, or return the run that was made for the same `request_id`."""

    def request_cancel(self, run_id: RunId, *, now: datetime) -> None:
        """Ask whoever runs it to end the run; without effect on an ended one. Raises RunNotFoundError."""

    # -- the runner, sole writer of a run that began --------------------------------------------------------------

    def begin_run(
        self,
        run_id: RunId,
        blocks: Sequence[NewBlockRun],
        *,
        now: datetime,
        variables: Mapping[str, YamlValue] | None = None,
    ) -> list[BlockRunId]:
        """Mark a run as running, with its block runs (status initial, positions in order) and their code.

        `variables` are the pipeline's as they are now; `pipeline_variables` returns them, whatever its file says later.
        """

    def expand_block(
        self, block_run_id: BlockRunId, names: Sequence[str], blocks: Sequence[NewBlockRun], *, now: datetime
    ) -> list[BlockRunId]:
        """Add children of a block that runs once per item, all or more of them, and mark it as running.

        Args:
            block_run_id: The block as a whole.
            names: Of its children so far, in order.
            blocks: One per new child, at the block's own position.
            now: When the children became known.
        """

    def start_attempt(self, block_run_id: BlockRunId, *, now: datetime) -> int:
        """Mark a block run as running and return its attempt's number; call before the process is made."""

    def postpone_block(self, block_run_id: BlockRunId, waiting: Waiting) -> None:
        """Mark a block run as queued, with what it waits for and how its newest attempt ended, if one did.

        Without effect on a block run that has ended, or when that attempt is not its newest.
        """

    def record_process(
        self,
        block_run_id: BlockRunId,
        attempt: int,
        handle: Mapping[str, JsonValue],
        process: ProcessIdentity | None,
    ) -> None:
        """Note where an attempt runs."""

    def end_block(self, block_run_id: BlockRunId, end: BlockEnd) -> None:
        """Record how a block run ended and count it as done. A block run that has ended stays as it is.

        An end of an attempt (`BlockEnd.attempt`) that is not the newest records nothing: that attempt was given up.

        One that executed and completed with a fingerprint is what `find_reusable` finds from then on.
        """

    def end_run(self, run_id: RunId, status: Status, error: ErrorReport | None, *, now: datetime) -> None:
        """Record how a run ended; durable.

        With an `error`, block runs that have not ended end with it: cancelled with a cancelled run; else the running
        ones fail with the error, and the others count as never reached. Without one, a run of which a block run has
        not ended stays as it is: whoever says that it ended has been replaced.
        """

    def wait_run(self, run_id: RunId, waiting_for: str | None) -> None:
        """Note what a queued run waits for, for people; without effect on one that has begun."""

    def unended_runs(self, *, after: RunId | None = None) -> list[UnendedRun]:
        """Return the runs that are queued or running, oldest first.

        Args:
            after: Only those with a higher number, and those that were asked to end; None for all.
        """

    def specs(self, run_id: RunId) -> dict[BlockRunId, BlockSpec]:
        """Return what each block run of a run was planned with."""

    def pipeline_variables(self, run_id: RunId) -> dict[str, YamlValue] | None:
        """Return the pipeline's variables as they were when a run began; None when that was not stored."""

    def attempts(self, run_id: RunId) -> list[Attempt]:
        """Return the newest attempt of each block run that started, in the run's order."""

    def earlier_attempts(self, block_run_id: BlockRunId) -> list[AttemptEnd]:
        """Return how the attempts ended that were followed by another one, or will be; first to last."""

    # -- the engine's lease ---------------------------------------------------------------------------------------

    def beat(self, beat: EngineBeat) -> None:
        """Renew the engine's lease."""

    def last_beat(self) -> EngineBeat | None:
        """Return the newest lease; None when no engine ever ran here."""

    # -- reading --------------------------------------------------------------------------------------------------

    def run(self, run_id: RunId) -> PipelineRun:
        """Return a run. Raises RunNotFoundError."""

    def runs(self, where: RunFilter, *, offset: int, limit: int) -> RunsPage:
        """Return a page of runs, newest first."""

    def block_run(self, block_run_id: BlockRunId) -> BlockRun:
        """Return a block run. Raises RunNotFoundError."""

    def block_runs(self, run_id: RunId, *, with_children: bool = True) -> list[BlockRun]:
        """Return the block runs of a run in the order of its plan; empty until it begins. Raises RunNotFoundError.

        Children come behind their block, in their order; conditions before what they guard, callbacks behind.
        """

    def children(self, block_run: BlockRun) -> list[BlockRun]:
        """Return the children of a block that ran once per item, in their order; empty for any other."""

    def child_counts(self, run_id: RunId) -> dict[BlockUuid, dict[Status, int]]:
        """Return block that runs once per item -> how many of its children have each status; one short read."""

    def block_runs_by_id(self, ids: Collection[BlockRunId]) -> dict[BlockRunId, BlockRun]:
        """Return those of the block runs that exist."""

    def latest_block_runs(self, project: ProjectName, pipeline: PipelineUuid) -> dict[BlockUuid, BlockRun]:
        """Return the newest block run of each block, whatever its status; children are not among them.

        A condition or callback is found as `name@block`.
        """

    def latest_outputs(self, project: ProjectName, pipeline: PipelineUuid) -> dict[BlockUuid, BlockRun]:
        """Return the newest completed block run of each block that has one."""

    def find_reusable(
        self, project: ProjectName, pipeline: PipelineUuid, block: BlockUuid, fingerprint: str
    ) -> Reusable | None:
        """Return what the newest execution of a block with that fingerprint brought; one indexed read."""

    def latest_made(self, project: ProjectName, pipeline: PipelineUuid) -> dict[BlockUuid, LatestOutput]:
        """Return what `latest_outputs` holds, as far as staleness needs it; ten times lighter."""

    def meanings(self, digests: Collection[str]) -> dict[str, str]:
        """Return what those of the digests stand for that are known, as `Fingerprint.meanings` had them."""

    def code(self, code_hash: str) -> str:
        """Return the source text of that hash. Raises RunNotFoundError."""

    def warnings(self) -> list[str]:
        """Return what a person should know about the store itself, such as a damaged file moved aside."""

    def close(self) -> None:
        """Close every connection of this process; the store opens again when it is used."""

    @property
    def upkeep(self) -> RunUpkeep:
        """What finds and removes what is no longer needed."""


class RunUpkeep(Protocol):
    """Finds and removes in a run store. Each method that writes looks again, in its transaction, at what is needed."""

    def ended_runs(self) -> list[EndedRun]:
        """Return the runs that have ended, oldest first."""

    def known_runs(self) -> set[RunId]:
        """Return all runs."""

    def unended_ids(self) -> set[RunId]:
        """Return the runs that have not ended."""

    def needed_runs(self) -> set[RunId]:
        """Return the runs that must stay.

        Those that have not ended, those whose outputs they take or which they repeat, and those with the newest block
        run of a block, the newest that completed, or the execution which that one reuses.
        """

    def holders(self) -> Iterator[OutputHolder]:
        """Return everything stored that needs outputs, and which."""

    def running_attempts(self) -> list[tuple[RunId, int, int]]:
        """Return (run, block run, attempt) of the attempts under way; an outcome they sealed needs its outputs."""

    def remove_runs(self, ids: Sequence[RunId], put_aside: Callable[[RunId], None]) -> list[RunId]:
        """Delete ended runs that nothing needs, in small transactions, and return which.

        Args:
            ids: Runs to delete.
            put_aside: Called for each, inside the transaction, to move its files away.
        """

    def release_outputs(self, runs: Sequence[RunId], *, now: datetime) -> None:
        """Count the outputs of ended runs as no longer needed by them."""

    def forget_fingerprints(self, ids: Sequence[int]) -> None:
        """Delete the fingerprints that those block runs made; those of the newest completed block runs stay."""

    def forget_heads(self, exists: Callable[[ProjectName, PipelineUuid], bool], *, before: datetime) -> int:
        """Delete the heads of pipelines that are gone and last ran before that time; return how many."""

    def tidy(self) -> int:
        """Delete code that no block run ran and meanings that no fingerprint names; return how many."""

    def compact(self) -> int:
        """Give free space back to the disk where it is much; return the bytes."""
