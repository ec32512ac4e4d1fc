"""Runs, edits, kills, a full disk and a jumping clock at random moments of one real workspace's life.

The life is a process of its own, started with `chaos_life.lived`: everything in it, also the one that acts, sees the
same disk and clock. The same seed makes the same acts with the same pauses. What blocks executed is counted outside the
product: each attempt appends a line to a file when it begins and when it ends.
"""

from __future__ import annotations

import os
import random
import select
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx

from spellbook_core.engine.leader import read_info
from spellbook_core.engine.supervise import identity, is_alive
from spellbook_core.errors import ChangedOnDiskError, SpellbookError
from spellbook_core.model.naming import BlockUuid, RunId
from spellbook_core.model.run import NewRun, Selection
from spellbook_core.runs.records import ProcessIdentity
from spellbook_core.services import blocks, engines, files, pipelines, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import wait_until
from tests.engine.chaos_workspace import DIAMOND, EDITED, KINDS, PROJECT, SCRATCH, make_workspace
from tests.engine.chaos_world import Page, World

SETTLE_S = 15.0
"""How long after the last kill a state may be wrong: the promise."""

END_S = 90.0
"""How long what is then left to do may take; seconds on this machine, but there are slower ones."""

VICTIM_S = 1.0
"""How long a block's process is waited for that can be killed."""

UNENDED_RUNS = 4


