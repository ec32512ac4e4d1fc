"""What the editor shows of one pipeline, read from the files and the run store: the truth, at one moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import streamlit as st

from spellbook_core.errors import NotFoundError, SpellbookError
from spellbook_core.model import not_run
from spellbook_core.model.block import Block
from spellbook_core.model.children import node_key
from spellbook_core.model.naming import BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.model.run import BlockRun, PipelineRun, Status
from spellbook_core.model.staleness import Freshness, Staleness
from spellbook_core.services import chart_pictures, package_needs
from spellbook_core.services import charts as chart_service
from spellbook_core.services import pipelines as pipeline_service
from spellbook_core.services import runs as run_service
from spellbook_core.services.package_needs import PackageNeeds
from spellbook_core.services.wiring import Context
from spellbook_core.ui.editor import keys
from spellbook_core.ui.editor.session import EditorSession
from spellbook_core.ui.status import Look, status_look

_SAME_READING_S = 0.25
"""The fragments of one redraw share one reading. An event always reads anew, so what they miss is drawn then."""


PREPARING = "preparing"
"""State of a block that was started and waits for its Python environment, as `ui.status` names it."""

_SIDE_CHOICES = ("graph_mode", "side_tab")
_RESULT_CHOICES = ("tab", "chip", "sort", "search", "page")


@dataclass(slots=True)
class Editor:
    """One drawing of the editor: where it looks, what it remembers, what it read.

    A full run of the page reads once for all cards; a fragment that runs alone reads again (`refresh`).

    Attributes:
        session: Survives between runs of the script.
        pipeline: As its file says, and with the callbacks that it names only by `has_callback`.
        file_hash: Content hash of the pipeline file that was read.
        latest: block -> newest block run, whatever became of it.
        results: block -> newest completed block run, whose outputs children and tables read.
        states: block -> whether its stored output still holds, and why not.
        newest: The newest run of the pipeline; None when it never ran.
        awaited: block run -> the log of the installer that it waits for, of this reading; see `installers_log`.
        tokens: What tells each fragment's token, and the pipeline it was made for.
    """

    ctx: Context
    project: ProjectName
    uuid: PipelineUuid
    session: EditorSession
    pipeline: Pipeline
    file_hash: str
    file_text: str
    file_warnings: tuple[str, ...] = ()
    listed_callbacks: frozenset[BlockUuid] = frozenset()
    latest: Mapping[BlockUuid, BlockRun] = field(default_factory=dict)
    results: Mapping[BlockUuid, BlockRun] = field(default_factory=dict)
    states: Mapping[BlockUuid, Staleness] = field(default_factory=dict)
    counts: Mapping[BlockUuid, Mapping[Status, int]] = field(default_factory=dict)
    newest: PipelineRun | None = None
    awaited: dict[int, str | None] = field(default_factory=dict)
    is_whole_page: bool = True
    read_at: float = 0.0
    tokens: tuple[Pipeline, Mapping[str, Callable[[], str]]] | None = None

    def refresh(self) -> None:
        """Read everything again, unless the whole page or other fragments are being drawn from one reading."""
        if not self.is_whole_page and time.monotonic() - self.read_at > _SAME_READING_S:
            self.read()

    def read(self) -> None:
        """Read the pipeline file and the newest runs."""
        file = pipeline_service.load(self.ctx, self.project, self.uuid)
        called = pipeline_service.as_called(self.ctx, self.project, file)
        if called != self.pipeline:  # the tokens are made for one object
            self.pipeline = called
        self.listed_callbacks = frozenset(callback.uuid for callback in file.pipeline.callbacks)
        self.file_hash, self.file_text = file.content_hash, file.text
        self.file_warnings = tuple(file.warnings)
        self.latest = run_service.latest_block_runs(self.ctx, self.project, self.uuid)
        self.results = run_service.latest_outputs(self.ctx, self.project, self.uuid)
        self.counts = self._read_counts()
        found = run_service.list_runs(self.ctx, project=self.project, pipeline=self.uuid, limit=1).runs
        self.newest = found[0] if found else None
        self.awaited = {}
        self._settle_pending()
        self.states = self._read_states()
        self.read_at = time.monotonic()

    def _read_counts(self) -> Mapping[BlockUuid, Mapping[Status, int]]:
        """Return how far the children are of the blocks that run once per item, each in its newest run."""
        found: dict[BlockUuid, Mapping[Status, int]] = {}
        for run_id in {run.run_id for run in self.latest.values() if run.children is not None}:
            for name, counts in run_service.child_counts(self.ctx, run_id).items():
                if name in self.latest and self.latest[name].run_id == run_id:
                    found[name] = counts
        return found

    def add_ons(self, uuid: str) -> list[Block]:
        """Return the conditions and callbacks of a block."""
        found = (*self.pipeline.conditionals, *self.pipeline.callbacks)
        return [block for block in found if uuid in block.upstream_blocks]

    def is_listed(self, callback: Block) -> bool:
        """Return whether the file lists a callback; one that only `has_callback` tells of is found by its name."""
        return callback.uuid in self.listed_callbacks

    def add_on_run(self, add_on: Block, uuid: str) -> BlockRun | None:
        """Return the newest run of a condition or callback on one block."""
        return self.latest.get(node_key(add_on.uuid, "", uuid))

    def _read_states(self) -> Mapping[BlockUuid, Staleness]:
        """Return the states of the stored outputs, told anew only when something that they depend on may differ."""
        made = tuple((name, run.id) for name, run in self.results.items())
        texts = tuple(draft.base_hash for draft in self.session.drafts.values())
        told_from = (self.file_hash, self.session.file_changes, made, texts)
        if self.session.states is None or self.session.states[0] != told_from:
            try:
                states = run_service.staleness(self.ctx, self.project, self.uuid)
            except SpellbookError:  # a cycle, or a file that cannot be read: both are shown where they are
                states = {}
            self.session.states = (told_from, states)
        return self.session.states[1]

    @property
    def needs(self) -> PackageNeeds:
        """What the blocks need of their Python, told anew when a file changed or while an installer works."""
        texts = tuple(draft.base_hash for draft in self.session.drafts.values())
        told_from = (self.file_hash, self.session.file_changes, texts, package_needs.stamp(self.ctx))
        known = self.session.needs
        if known is None or known[0] != told_from or known[1].progress.state == package_needs.MAKING:
            known = (told_from, package_needs.needs_of(self.ctx, self.project, self.uuid))
            self.session.needs = known
        return known[1]

    def _settle_pending(self) -> None:
        ended: dict[int, bool] = {}
        for block, run_id in list(self.session.pending.items()):
            newest = self.latest.get(BlockUuid(block))
            if newest is not None and newest.run_id >= run_id:
                del self.session.pending[block]
                continue
            if run_id not in ended:
                ended[run_id] = self._has_ended(run_id)
            if ended[run_id]:
                del self.session.pending[block]

    def _has_ended(self, run_id: int) -> bool:
        try:
            return run_service.get(self.ctx, RunId(run_id)).status.is_terminal
        except NotFoundError:
            return True

    def block(self, uuid: str) -> Block | None:
        """Return the block, None when the file no longer lists it."""
        return next((block for block in self.pipeline.blocks if block.uuid == uuid), None)

    def status_key(self, uuid: str) -> str:
        """Return the word of `ui.status` for a block's state."""
        if uuid in self.session.pending:
            return Status.QUEUED.value
        run = self.latest.get(BlockUuid(uuid))
        if run is None:
            block = self.block(uuid)
            return "not_run" if block is not None and not_run.of_block(block) is not None else "never_run"
        if run.status is Status.COMPLETED and self.is_stale(uuid):
            return Freshness.STALE.value
        if run.status is Status.RUNNING and self.installers_log(run) is not None:
            return PREPARING
        return Status.QUEUED.value if run.status is Status.INITIAL else run.status.value

    def installers_log(self, run: BlockRun) -> str | None:
        """Return where the installer writes while a block's run waits for its Python environment, None otherwise."""
        if run.id not in self.awaited:
            is_making = self.needs.progress.state == package_needs.MAKING
            lines = run_service.log_tail(self.ctx, run, lines=1).lines if is_making else ()
            self.awaited[run.id] = package_needs.awaited_log(lines[-1]) if lines else None
        return self.awaited[run.id]

    def is_stale(self, uuid: str) -> bool:
        """Return whether running the block again would bring something else than what is stored."""
        found = self.states.get(BlockUuid(uuid))
        return found is not None and found.state is Freshness.STALE

    def unfresh(self) -> list[str]:
        """Return the blocks whose stored output is missing or stale, in the order of a run."""
        return [name for name, found in self.states.items() if found.state is not Freshness.FRESH]

    def look(self, uuid: str) -> Look:
        """Return how a block's state is drawn."""
        return status_look(self.status_key(uuid))

    def is_active(self, uuid: str) -> bool:
        """Return whether a run of the block was accepted and has not ended."""
        return self.status_key(uuid) in {Status.QUEUED.value, Status.RUNNING.value, PREPARING}

    def is_open(self, uuid: str) -> bool:
        """Return whether the block's card shows its code and result."""
        return self.session.is_open(uuid, len(self.pipeline.blocks))

    def next_block(self, uuid: str) -> str | None:
        """Return the block below in the notebook."""
        names = [block.uuid for block in self.pipeline.blocks]
        if uuid not in names:
            return None
        below = names.index(BlockUuid(uuid)) + 1
        return names[below] if below < len(names) else None

    def truth(self) -> dict[str, str]:
        """Return fragment -> token of the state it has to show; equal tokens look the same."""
        return {key: token() for key, token in self._tokens().items()}

    def drawn(self, *fragments: str) -> None:
        """Note that these fragments are being drawn from what was read."""
        tokens = self._tokens()  # of these alone: every card asks, and all tokens for each of 500 cards took 40 s
        self.session.shown.update({key: tokens[key]() for key in fragments if key in tokens})

    def _tokens(self) -> Mapping[str, Callable[[], str]]:
        """Return fragment -> what tells its token; made once per reading of the pipeline's file."""
        if self.tokens is None or self.tokens[0] is not self.pipeline:
            tokens: dict[str, Callable[[], str]] = {
                keys.TOOLBAR: lambda: f"{self._last_run_token()}:{len(self.unfresh())}",
                keys.PACKAGES: lambda: repr(self.needs),
                keys.SIDE: self._side_token,
            }
            for block in self.pipeline.blocks:
                tokens[keys.head(block.uuid)] = partial(self._head_token, block)
                tokens[keys.output(block.uuid)] = partial(self._output_token, block)
                tokens[keys.charts(block.uuid)] = partial(self._charts_token, block.uuid)
                tokens[keys.code(block.uuid)] = partial(self._code_token, block)
            self.tokens = (self.pipeline, tokens)
        return self.tokens[1]

    def _side_token(self) -> str:
        heads = [self._head_token(block) for block in self.pipeline.blocks]
        chosen = self._choices(*_SIDE_CHOICES)
        return ";".join([self._last_run_token(), repr(self.needs), *heads, chosen, str(self.session.child)])

    def _head_token(self, block: Block) -> str:
        return f"{self._run_token(block.uuid)}:{self._state_token(block.uuid)}"

    def _output_token(self, block: Block) -> str:
        chosen = self._choices(*(keys.widget(what, block.uuid) for what in _RESULT_CHOICES))
        return f"{self._run_token(block.uuid)}:{chosen}"

    def _code_token(self, block: Block) -> str:
        draft = self.session.drafts.get(block.uuid)
        feeding = [str(self.results[p].id) if p in self.results else "-" for p in block.upstream_blocks]
        outside = draft.outside.content_hash if draft and draft.outside else ""
        return ",".join(feeding) + outside + self._marks_token(block.uuid)

    @staticmethod
    def _choices(*widgets: str) -> str:
        """Return what is chosen in widgets that Streamlit does not draw anew when an event comes with the choice.

        A callback that names fragments replaces the run that the choice would have caused.
        """
        return ",".join(str(st.session_state.get(key)) for key in widgets)

    def _run_token(self, uuid: str) -> str:
        run = self.latest.get(BlockUuid(uuid))
        is_waiting = uuid in self.session.pending
        status = Status.QUEUED.value if is_waiting or run is None else run.status.value
        is_preparing = self.status_key(uuid) == PREPARING
        counts = sorted(self.counts.get(BlockUuid(uuid), {}).items())
        hanging = [(add_on.uuid, self.add_on_run(add_on, uuid)) for add_on in self.add_ons(uuid)]
        beside = [(name, found.id if found is not None else None) for name, found in hanging]
        which = f"{run.id}:{run.attempt}" if run else ""
        return f"{is_waiting}{is_preparing}:{status}:{which}:{counts}:{beside}"

    def _charts_token(self, uuid: str) -> str:
        charts = chart_service.of_block(self.pipeline, uuid)
        feeding = {name for chart in charts for name in chart.upstream_blocks} | {uuid}
        made = [str(self.results[name].id) for name in sorted(feeding) if name in self.results]
        return f"{made}:{chart_pictures.news() if charts else 0}"

    def _state_token(self, uuid: str) -> str:
        found = self.states.get(BlockUuid(uuid))
        return "" if found is None else f"{found.state.value}{found.reasons}{found.made_at}"

    def _marks_token(self, uuid: str) -> str:
        """Return what the marks in the code depend on: a run that ended badly, or whose tests did."""
        run = self.latest.get(BlockUuid(uuid))
        has_marks = run is not None and (run.error is not None or not all(test.passed for test in run.tests))
        return f"!{run.id}" if run is not None and has_marks and not self.is_active(uuid) else ""

    def _last_run_token(self) -> str:
        run = self.last_run()
        return f"{run.id}:{run.status.value}:{run.blocks_done}" if run else ""

    def last_run(self) -> PipelineRun | None:
        """Return the newest run of this pipeline, None when it never ran."""
        return self.newest


def open_editor(ctx: Context, project: ProjectName, uuid: PipelineUuid, session: EditorSession) -> Editor:
    """Return the editor of a pipeline as it is now.

    Raises:
        SpellbookError: The pipeline is not there or its file cannot be read.
    """
    session.file_changes += 1  # the page was asked for: files may have changed while nobody listened
    empty = Pipeline(uuid=uuid, name=uuid)
    editor = Editor(ctx, project, uuid, session, empty, file_hash="", file_text="")
    editor.read()
    return editor
