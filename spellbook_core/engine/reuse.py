"""Whether a block that is ready needs to run at all, and what its result depends on.

Asked when a block becomes ready and not when the run is planned: only then is it known what its parents hand over, so
a parent that ran again and brought the same bytes stops the wave.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.artifacts.problems import ArtifactMissingError, CorruptArtifactError
from spellbook_core.clock import Clock
from spellbook_core.engine import fingerprint
from spellbook_core.engine.active import ActiveBlock, ActiveRun
from spellbook_core.engine.dependence import environment_for, parts_of
from spellbook_core.engine.policy import policy_of
from spellbook_core.errors import SpellbookError
from spellbook_core.model.block import is_dynamic
from spellbook_core.model.naming import BlockUuid, RunId
from spellbook_core.model.output import ArtifactRef, OutputInfo
from spellbook_core.model.run import BlockRun, PipelineRun, Share, Status
from spellbook_core.project import kept_modules
from spellbook_core.project.closure import Closure, CodeIndex, index_of
from spellbook_core.project.layout import Workspace
from spellbook_core.project.otherfiles import facts_in
from spellbook_core.project.sourcefacts import SourceFacts
from spellbook_core.runs.records import BlockEnd, Fingerprint, Reusable
from spellbook_core.runs.store import RunStore

_LOG = logging.getLogger("spellbook.engine")

FOREIGN = "?"
"""Digest of a module that cannot be known again, so it never equals itself later."""


class Reuse:
    """Decides for the blocks of one runner."""

    def __init__(self, workspace: Workspace, store: RunStore, clock: Clock) -> None:
        """Read nothing yet."""
        self._workspace = workspace
        self._keeper = kept_modules.Keeper(workspace)
        self._then: dict[RunId, kept_modules.Kept] = {}
        self._store = store
        self._clock = clock
        self._artifacts = LocalArtifactStore(workspace.artifacts_dir)
        self._earlier: dict[RunId, dict[BlockUuid, BlockRun]] = {}

    def decide(self, run: ActiveRun, block: ActiveBlock) -> BlockEnd | None:
        """Return how `block` ends without running, or None when it has to run.

        Call once per block, when its parents have ended; what its result depends on is kept in the block.
        """
        block.is_decided = True
        try:
            return self._decide(run, block)
        except (OSError, ValueError, TypeError, RecursionError, SpellbookError) as cause:
            _LOG.warning("block run %s runs: what it depends on cannot be told: %s", block.id, cause)
            block.fingerprint = None
            return None

    def _decide(self, run: ActiveRun, block: ActiveBlock) -> BlockEnd | None:
        index = index_of(run.project)
        index.look()
        facts = _facts(block)
        closure = self._closure(run, block, index, facts)
        self._keep(run, block, closure, index)
        if block.spec.hangs_on:
            return None  # a condition looks anew, a callback is there for what it does
        text = parts_of(run, block, facts, closure).text
        known = Fingerprint(fingerprint.digest_of(text), text, meanings=closure.meanings)
        block.fingerprint = known
        block.modules = closure.digest
        shared = self._shared_child(run.run, block, known)
        if shared is not None:
            return shared
        if not may_reuse(run.run, block):
            return None
        policy = policy_of(block.block_type, block.spec.configuration, block.spec.language)
        found = self._store.find_reusable(run.run.project, run.run.pipeline, block.key, known.digest)
        now = self._clock.now()
        if found is None or policy.objection(found.made_at, now) or recorded_change(index, found.recorded):
            return None
        if not all(self.is_stored(ref) for ref in refs_of(found.outputs)):
            return None
        if is_dynamic(block.spec.configuration) and not any(output.items is not None for output in found.outputs):
            return None
        return _reused(found, known, now)

    def _closure(self, run: ActiveRun, block: ActiveBlock, index: CodeIndex, facts: SourceFacts) -> Closure:
        """Return the modules that a block runs with: today's, or those that the run which it repeats has kept."""
        if kept_modules.is_used(run.run):
            if run.run.id not in self._then:
                self._then = {run.run.id: kept_modules.read(self._workspace.modules_file(run.run.id))}
            closure = self._then[run.run.id].closure(self._workspace, block.block)
            if closure is not None:
                return closure
        return index.closure(facts.imports)

    def _keep(self, run: ActiveRun, block: ActiveBlock, closure: Closure, index: CodeIndex) -> None:
        if kept_modules.is_used(run.run):
            return  # it was handed what to use as it began
        try:
            self._keeper.keep(run.run.id, block.block, closure, index)
        except OSError as cause:
            _LOG.warning("the modules of block run %s are not kept: %s", block.id, cause)

    def _shared_child(self, run: PipelineRun, block: ActiveBlock, known: Fingerprint) -> BlockEnd | None:
        """Return the end of a child that the run which is retried has sealed; whatever its policy: it was done then.

        Blocks that run once are shared before the run begins; of these it is known only now which children there are.
        """
        again = run.again
        if not block.spec.child or again is None or again.share is not Share.COMPLETED:
            return None
        if again.run_id not in self._earlier:
            found = self._store.block_runs(again.run_id)
            self._earlier = {again.run_id: {each.key: each for each in found if each.child}}
        earlier = self._earlier[again.run_id].get(block.key)
        if earlier is None or earlier.status is not Status.COMPLETED or earlier.fingerprint != known.digest:
            return None
        if not all(self.is_stored(ref) for ref in refs_of(earlier.outputs)):
            return None
        return completed_in(again.run_id, earlier, known, now=self._clock.now())

    def is_stored(self, ref: ArtifactRef) -> bool:
        """Return whether an output is there, as long as it was when it was written; housekeeping then leaves it."""
        try:
            self._artifacts.hold(ref)
            self._artifacts.data_path(ref)
        except (ArtifactMissingError, CorruptArtifactError, OSError):
            return False
        return True

    def sealed(self, run: ActiveRun, block: ActiveBlock, end: BlockEnd) -> BlockEnd:
        """Return `end` of a block that executed, with the fingerprint of its outputs when it can be relied upon.

        That is not so when it did not complete, or when a module that it reaches was changed while it ran.
        """
        if end.status is not Status.COMPLETED or block.spec.hangs_on:
            return end
        try:
            return self._sealed(run, block, end)
        except (OSError, ValueError, TypeError, RecursionError, SpellbookError) as cause:
            _LOG.warning("the outputs of block run %s cannot be reused: %s", block.id, cause)
            return end

    def _sealed(self, run: ActiveRun, block: ActiveBlock, end: BlockEnd) -> BlockEnd:
        index = index_of(run.project)
        index.look()
        facts = _facts(block)
        closure = self._closure(run, block, index, facts)
        known = block.fingerprint
        if not block.is_decided:  # another engine began it: what it wrote is lost, but not what it read
            if not kept_modules.is_used(run.run) and not _is_older(index, closure, end.started_at):
                return end
            text = parts_of(run, block, facts, closure).text
            known = Fingerprint(fingerprint.digest_of(text), text, meanings=closure.meanings)
        elif known is None or closure.digest != block.modules:
            return end
        elif (recipe := run.environment_of(block).recipe) is not None:  # it may not have been made when this began
            known = _with_packages(known, environment_for(run.project, facts, closure, recipe.interpreter))
        recorded = {}
        own = block.spec.relative_path
        for path in end.modules:
            if path not in closure.members and path != own:
                recorded[path] = self._recorded(index, path, end.started_at)
        return end.with_fingerprint(replace(known, recorded=recorded) if recorded else known)

    @staticmethod
    def _recorded(index: CodeIndex, path: str, started_at: datetime | None) -> str:
        if not _is_unchanged(index, path, started_at):
            return FOREIGN
        facts = index.file(f"{index.root}/{path}")
        return FOREIGN if facts is None else facts.digest


