"""What an engine that lives long must not do: grow, or trust the clock on the wall."""

from __future__ import annotations

from datetime import timedelta

import psutil
import pytest

from spellbook_core.model.run import Selection
from tests.conftest import chain, make_project

pytestmark = pytest.mark.thorough

FRESH = Selection(is_fresh=True)


@pytest.mark.guarantee("F13")
def test_engine_does_not_grow_with_the_runs_it_carried(context, tmp_path, start, runner, executor):
    """600 runs of two blocks; what is kept after the first 200 stays."""
    make_project(tmp_path, blocks=chain(2))
    used = {}
    for number in range(1, 601):
        start(selection=FRESH)
        for block in ("b0", "b1"):
            executor.completes(block)
            runner.on_executor()
        if number in {200, 600}:
            used[number] = psutil.Process().memory_info().rss
    assert runner.is_idle
    assert used[600] < used[200] * 1.1, used


@pytest.mark.guarantee("F10")
@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(hours=1), -timedelta(hours=1), -timedelta(days=1)])
def test_clock_that_jumps_gives_no_wrong_duration(context, tmp_path, start, runner, executor, clock, jump):
    make_project(tmp_path, blocks=chain(1))
    run = start()
    clock.advance(2.0)
    clock.at += jump
    executor.exited("b0", exit_status=-11)
    runner.on_executor()
    (found,) = context.store.block_runs(run.id)
    assert found.duration_s == 2.0
    assert context.store.run(run.id).duration_s >= 0
