"""Limits, order and policies as an engine process keeps them."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from spellbook_core.model.run import NewRun, Selection, Status
from spellbook_core.services import engines, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import BlockFile, make_project, wait_until

GATED = """
import os, pathlib, time

@custom
def work(*args, **kwargs):
    folder = pathlib.Path(kwargs["gate"])
    (folder / f"{kwargs['pipeline_run_id']}-{os.getpid()}").touch()
    deadline = time.time() + 60
    while not (folder / "open").exists() and time.time() < deadline:
        time.sleep(0.01)
    return 1
"""


def configure(tmp_path, **config):
    path = tmp_path / "projects" / "demo" / "pipelines" / "main" / "metadata.yaml"
    document = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**document, "concurrency_config": config}))


@pytest.fixture
def gate(tmp_path):
    folder = tmp_path / "gate"
    folder.mkdir()
    return folder


@pytest.fixture
def ctx(tmp_path, gate):
    blocks = {name: BlockFile(GATED, "custom") for name in ("a", "b", "c")}
    make_project(tmp_path, blocks=blocks, variables={"gate": str(gate)})
    made = open_context(tmp_path)
    yield made
    engines.stop(made)
    made.close()


def begun(gate) -> int:
    return len(list(gate.glob("*-*")))


def ended(ctx, numbers) -> list[Status]:
    return [runs.wait(ctx, number, 60).status for number in numbers]


def start(ctx, trigger="api", **changes):
    return runs.start(ctx, NewRun("demo", "main", trigger, Selection(is_fresh=True), **changes)).id


def test_limit_of_blocks_holds_and_the_waiting_block_says_so(ctx, gate, tmp_path):
    configure(tmp_path, block_run_limit=2)
    run = start(ctx)
    wait_until(lambda: begun(gate) == 2, what="two blocks run")
    waiting = wait_until(lambda: [b for b in runs.block_runs(ctx, run) if b.status is Status.QUEUED], what="one waits")
    assert [block.waiting_for for block in waiting] == ["a free place: limit 2 of pipeline main"]
    assert waiting[0].waiting_since is not None
    (gate / "open").touch()
    assert ended(ctx, [run]) == [Status.COMPLETED]
    assert begun(gate) == 3


def test_limit_of_a_project_holds_over_its_runs(ctx, gate, tmp_path):
    (tmp_path / "projects" / "demo" / "metadata.yaml").write_text("queue_config:\n  concurrency: 1\n")
    first = start(ctx)
    wait_until(lambda: begun(gate) == 1, what="one block runs")
    second = runs.run_block(ctx, "demo", "main", "a").id
    held = wait_until(lambda: [b for b in runs.block_runs(ctx, second) if b.waiting_for], what="the click waits")
    assert held[0].waiting_for == "a free place: limit 1 of project demo"
    assert begun(gate) == 1
    (gate / "open").touch()
    assert ended(ctx, [second, first]) == [Status.COMPLETED] * 2
    order = [block.started_at for number in (second, first) for block in runs.block_runs(ctx, number)]
    assert order[0] < order[-1], "who sits in front of the editor comes before the rest of the older run"


def test_second_run_waits_for_the_first_and_says_so(ctx, gate):
    first = start(ctx)
    wait_until(lambda: begun(gate) == 3, what="the first run")
    second, third = start(ctx), start(ctx, priority=5)
    wait_until(lambda: runs.get(ctx, third).waiting_for, what="both wait")
    assert runs.get(ctx, second).waiting_for == "its turn: 1 run of main at a time"
    assert runs.run_block(ctx, "demo", "main", "a").status is Status.QUEUED
    wait_until(lambda: begun(gate) == 4, what="a click does not wait for whole runs")
    (gate / "open").touch()
    assert ended(ctx, [first, second, third]) == [Status.COMPLETED] * 3
    assert runs.get(ctx, third).started_at < runs.get(ctx, second).started_at, "the higher priority goes first"
    assert runs.get(ctx, third).waiting_for is None


@pytest.mark.guarantee("F56")
@pytest.mark.parametrize(
    ("policy", "completed", "at_once"),
    [("allow", 10, 8), ("queue", 10, 3), ("skip", 1, 3), ("cancel_running", 1, 3)],
)
def test_ten_requests_at_once_end_as_the_policy_says(ctx, gate, tmp_path, policy, completed, at_once):
    configure(tmp_path, if_running=policy)
    engines.ensure(ctx)
    with ThreadPoolExecutor(5) as pool:
        numbers = list(pool.map(lambda _: start(ctx), range(10)))
    wait_until(lambda: begun(gate) >= (at_once if policy == "allow" else 3), what="blocks run")
    if policy == "queue":
        wait_until(lambda: sum(runs.get(ctx, n).waiting_for is not None for n in numbers) == 9, what="nine wait")
        assert begun(gate) == 3
    if policy == "skip":
        wait_until(lambda: sum(runs.get(ctx, n).status is Status.CANCELLED for n in numbers) == 9, what="nine skipped")
    if policy == "cancel_running":
        wait_until(lambda: all(runs.get(ctx, n).status is Status.CANCELLED for n in sorted(numbers)[:-1]), what="nine")
    (gate / "open").touch()
    found = ended(ctx, numbers)
    assert (found.count(Status.COMPLETED), found.count(Status.CANCELLED)) == (completed, 10 - completed)
    skipped = [runs.get(ctx, n).error for n in numbers if runs.get(ctx, n).error is not None]
    if policy == "skip":
        assert len(skipped) == 9
        assert all("was running already" in error.message for error in skipped)


def test_queue_survives_a_killed_engine_and_a_waiting_run_can_be_cancelled(ctx, gate):
    first = start(ctx)
    second, third = start(ctx), start(ctx)
    wait_until(lambda: runs.get(ctx, third).waiting_for and begun(gate) == 3, what="two wait")
    os.kill(engines.status(ctx).pid, signal.SIGKILL)
    runs.cancel(ctx, second)  # starts the next engine
    begun_at = time.monotonic()
    assert runs.wait(ctx, second, 300).status is Status.CANCELLED
    assert time.monotonic() - begun_at < 120, "it was not told: the wait read it at the end of its patience"
    assert runs.get(ctx, second).waiting_for is None
    assert runs.get(ctx, third).status is Status.QUEUED
    (gate / "open").touch()
    assert ended(ctx, [first, third])[1] is Status.COMPLETED


def test_own_process_starts_at_once_and_counts(ctx, gate):
    """`spellbook run` does not wait for the engine's runs; runs of the engine wait for it."""
    with ThreadPoolExecutor(1) as pool:
        own = pool.submit(
            runs.run_here, ctx, NewRun("demo", "main", "cli", Selection(is_fresh=True)), lambda event: None
        )
        wait_until(lambda: begun(gate) == 3, what="it runs")
        queued = start(ctx)
        wait_until(lambda: runs.get(ctx, queued).waiting_for, what="the engine's run waits")
        (gate / "open").touch()
        assert own.result(60).status is Status.COMPLETED
    assert ended(ctx, [queued]) == [Status.COMPLETED]


def test_a_thousand_queued_blocks_are_all_served(tmp_path):
    """100 runs of ten blocks each are queued behind a limit; each block runs once."""
    count = "@custom\ndef work(*args, **kwargs):\n    return 1\n"
    make_project(tmp_path, blocks={f"b{n}": BlockFile(count, "custom") for n in range(10)})
    configure(tmp_path, if_running="allow")
    ctx = open_context(tmp_path)
    try:
        begun_at = time.monotonic()
        numbers = [start(ctx) for _ in range(100)]
        assert ended(ctx, numbers) == [Status.COMPLETED] * 100
        attempts = [block.attempt for number in numbers for block in runs.block_runs(ctx, number)]
        assert attempts == [1] * 1000
        print(f"{1000 / (time.monotonic() - begun_at):.0f} blocks/s")
    finally:
        engines.stop(ctx)
        ctx.close()
