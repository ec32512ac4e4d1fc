"""Whatever fails, is killed, restarted or cancelled while blocks wait: every run ends, and no attempt is made twice."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter

import pytest

from spellbook_core.engine.runner import Runner
from spellbook_core.model.run import NewRun, Status
from tests.conftest import BlockFile, make_project
from tests.unit.engine.conftest import FakeExecutor

pytestmark = pytest.mark.thorough

LIMIT = 2
RETRIES = 2


class Recording(FakeExecutor):
    """Remembers every attempt that was ever submitted, over all runners."""

    submitted: Counter

    def submit(self, task, attempt_dir, *, ahead=()):
        self.submitted[task.block, task.attempt] += 1
        return super().submit(task, attempt_dir)


def retried():
    return {"retry_config": {"retries": RETRIES, "delay": 3, "max_delay": 600}}


def blocks():
    return {
        "look": BlockFile("", "sensor", settings={"configuration": {"poll_interval": 5, "timeout": 60}}),
        "load": BlockFile("", "data_loader", settings=retried()),
        "clean": BlockFile("", "transformer", ("load", "look"), settings=retried()),
        "out": BlockFile("", "data_exporter", ("clean",), settings=retried()),
        "side": BlockFile("", "data_loader"),
    }


@pytest.mark.parametrize("seed", range(20))
def test_every_run_ends_and_no_attempt_is_made_twice(tmp_path, context, clock, settings, seed):
    chance = random.Random(seed)
    submitted = Counter()
    settings = dataclasses.replace(settings, max_parallel_blocks=LIMIT)
    make_project(tmp_path, blocks=blocks())

    def new_runner():
        executor = Recording(clock)
        executor.submitted = submitted
        return executor, Runner(context.workspace, context.store, executor, clock, settings, lambda event: None)

    executor, runner = new_runner()
    run = context.store.create_run(NewRun("demo", "main", "manual"), now=clock.now())
    runner.take_new()
    for _ in range(400):
        if context.store.run(run.id).status.is_terminal:
            break
        running = [b.block for b in context.store.block_runs(run.id) if b.status is Status.RUNNING]
        assert len(running) <= LIMIT
        what = chance.choice(["end", "end", "fail", "time", "time", "kill", "restart"])
        if what == "restart":
            runner.close()
            executor, runner = new_runner()
            runner.take_new()
        elif what == "time" or not running:
            clock.advance(chance.choice([1, 4, 10]))
            runner.on_time()
        else:
            block = chance.choice(running)
            if block not in executor.tasks:
                continue  # of the runner before: its process is watched, or it was found lost
            if what == "end":
                executor.completes(block, is_met=chance.random() < 0.3 if block == "look" else None)
            elif what == "fail":
                executor.fails(block)
            else:
                executor.exited(block, exit_status=-9)
            runner.on_executor()
        if chance.random() < 0.01:
            context.store.request_cancel(run.id, now=clock.now())
            runner.take_new()
    runner.close()
    found = context.store.block_runs(run.id)
    assert context.store.run(run.id).status.is_terminal
    assert all(block_run.status.is_terminal for block_run in found)
    assert set(submitted.values()) == {1}
    for block_run in found:
        assert block_run.retried <= (0 if block_run.block in {"look", "side"} else RETRIES)
        made = sorted(attempt for block, attempt in submitted if block == block_run.block)
        assert made == list(range(1, block_run.attempt + 1))
        assert (block_run.status is Status.COMPLETED) <= bool(made)
