"""A disk that is full for a while under an engine that lives on: when there is room again, every run ends, once.

The kernel refuses: no file may grow (RLIMIT_FSIZE), so the run store and the files of attempts fail for real.
"""

from __future__ import annotations

import random
import resource
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress

import pytest

from spellbook_core.engine.runner import LOOK_S
from spellbook_core.errors import StorageError
from spellbook_core.model.run import NewRun, Status
from tests.conftest import PASS_ON, BlockFile, chain, make_project
from tests.unit.engine.conftest import FakeExecutor

pytestmark = pytest.mark.guarantee("F8")
NEW = NewRun("demo", "main", "manual")


@contextmanager
def full_disk():
    """Have every write of this process refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Counting(FakeExecutor):
    """Remembers every attempt that was ever submitted."""

    def __init__(self, clock):
        super().__init__(clock)
        self.submitted = Counter()
        self.before_submit = lambda: None

    def submit(self, task, attempt_dir, *, ahead=()):
        self.before_submit()
        self.submitted[task.block_run_id, task.attempt] += 1
        return super().submit(task, attempt_dir)


@pytest.fixture
def executor(clock):
    return Counting(clock)


def guarded(step):
    """Do one step as the engine's loop does: what the disk refuses is logged, and the engine goes on."""
    with suppress(StorageError):
        step()


def beat(runner, clock):
    clock.advance(LOOK_S + 1)
    runner.look_again()
    runner.take_new()
    runner.on_time()


def statuses(context, run):
    return {found.block: found.status.value for found in context.store.block_runs(run.id)}


def test_run_whose_end_could_not_be_stored_ends_later(context, tmp_path, start, runner, executor, clock):
    make_project(tmp_path, blocks=chain(1))
    run = start()
    executor.completes("b0")
    with full_disk():
        guarded(runner.on_executor)
        guarded(lambda: beat(runner, clock))
    assert context.store.run(run.id).status is Status.RUNNING
    beat(runner, clock)
    assert context.store.run(run.id).status is Status.COMPLETED


def test_no_end_is_forgotten_that_came_while_the_disk_was_full(context, tmp_path, start, runner, executor, clock):
    """Two attempts ended in one breath; the first one could not be stored."""
    blocks = {name: BlockFile("", "data_loader") for name in ("left", "right")}
    make_project(tmp_path, blocks=blocks)
    run = start()
    for block in blocks:
        executor.completes(block)
    with full_disk():
        guarded(runner.on_executor)
    beat(runner, clock)
    assert statuses(context, run) == {"left": "completed", "right": "completed"}
    assert context.store.run(run.id).status is Status.COMPLETED


def test_blocks_that_cannot_start_while_the_disk_is_full_fail_with_the_reason(
    context, tmp_path, runner, executor, clock
):
    """Their attempts were stored, then the disk filled up: none of them stays running."""
    make_project(tmp_path, blocks={name: BlockFile("", "data_loader") for name in ("left", "right")})
    run = context.store.create_run(NEW, now=clock.now())
    with ExitStack() as disk:
        executor.before_submit = lambda: disk.enter_context(full_disk())
        guarded(runner.take_new)
    assert statuses(context, run) == {"left": "running", "right": "running"}
    beat(runner, clock)
    found = context.store.block_runs(run.id)
    assert [(each.status, "File too large" in each.error.message) for each in found] == [(Status.FAILED, True)] * 2
    assert context.store.run(run.id).status is Status.FAILED


def test_run_whose_end_alone_was_refused_ends_later(context, tmp_path, start, runner, executor, clock, monkeypatch):
    """The disk fills up between the end of the last block and the end of the run."""
    make_project(tmp_path, blocks=chain(1))
    run = start()
    executor.completes("b0")
    end_run = context.store.end_run

    def refused(*told, **facts):
        with full_disk():
            end_run(*told, **facts)

    with monkeypatch.context() as patch:
        patch.setattr(context.store, "end_run", refused)
        guarded(runner.on_executor)
    assert statuses(context, run) == {"b0": "completed"}
    assert context.store.run(run.id).status is Status.RUNNING
    beat(runner, clock)
    assert context.store.run(run.id).status is Status.COMPLETED


@pytest.mark.parametrize("seed", range(15))
def test_every_run_ends_when_there_is_room_again(context, tmp_path, runner, executor, clock, seed):
    chance = random.Random(seed)
    blocks = {
        "load": BlockFile("", "data_loader", settings={"retry_config": {"retries": 2, "delay": 3}}),
        "side": BlockFile("", "data_loader"),
        "clean": BlockFile(PASS_ON, "transformer", ("load",)),
        "out": BlockFile(PASS_ON, "data_exporter", ("clean", "side")),
    }
    make_project(tmp_path, blocks=blocks)
    run = context.store.create_run(NEW, now=clock.now())

    def running():
        found = context.store.block_runs(run.id)
        return [each.block for each in found if each.status is Status.RUNNING and is_under_way(each)]

    def is_under_way(each):
        task = executor.tasks.get(each.block)
        folder = executor.folders.get(each.block)
        return task and task.attempt == each.attempt and not (folder / "outcome.json").exists()

    def act():
        what = chance.choice(["end", "end", "end", "fail", "time", "beat", "cancel"])
        if what == "time":
            clock.advance(2)
            return runner.on_time
        if what == "cancel" and chance.random() < 0.1:
            context.store.request_cancel(run.id, now=clock.now())
            return runner.take_new
        for block in running()[: chance.choice([1, 2])]:
            executor.fails(block) if what == "fail" else executor.completes(block)
        return runner.on_executor if what in {"end", "fail"} else lambda: beat(runner, clock)

    runner.take_new()
    for _ in range(60):
        step = act()
        if chance.random() < 0.4:
            with full_disk():
                guarded(step)
        else:
            step()
    for _ in range(20):
        if context.store.run(run.id).status.is_terminal:
            break
        for block in running():
            executor.completes(block)
        runner.on_executor()
        beat(runner, clock)
    found = context.store.block_runs(run.id)
    assert context.store.run(run.id).status.is_terminal
    assert all(each.status.is_terminal for each in found)
    assert set(executor.submitted.values()) <= {1}
    for each in found:
        assert (each.status is Status.FAILED) <= (each.error is not None)
        if each.status is Status.COMPLETED:
            assert executor.submitted[each.id, each.attempt] == 1
