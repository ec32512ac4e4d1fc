"""How fast the engine is, against forking by hand: interleaved medians of one run."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from spellbook_core.engine.messages import encode
from spellbook_core.model.run import NewRun, Selection, Status
from spellbook_core.services import engines, runs
from spellbook_core.services.wiring import open_context
from spellbook_core.worker.preload import ENVIRONMENT
from tests.conftest import chain, make_project, wait_until

pytestmark = pytest.mark.benchmark_table

ROUNDS = 31
CHAIN = 10
FLOOR = """
import gc, json, os, sys, time
import pandas, pyarrow.dataset, pyarrow.compute, pyarrow.parquet, duckdb
duckdb.default_connection().close()
gc.collect(); gc.freeze()
folder = sys.argv[1]
print('ready', flush=True)
for line in sys.stdin:
    begun = time.perf_counter()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with open(folder + '/outcome.tmp', 'w') as file:
            json.dump({'outputs': [], 'error': None}, file)
        os.rename(folder + '/outcome.tmp', folder + '/outcome.json')
        os.write(writer, b'x')
        os._exit(0)
    os.read(reader, 1)
    with open(folder + '/outcome.json') as file:
        json.load(file)
    print(time.perf_counter() - begun, flush=True)
    os.waitpid(child, 0)
    os.close(reader); os.close(writer)
os._exit(0)  # a normal exit prints pages of nanobind's leak reports
"""


class Listener:
    """A process like the page's: subscribed to the engine, reads results from the run store."""

    def __init__(self, ctx):
        self.ctx = ctx
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(60)
        self.connection.connect(engines.event_socket(ctx))
        self.connection.sendall(encode({"op": "subscribe"}))
        self.lines = self.connection.makefile("rb")

    def wait(self, kind: str, run_id: int, status: str = "completed") -> dict[str, object]:
        for line in self.lines:
            event = json.loads(line)
            if (event["kind"], event["run_id"], event.get("status")) == (kind, run_id, status):
                return event
        raise EOFError("the engine closed the connection")

    def close(self):
        self.lines.close()
        self.connection.close()


@pytest.fixture
def floor(tmp_path):
    """A function that returns the seconds of one fork, write, rename and read."""
    process = subprocess.Popen(
        [sys.executable, "-c", FLOOR, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **ENVIRONMENT},
    )
    assert process.stdout.readline() == "ready\n"

    def measure() -> float:
        process.stdin.write("\n")
        process.stdin.flush()
        return float(process.stdout.readline())

    yield measure
    process.stdin.close()
    process.wait()
    process.stdout.close()


@pytest.fixture
def ctx(tmp_path):
    make_project(tmp_path, blocks=chain(1), pipeline="one")
    make_project(tmp_path, blocks=chain(CHAIN), pipeline="chain")
    made = open_context(tmp_path)
    yield made
    engines.stop(made)
    made.close()


@pytest.fixture
def listener(ctx):
    made = Listener(ctx)
    yield made
    made.close()


def settle(ctx) -> None:
    """Wait until the warm processes have stopped working, so that one measurement does not pay for another."""
    engine = psutil.Process(engines.status(ctx).pid)

    def used() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in [engine, *engine.children(recursive=True)])

    def is_quiet() -> bool:
        try:
            before = used()
            begun = time.monotonic()
            wait_until(lambda: time.monotonic() - begun > 0.05)
            return used() - before < 0.005
        except psutil.NoSuchProcess:  # a block's process that had still been leaving
            return False

    wait_until(is_quiet, 20.0, what="the warm processes are quiet")


def one_block(ctx, listener) -> tuple[float, float]:
    """Return seconds from the click, and from the command at the engine, until the result was read."""
    clicked = time.perf_counter()
    new = NewRun("demo", "one", "notebook", Selection(("b0",), is_fresh=True))
    runs.prepare(ctx.workspace, ctx.store, new)
    with engines.connected(ctx) as send:
        run = ctx.store.create_run(new, now=ctx.clock.now())
        accepted = time.perf_counter()
        send({"op": "wake"})
    event = listener.wait("block_run", run.id)
    assert runs.block_run(ctx, event["block_run_id"]).status is Status.COMPLETED
    seen = time.perf_counter()
    listener.wait("run", run.id)
    return seen - clicked, seen - accepted