class Chaos:
    """One chaotic life of a workspace.

    Args:
        root: The workspace, which is made.
        seed: Decides what happens when.
        engine_share: Which part of the kills is meant for the engine; no more of them hit it.
        has_world: Whether the disk fills up, the clock jumps and a page is served and killed.

    Attributes:
        acts: What was done, in order, for whoever replays it.
        kills: How many processes were killed.
        started: Runs that were acknowledged.
    """

    def __init__(self, root: Path, seed: int, *, engine_share: float, has_world: bool) -> None:
        make_workspace(root)
        self.root, self.seed, self.engine_share, self.has_world = root, seed, engine_share, has_world
        self.acts: list[str] = []
        self.kills: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.started: list[RunId] = []
        self.asked: dict[str, NewRun] = {}
        self.began = time.monotonic()
        self.ctx = open_context(root)
        self.world = World()
        self.page = Page(root, root.parent / "page.log")
        self.random = random.Random(seed)
        self._room_at: float | None = None
        self._texts = [self._text() for _ in range(2)]
        self._files = [self._pipeline() for _ in range(2)]
        self.saved_text, self.saved_description = self._texts[0][0], ""

    def live(self, *, seconds: float | None, kills: int | None) -> None:
        """Act at random moments for so long, or until so many processes were killed."""
        weights = {self.start: 4, self.kill: 11, self.edit: 2, self.edit_pipeline: 1, self.cancel: 1}
        if self.has_world:
            weights |= {self.start_by_page: 2, self.kill_page: 0.5, self.intrude: 1}
            weights |= {self.fill_disk: 0.7, self.jump_clock: 1} if self.world.can_change else {}
        step = 0
        while self._is_over(seconds, kills) is False:
            step += 1
            self.random = random.Random(f"{self.seed}-{step}")  # what an act draws does not change those after it
            act = self.random.choices([*weights], [*weights.values()])[0]
            pause_s = self.random.uniform(0.0, 0.12)
            self.acts.append(act.__name__)
            self._free_disk_when_due()
            self._ensure_work()
            act()
            select.select([], [], [], pause_s)  # a random moment, not a wait

    def _is_over(self, seconds: float | None, kills: int | None) -> bool:
        if kills is not None:
            return sum(self.kills.values()) >= kills
        return time.monotonic() - self.began >= (seconds or 0.0)

    def _ensure_work(self) -> None:
        """Keep at least two runs under way and a page served; ask again for what was asked of a page that died."""
        if self.has_world:
            self.page.ensure()
        for request_id, new in list(self.asked.items()):
            with suppress(SpellbookError, OSError):
                self.started.append(runs.start(self.ctx, new).id)
                del self.asked[request_id]
        if len(self._unended()) < 2:
            self.start()

    # -- acts -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a run, as the page does."""
        pipeline = self.random.choices([DIAMOND, KINDS], [2, 1])[0]
        if len(self._unended()) >= UNENDED_RUNS:
            return
        new = NewRun(PROJECT, pipeline, "manual", Selection(is_fresh=True))
        with suppress(SpellbookError, OSError):  # the engine died while it was asked, or the disk is full: not ours
            self.started.append(runs.start(self.ctx, new).id)

    def start_by_page(self) -> None:
        """Start a run through the page, with a name for the request; who gets no answer asks again later."""
        request_id = f"{self.seed}-{len(self.acts)}"
        new = NewRun(PROJECT, DIAMOND, "api", variables={"request": request_id}, request_id=request_id)
        if len(self._unended()) >= UNENDED_RUNS or self.page.address() is None:
            return
        self.asked[request_id] = new
        body = {"request_id": request_id, "variables": dict(new.variables)}
        with suppress(httpx.HTTPError, OSError):
            answer = self.page.post(f"/api/projects/{PROJECT}/pipelines/{DIAMOND}/runs", body)
            if answer.status_code == 201:
                self.started.append(RunId(answer.json()["run_id"]))
                del self.asked[request_id]
                self.done["runs started by the page"] += 1

    def kill(self) -> None:
        """Kill the engine, a block's process wherever it is, or the process that forks them."""
        draw, after_s, is_awaited = self.random.random(), self.random.uniform(0.0, 0.1), self.random.random() < 0.5
        if draw < self.engine_share and self.kills["engine"] <= self.engine_share * self.kills.total():
            self._kill_engine(is_awaited)  # on a slow machine it is the easier victim, and would take all of it
            return
        with suppress(TimeoutError):
            wait_until(self._workers, VICTIM_S)
        select.select([], [], [], after_s)
        alive = self._workers()
        if not alive:
            return
        victim = alive[int(draw * 997) % len(alive)].pid
        parent = _parent(victim)
        if self.random.random() < 0.1 and parent is not None and "worker.zygote" in _command(parent):
            self._kill("zygote", parent)
        else:
            self._kill("worker", victim)

    def _kill_engine(self, is_awaited: bool) -> None:
        """Kill the engine; the next one who needs it starts another."""
        info = read_info(self.ctx.workspace)
        if info is not None and "engine_process" in _command(info.pid):
            self._kill("engine", info.pid)
            if is_awaited:
                with suppress(SpellbookError, OSError):
                    engines.ensure(self.ctx)

    def kill_page(self) -> None:
        """Kill the process that serves the page."""
        if self.page.address() is not None and self.page.kill():
            self.kills["page"] += 1

    def cancel(self) -> None:
        """Cancel a run."""
        unended = self._unended()
        if unended:
            with suppress(SpellbookError, OSError):
                runs.cancel(self.ctx, unended[int(self.random.random() * len(unended))])

    def edit(self) -> None:
        """Save a block as one of two clients, each of which knows only what it read last."""
        at = self.random.randrange(2)
        text = SCRATCH.format(number=len(self.acts))
        told = (self.ctx, PROJECT, EDITED, BlockUuid("scratch"), text)
        with suppress(ChangedOnDiskError, SpellbookError):
            blocks.save_source(*told, expected_hash=self._texts[at][1])
            self.saved_text = text
            self.done["saves"] += 1
        self._texts[at] = self._text()

    def edit_pipeline(self) -> None:
        """Save the pipeline's own file, likewise."""
        at, text = self.random.randrange(2), f"edited {len(self.acts)}"
        told = (self.ctx, PROJECT, EDITED, lambda file: replace(file, description=text))
        with suppress(ChangedOnDiskError, SpellbookError):
            pipelines.edit(*told, expected_hash=self._files[at])
            self.saved_description = text
            self.done["saves"] += 1
        self._files[at] = self._pipeline()

    def intrude(self) -> None:
        """Try what must have no effect: a request without the token, and a name that leads outside."""
        with suppress(SpellbookError):
            files.write(self.ctx, PROJECT, "../../../outside", "", expected_hash="absent")
        with suppress(httpx.HTTPError, OSError):
            path = f"/api/projects/{PROJECT}/pipelines/{DIAMOND}/runs"
            if self.page.post(path, {"variables": {"by": "a stranger"}}, with_token=False).status_code < 400:
                self.done["LET IN"] += 1

    def fill_disk(self) -> None:
        """Let no file of the workspace change for a while."""
        self._room_at = time.monotonic() + self.random.uniform(0.1, 1.5)
        self.world.fill_disk(True)
        self.done["times the disk was full"] += 1

    def _free_disk_when_due(self) -> None:
        if self._room_at is not None and time.monotonic() >= self._room_at:
            self.free_disk()

    def free_disk(self) -> None:
        """Let files change again."""
        self.world.fill_disk(False)
        self._room_at = None

    def jump_clock(self) -> None:
        """Put the wall clock forward or backward, by an hour or a day."""
        self.world.jump(self.random.choice([-86_400, -3_600, 3_600, 86_400]))
        self.done["jumps of the clock"] += 1

    # -- what is there --------------------------------------------------------------------------------------------

    def _workers(self) -> list[ProcessIdentity]:
        found = [a.process for run in self._unended() for a in self.ctx.store.attempts(run) if a.process is not None]
        return [process for process in found if is_alive(process)]

    def _text(self) -> tuple[str, str]:
        found = blocks.source(self.ctx, PROJECT, EDITED, BlockUuid("scratch"))
        return found.text, found.content_hash

    def _pipeline(self) -> str:
        return pipelines.load(self.ctx, PROJECT, EDITED).content_hash

    def _unended(self) -> list[RunId]:
        return [found.id for found in self.ctx.store.unended_runs()]

    def _kill(self, what: str, pid: int) -> None:
        process = identity(pid)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.kills[what] += 1
        if process is not None and what != "worker":
            wait_until(lambda: not is_alive(process), what=f"the {what} is dead")

    # -- the end --------------------------------------------------------------------------------------------------

    def settle(self) -> tuple[float, float]:
        """Stop killing; return after how many seconds no state was wrong any more, and all runs had ended.

        Nothing is restarted but what was killed: an engine that lived through a full disk has to come back to itself.
        """
        began = time.monotonic()
        self.free_disk()
        engines.ensure(self.ctx)
        wait_until(lambda: not self._lost(), SETTLE_S, what=f"what is lost is told: {self._lost()}")
        told_s = time.monotonic() - began
        wait_until(lambda: not self._unended(), END_S, what=f"runs {self._unended()} end")
        ended_s = time.monotonic() - began
        self._ensure_work()  # also what was asked of a page that died; then all of it is started anew
        engines.stop(self.ctx)
        self.page.end()
        engines.ensure(self.ctx)
        wait_until(lambda: not self._unended(), END_S, what=f"runs {self._unended()} end")
        return told_s, ended_s

    def _lost(self) -> list[str]:
        found = []
        for run_id in self._unended():
            processes = {a.block_run_id: a.process for a in self.ctx.store.attempts(run_id)}
            for each in runs.block_runs(self.ctx, run_id):
                process = processes.get(each.id)
                if each.status.value == "running" and process is not None and not is_alive(process):
                    found.append(f"{each.key} of run {run_id}")
        return found

    def close(self) -> None:
        """End the engine and the page."""
        self.free_disk()
        self.page.end()
        engines.stop(self.ctx)
        self.ctx.close()


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return None


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""
