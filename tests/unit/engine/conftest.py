"""A runner with an executor whose attempts do what the test says: no process, no waiting."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest

from spellbook_core.clock import to_text
from spellbook_core.engine.ports import Exited, Sealed, Started
from spellbook_core.engine.runner import Runner
from spellbook_core.model.outcome import ErrorReport, Outcome
from spellbook_core.model.run import NewRun
from spellbook_core.model.task import LOCK_FILE


class FakeExecutor:
    """Starts nothing: the test says what happens to each attempt."""

    def __init__(self, clock):
        self.clock = clock
        self.prepared, self.tasks, self.cancelled, self.events = [], {}, [], []
        self.folders = {}
        self.begins = True  # as a worker that has reached user code

    def prepare(self, environment):
        self.prepared.append(environment)

    def submit(self, task, attempt_dir, *, ahead=()):
        self.tasks[task.block] = task
        self.folders[task.block] = attempt_dir
        if self.begins:
            (attempt_dir / LOCK_FILE).write_text("1")
        return {"block": task.block}

    def fileno(self):
        return -1

    def poll(self, timeout_s):
        events, self.events = self.events, []
        return events

    def cancel(self, handle, grace_s):
        self.cancelled.append(handle["block"])

    def adopt(self, handle):
        return False

    def close(self):
        pass

    def started(self, block):
        task = self.tasks[block]
        self.events.append(Started(task.block_run_id, task.attempt, {"block": block}, os.getpid()))

    def seal(self, block, error=None, is_met=None):
        at = to_text(self.clock.now())
        outcome = Outcome((), (), error, at, at, 0.5, 0.1, 1000, is_met=is_met)
        (self.folders[block] / "outcome.json").write_text(json.dumps(outcome.to_json()))

    def sealed(self, block, error=None, reason=None):
        self.seal(block, error)
        task = self.tasks[block]
        self.events.append(Sealed(task.block_run_id, task.attempt, reason))

    def exited(self, block, **facts):
        task = self.tasks[block]
        self.events.append(Exited(task.block_run_id, task.attempt, **{"exit_status": 0, **facts}))

    def completes(self, block, is_met=None):
        self.seal(block, is_met=is_met)
        self.exited(block)

    def fails(self, block, code="SB-WRK-001"):
        self.seal(block, ErrorReport(code, "no", "fix", exception="ValueError: no"))
        self.exited(block)


@pytest.fixture
def executor(clock):
    return FakeExecutor(clock)


@pytest.fixture
def events():
    return []


@pytest.fixture
def runner(context, executor, clock, settings, events):
    settings = dataclasses.replace(settings, max_parallel_blocks=2)
    made = Runner(context.workspace, context.store, executor, clock, settings, events.append)
    yield made
    made.close()


@pytest.fixture
def start(context, runner, clock):
    def begin(**changes):
        run = context.store.create_run(
            NewRun(**{"project": "demo", "pipeline": "main", "trigger": "manual", **changes}), now=clock.now()
        )
        runner.take_new()
        return run

    return begin