def _with_packages(known: Fingerprint, now: Mapping[str, str]) -> Fingerprint:
    """Return a fingerprint that was decided before its environment was made, with the packages which that got.

    Nothing else of the environment is taken from `now`: what changed since was not what the block ran with.
    """
    parts = fingerprint.read_parts(known.parts)
    completed = fingerprint.completed_environment(parts.environment, now)
    if completed == parts.environment:
        return known
    text = replace(parts, environment=completed).text
    return replace(known, digest=fingerprint.digest_of(text), parts=text)


def _is_older(index: CodeIndex, closure: Closure, started_at: datetime | None) -> bool:
    return all(_is_unchanged(index, path, started_at) for path in closure.members)


def _is_unchanged(index: CodeIndex, path: str, since: datetime | None) -> bool:
    changed = index.changed_at(f"{index.root}/{path}")
    return changed is not None and since is not None and changed < since.timestamp()


def may_run_nothing(run: ActiveRun) -> bool:
    """Return whether the blocks that come first may all be reused, so that no process may be needed."""
    return all(may_reuse(run.run, run.blocks[name]) for name in run.ready())


def may_reuse(run: PipelineRun, block: ActiveBlock) -> bool:
    """Return whether this run allows the block not to execute, whatever is stored."""
    if run.selection.is_fresh or block.attempt or block.block in (run.selection.blocks or ()):
        return False
    if run.again is not None and block.block == run.again.start:
        return False
    try:
        return policy_of(block.block_type, block.spec.configuration, block.spec.language).allows
    except SpellbookError:
        return False


def recorded_change(index: CodeIndex, recorded: Mapping[str, str]) -> str | None:
    """Return the first module that was imported without an import statement and has changed, or None."""
    for path, digest in recorded.items():
        facts = index.file(f"{index.root}/{path}")
        if facts is None or facts.digest != digest:
            return path
    return None


def _facts(block: ActiveBlock) -> SourceFacts:
    return facts_in(block.source, block.spec.language)


def refs_of(outputs: Iterable[OutputInfo]) -> Iterator[ArtifactRef]:
    """Yield everything that is stored of some outputs: themselves, and items that are stored one by one."""
    for output in outputs:
        yield output.artifact
        for item in output.items or ():
            if item.artifact is not None:
                yield item.artifact


def completed_in(run_id: RunId, found: BlockRun, known: Fingerprint | None, *, now: datetime) -> BlockEnd:
    """Return the end of a block whose outputs an earlier run has sealed: it takes over all of that.

    Args:
        run_id: The earlier run.
        found: The block in it.
        known: What the outputs depend on; None when that was not known.
        now: When the block ends.
    """
    reason, made_by = f"completed in run {run_id}", found.reused_from or found.id
    return replace(_taken_over(found, known, now), reused_from=made_by, reason=reason, children=found.children)


def _reused(found: Reusable, known: Fingerprint, now: datetime) -> BlockEnd:
    reason = f"unchanged since run {found.run_id}, {ago((now - found.made_at).total_seconds())}"
    return replace(_taken_over(found, known, now), reused_from=found.block_run_id, reason=reason)


def _taken_over(found: BlockRun | Reusable, known: Fingerprint | None, now: datetime) -> BlockEnd:
    return BlockEnd(
        status=Status.COMPLETED,
        ended_at=now,
        started_at=now,
        duration_s=0.0,
        outputs=found.outputs,
        tests=found.tests,
        warnings=found.warnings,
        fingerprint=known,
    )


def ago(seconds: float) -> str:
    """Return an age for people: `just now`, `3 minutes ago`."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        count = int(seconds // size)
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now" if seconds < 5 else f"{int(seconds)} seconds ago"