def test_warm_block_is_near_the_floor(ctx, listener, floor, report_row):
    for _ in range(3):
        one_block(ctx, listener)
        floor()
    clicks, ours, floors = [], [], []
    for _ in range(ROUNDS):
        settle(ctx)
        floors.append(floor())
        click, accepted = one_block(ctx, listener)
        clicks.append(click)
        ours.append(accepted)
    low = statistics.median(floors)
    what = "warm no-op block: command accepted by the engine, result visible to the page's process"
    report_row(what, ours=statistics.median(ours) * 1000, floor=low * 1000, unit="ms", bound=2.5)
    what = "warm no-op block: click (checks and insert included), result visible"
    report_row(what, ours=statistics.median(clicks) * 1000, floor=low * 1000, unit="ms", bound=None)


def test_warm_chain_is_near_ten_floors(ctx, listener, floor, report_row):
    new = NewRun("demo", "chain", "manual", Selection(is_fresh=True))

    def whole() -> float:
        begun = time.perf_counter()
        run = runs.start(ctx, new)
        listener.wait("run", run.id)
        return time.perf_counter() - begun

    whole()
    ours, floors = [], []
    for _ in range(ROUNDS // 3):
        settle(ctx)
        floors.append(sum(floor() for _ in range(CHAIN)))
        ours.append(whole())
    what = f"Run pipeline now: chain of {CHAIN} no-op blocks, warm engine"
    report_row(what, ours=statistics.median(ours) * 1000, floor=statistics.median(floors) * 1000, unit="ms", bound=3.0)


def test_engine_time_per_block(ctx, listener, report_row):
    """The engine process's own processor time, all bookkeeping included; 2 ms is the goal of ENGINE.md B8."""
    new = NewRun("demo", "chain", "manual", Selection(is_fresh=True))
    for _ in range(3):
        listener.wait("run", runs.start(ctx, new).id)
    settle(ctx)
    engine = psutil.Process(engines.status(ctx).pid)
    before = sum(engine.cpu_times()[:2])
    for _ in range(ROUNDS):
        listener.wait("run", runs.start(ctx, new).id)
    used = sum(engine.cpu_times()[:2]) - before
    ours = used / (ROUNDS * CHAIN) * 1000
    report_row("engine process: CPU per block", ours=ours, floor=None, unit="ms", bound=2.0)


def test_lists_stay_quick_over_many_runs(ctx, report_row):
    """A page of runs and a notebook's state, with 10,000 runs stored, against the same with 10."""
    from spellbook_core.runs.records import BlockEnd, BlockSpec, NewBlockRun

    def fill(count: int) -> None:
        with ctx.store.transaction():
            for _ in range(count):
                run = ctx.store.create_run(NewRun("demo", "one", "manual"), now=ctx.clock.now())
                block = NewBlockRun("b0", "data_loader", "", "", "h", BlockSpec())
                (number,) = ctx.store.begin_run(run.id, [block], now=ctx.clock.now())
                ctx.store.end_block(number, BlockEnd(Status.COMPLETED, ctx.clock.now()))
                ctx.store.end_run(run.id, Status.COMPLETED, None, now=ctx.clock.now())

    def look() -> float:
        begun = time.perf_counter()
        runs.list_runs(ctx, project="demo", pipeline="one", limit=50)
        runs.list_runs(ctx, statuses=(Status.FAILED,), limit=50)
        runs.latest_block_runs(ctx, "demo", "one")
        runs.latest_outputs(ctx, "demo", "one")
        ctx.store.unended_runs()
        return time.perf_counter() - begun

    fill(60)
    few = statistics.median(look() for _ in range(ROUNDS))
    fill(10_000)
    many = statistics.median(look() for _ in range(ROUNDS))
    assert Path(ctx.workspace.database_path).stat().st_size > 0
    what = "run lists and a notebook's state over 10,000 runs (floor: over 60)"
    report_row(what, ours=many * 1000, floor=few * 1000, unit="ms", bound=3.0)
