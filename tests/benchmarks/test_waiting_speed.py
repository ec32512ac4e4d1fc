"""What waiting costs: an engine that holds a thousand due times has nothing to do until one comes."""

from __future__ import annotations

import threading
from datetime import timedelta

import psutil
import pytest

from spellbook_core.model.retry import RetryPolicy
from spellbook_core.model.run import NewRun
from spellbook_core.runs.records import AttemptEnd, BlockSpec, NewBlockRun, Waiting
from spellbook_core.services import engines
from spellbook_core.services.wiring import open_context
from tests.conftest import BlockFile, make_project, wait_until

pytestmark = pytest.mark.benchmark_table

TIMERS = 1000
WINDOW_S = 20.0
"""Four heartbeats of the engine."""


@pytest.fixture
def ctx(tmp_path):
    make_project(tmp_path, blocks={"load": BlockFile("", "data_loader"), "look": BlockFile("", "sensor")})
    made = open_context(tmp_path)
    yield made
    engines.stop(made)
    made.close()


def test_idle_engine_with_a_thousand_timers(ctx, report_row):
    """Half of them retry delays, half sensors that wait; each in a run of its own, read back after a restart."""
    now = ctx.clock.now()
    retry = RetryPolicy(retries=3, delay_s=2 * 3600, max_delay_s=24 * 3600)  # nothing waits longer than it may
    with ctx.store.transaction():
        for number in range(TIMERS):
            name, kind = ("load", "data_loader") if number % 2 else ("look", "sensor")
            run = ctx.store.create_run(NewRun("demo", "main", "manual"), now=now)
            spec = BlockSpec(relative_path=f"{kind}s/{name}.py", retry=retry, configuration={"poll_interval": 2 * 3600})
            block = NewBlockRun(name, kind, "", "", "h", spec)
            (block_run_id,) = ctx.store.begin_run(run.id, [block], now=now)
            attempt = ctx.store.start_attempt(block_run_id, now=now)
            ended = AttemptEnd(attempt, now, now, 0.1, None)
            due_at = now + timedelta(hours=1, seconds=number)
            ctx.store.postpone_block(block_run_id, Waiting("retry 1 of 3", now, due_at, 1, ended))
    engines.ensure(ctx)
    engine = psutil.Process(engines.status(ctx).pid)
    wait_until(lambda: engines.status(ctx).heartbeat_at is not None, what="the engine leads")
    quiet = threading.Event()
    quiet.wait(WINDOW_S / 2)  # it has read the runs back
    before = sum(engine.cpu_times()[:2])
    quiet.wait(WINDOW_S)
    share = (sum(engine.cpu_times()[:2]) - before) / WINDOW_S * 100
    what = f"engine idle with {TIMERS:,} armed timers: share of one core (floor: 1 %)"
    report_row(what, ours=share, floor=1.0, unit="%", bound=1.0)
    assert engines.status(ctx).workers == 0
    assert len(ctx.store.unended_runs()) == TIMERS
    assert engine.memory_info().rss < 400 * 1024**2
