"""Which stored outputs of a pipeline would come out otherwise now, and why. Nothing is run or imported."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias

from spellbook_core.engine import fingerprint
from spellbook_core.engine.dependence import compute_parts, environment_for, referred_by
from spellbook_core.engine.plan import SILENT_TYPES
from spellbook_core.engine.policy import policy_of
from spellbook_core.engine.reuse import recorded_change
from spellbook_core.errors import SpellbookError
from spellbook_core.model import products
from spellbook_core.model.block import FILELESS_TYPES, Block
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.output import ArtifactRef
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.model.staleness import Freshness, Staleness
from spellbook_core.project.closure import Closure, index_of
from spellbook_core.project.environment import interpreter_of
from spellbook_core.project.layout import ProjectLayout, configured_paths
from spellbook_core.project.sourcefacts import ImportRef, SourceFacts, facts_of
from spellbook_core.runs.records import LatestOutput

UNKNOWN = "it is not known what its output was made from"
REMOVED = "its output was removed"

_Reach: TypeAlias = "tuple[frozenset[ImportRef], str | None, frozenset[str]]"
"""What the modules of a block and its environment follow from."""

_read_parts = lru_cache(maxsize=4096)(fingerprint.read_parts)


def assess(
    project: ProjectLayout,
    pipeline: Pipeline,
    latest: Mapping[BlockUuid, LatestOutput],
    *,
    meanings: Callable[[Collection[str]], Mapping[str, str]],
    is_stored: Callable[[ArtifactRef], bool],
    now: datetime,
) -> dict[BlockUuid, Staleness]:
    """Return the state of every block that can run, in the order of a run.

    Args:
        project: Where the code is.
        pipeline: As saved; its variables count, those of single runs do not.
        latest: Block -> its newest stored outputs.
        meanings: Returns what digests of an earlier time stand for.
        is_stored: Whether an output's artifact is there.
        now: For the age of outputs.

    Raises:
        CycleError: The blocks wait for each other. [SB-PIP-001]
    """
    return _Assessment(project, pipeline, latest, meanings, is_stored, now).run()


def unfresh(states: Mapping[BlockUuid, Staleness]) -> frozenset[BlockUuid]:
    """Return the blocks whose output is missing or stale."""
    return frozenset(name for name, found in states.items() if found.state is not Freshness.FRESH)


class _Assessment:
    """One look at one pipeline."""

    def __init__(
        self,
        project: ProjectLayout,
        pipeline: Pipeline,
        latest: Mapping[BlockUuid, LatestOutput],
        meanings: Callable[[Collection[str]], Mapping[str, str]],
        is_stored: Callable[[ArtifactRef], bool],
        now: datetime,
    ) -> None:
        self._project = project
        self._pipeline = pipeline
        self._latest = latest
        self._meanings = meanings
        self._is_stored = is_stored
        self._now = now
        self._python = _python(project, pipeline)
        self._index = index_of(project)
        self._states: dict[BlockUuid, Staleness] = {}
        self._reached: dict[_Reach, tuple[Closure, dict[str, str]]] = {}
        self._known: dict[str, dict[str, str]] = {}
        self._variables = {name: fingerprint.value_digest(value) for name, value in pipeline.variables.items()}

    def run(self) -> dict[BlockUuid, Staleness]:
        self._index.look()
        blocks = {block.uuid: block for block in self._pipeline.blocks}
        parents = self._pipeline.parents()
        for name in self._pipeline.run_order():
            if blocks[name].is_runnable:
                heard = tuple(parent for parent in parents[name] if blocks[parent].type not in SILENT_TYPES)
                self._states[name] = self._state(blocks[name], heard)
        return self._states

    def _state(self, block: Block, parents: tuple[BlockUuid, ...]) -> Staleness:
        made = self._latest.get(block.uuid)
        if made is None:
            return Staleness(Freshness.NEVER_RUN)
        found, times = self._differences(block, parents, made)
        if not all(self._is_stored(ref) for ref in made.outputs):
            found.append(REMOVED)
        for parent in parents:
            state = self._states.get(parent)
            if state is not None and state.state is not Freshness.FRESH:
                word = "is stale" if state.state is Freshness.STALE else "has not run"
                found.append(f"'{parent}' {word}")
                times.append(state.since)
        if not found:
            return Staleness(Freshness.FRESH, made_at=made.made_at)
        known = [at for at in times if at is not None and at > made.made_at]
        return Staleness(Freshness.STALE, tuple(found), min(known, default=None), made.made_at)

    def _differences(
        self, block: Block, parents: tuple[BlockUuid, ...], made: LatestOutput
    ) -> tuple[list[str], list[datetime | None]]:
        """Return what differs from what the output was made from, and when that changed as far as files tell."""
        path, facts = self._file(block)
        if block.type in FILELESS_TYPES:
            facts = facts_of(products.source_of(block))
        if facts is None:
            return ["its file is missing"], []
        try:
            old = None if made.parts is None else _read_parts(made.parts)
        except (ValueError, KeyError, TypeError):
            old = None
        if old is None:
            return [UNKNOWN], []
        configuration = self._pipeline.configuration_of(block)
        closure, environment = self._reach(
            facts, None if block.language == "sql" else self._python, referred_by(configuration)
        )
        new = compute_parts(
            block_type=block.type,
            language=block.language,
            facts=facts,
            closure=closure,
            parents=[(name, _content_of(self._latest.get(name))) for name in parents],
            variables=self._variables,
            configuration=configuration,
            environment=environment,
        )
        found = list(fingerprint.reasons(old, new, self._meaning(closure)))
        times = [self._changed(path)] if path is not None and old.code != new.code else []
        if old.modules != new.modules:
            changed = [self._changed(f"{self._index.root}/{member}") for member in closure.members]
            times += [at for at in changed if at is not None and at > made.made_at]
        times += [self._latest[name].made_at for name in parents if name in self._latest and old.parents != new.parents]
        moved = recorded_change(self._index, made.recorded)
        if moved is not None:
            found.append(f"{moved} changed")
        try:
            too_old = policy_of(block.type, block.configuration, block.language).objection(made.made_at, self._now)
        except SpellbookError as wrong:
            too_old = wrong.message
        return found + ([too_old] if too_old else []), times

    def _file(self, block: Block) -> tuple[str | None, SourceFacts | None]:
        """Return the file of a block and its facts, without looking through the project while it is where it was."""
        path = None
        if not configured_paths(block):
            path = _usual_path(self._project, block.type, block.replicated_block or block.uuid, block.language)
        facts = None if path is None else self._index.file(path, language=block.language)
        if facts is None:
            path = _found(self._project, block)
            facts = None if path is None else self._index.file(path, language=block.language)
        return path, facts

    def _reach(
        self, facts: SourceFacts, python: str | None, referred: frozenset[str]
    ) -> tuple[Closure, dict[str, str]]:
        wanted = facts.imports, python, referred
        known = self._reached.get(wanted)
        if known is None:
            closure = self._index.closure(facts.imports)
            known = closure, environment_for(self._project, facts, closure, python, referred=referred)
            self._reached[wanted] = known
        return known

    def _meaning(self, closure: Closure) -> Callable[[str], Mapping[str, str]]:
        def meaning(digest: str) -> Mapping[str, str]:
            known = self._known.get(digest)
            if known is None:
                text = closure.meanings.get(digest) or self._meanings([digest]).get(digest)
                known = self._known[digest] = json.loads(text) if text else {}
            return known

        return meaning

    def _changed(self, path: str) -> datetime | None:
        at = self._index.changed_at(path)
        return None if at is None else datetime.fromtimestamp(at, UTC)


def _python(project: ProjectLayout, pipeline: Pipeline) -> str | None:
    """Return the Python of the blocks; one that cannot be used is told when they run."""
    try:
        interpreter = interpreter_of(project, pipeline.uuid)
    except (SpellbookError, OSError):
        return None
    return None if interpreter is None else interpreter.path


def _content_of(latest: LatestOutput | None) -> str:
    return fingerprint.content_id(()) if latest is None else fingerprint.content_id(latest.outputs, latest.shape)


def _found(project: ProjectLayout, block: Block) -> str | None:
    try:
        path = project.block_file(block)
    except SpellbookError:
        return None
    return str(path) if path.is_file() else None


@lru_cache(maxsize=8192)
def _usual_path(project: ProjectLayout, block_type: str, uuid: str, language: str) -> str | None:
    try:
        return str(project.default_block_file(block_type, uuid, language))
    except SpellbookError:
        return None
