"""Blocks of every kind in the runner: whatever ends, fails, waits, is cancelled, lost or restarted, in any order."""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter

import pytest

from spellbook_core.clock import to_text
from spellbook_core.engine.ports import Exited
from spellbook_core.engine.runner import LOOK_S, Runner
from spellbook_core.model.children import node_key
from spellbook_core.model.outcome import ErrorReport, Outcome
from spellbook_core.model.output import ArtifactRef, Item, OutputInfo, OutputKind
from spellbook_core.model.run import NewRun, Selection, Status
from spellbook_core.model.task import LOCK_FILE
from tests.conftest import BlockFile, make_project
from tests.engine.test_block_kinds import add_ons
from tests.unit.engine.conftest import FakeExecutor

pytestmark = pytest.mark.thorough

LIMIT = 3
ITEMS = 3
BEFORE = {
    "items": ["look"],
    "each": ["items"],
    "then": ["each"],
    "deep": ["each"],
    "deeper": ["deep"],
    "all": ["then", "side", "holds@all"],
    "out": ["all"],
}
"""Block -> what must have completed before it; of a child, the child of the same item."""
DEPTH = {"then": "each", "deep": "each", "deeper": "deep"}
"""Block of which a child follows one child of another."""


def retried():
    return {"retry_config": {"retries": 2, "delay": 3, "max_delay": 600}}


def make(tmp_path, *, is_nested):
    dynamic, reduced = {"configuration": {"dynamic": True}}, {"configuration": {"reduce_output": True}}
    blocks = {
        "look": BlockFile("", "sensor", settings={"configuration": {"poll_interval": 5}}),
        "items": BlockFile("", "data_loader", ("look",), settings={**dynamic, **retried()}),
        "each": BlockFile("", "transformer", ("items",), settings=retried()),
        "then": BlockFile("", "transformer", ("each",), settings=reduced),
        "side": BlockFile("", "data_loader"),
        "all": BlockFile("", "custom", ("then", "side"), settings=retried()),
        "out": BlockFile("", "data_exporter", ("all",)),
    }
    if is_nested:
        blocks["each"] = BlockFile("", "transformer", ("items",), settings={**dynamic, **retried()})
        blocks["deep"] = BlockFile("", "transformer", ("each",), settings={**dynamic, **retried()})
        blocks["deeper"] = BlockFile("", "transformer", ("deep",), settings=reduced)
        blocks["all"] = BlockFile("", "custom", ("deeper", "side"))
        del blocks["then"]
    project = make_project(tmp_path, blocks=blocks)
    heard = "@callback('success', 'failure', 'cancelled')\ndef f(*args, **kwargs):\n    pass\n"
    condition = "@condition\ndef f(*args, **kwargs):\n    return True\n"
    add_ons(
        project,
        conditionals=[("holds", condition, ["all"]), ("fits", condition, ["each"])],
        callbacks=[("tell", heard, ["deep" if is_nested else "each"]), ("told", heard, ["all"])],
    )


class Attempts(FakeExecutor):
    """Knows every attempt that was ever submitted, by block run, over all runners; and what must hold when one is."""

    def __init__(self, clock, context, made, sealed):
        super().__init__(clock)
        self.context, self.made, self.sealed = context, made, sealed
        self.under_way = {}

    def submit(self, task, attempt_dir, *, ahead=()):
        number = task.block_run_id
        assert number not in self.sealed, f"{task.block} had sealed its success"
        self.made[number, task.attempt] += 1
        self.under_way[number] = (task, attempt_dir)
        (attempt_dir / LOCK_FILE).write_text("1" if self.begins else "")
        rows = {each.key: each for each in self.context.store.block_runs(task.run_id)}
        if not task.hangs_on:
            for name in BEFORE.get(task.block, ()):
                if name not in rows:
                    continue
                child = task.child if DEPTH.get(task.block) == name else ""
                if task.block in {"deep", "deeper"}:
                    child = child.rpartition(":")[0]
                    before = [row for row in rows.values() if row.block == task.block and row.child]
                    assert sorted(before, key=lambda row: places(row.child)) == before, "they are made in their order"
                    assert task.child_index == [row.child for row in before].index(task.child)
                parent = rows[node_key(name, child) if "@" not in name else name]
                assert parent.status is Status.COMPLETED, f"{task.block} before {parent.key}"
        return {"block": task.block, "number": number}

    def cancel(self, handle, grace_s):
        if handle["number"] in self.under_way:
            task, _ = self.under_way[handle["number"]]
            self.events.append(Exited(task.block_run_id, task.attempt, None, reason="cancelled"))
            del self.under_way[handle["number"]]

    def end(self, number, how, *, is_told=True):
        """Have an attempt succeed, fail, be lost, or be killed before it began."""
        task, folder = self.under_way.pop(number)
        if how in {"done", "failed"}:
            error = ErrorReport("SB-WRK-001", "no", "fix", exception="ValueError: no") if how == "failed" else None
            outputs = (output(task),) if error is None else ()
            at = to_text(self.clock.now())
            is_met = {"sensor": chance_of(task, 3), "conditional": chance_of(task, 10)}.get(task.block_type)
            outcome = Outcome(outputs, (), error, at, at, 0.5, 0.1, 1000, is_met=is_met)
            (folder / "outcome.json").write_text(json.dumps(outcome.to_json()))
            if error is None and task.block_type != "sensor":
                self.sealed.add(number)
        if how == "unbegun":
            (folder / LOCK_FILE).write_text("")
        if is_told:
            self.events.append(Exited(task.block_run_id, task.attempt, -9 if how in {"lost", "unbegun"} else 0))


def chance_of(task, count):
    """Return whether a sensor or condition is true: mostly; the same for the same attempt."""
    if task.block_type == "sensor":
        return task.attempt % count == 0
    return random.Random(f"{task.block_run_id}-{task.run_id}").randrange(count) > 0


def output(task):
    count = {"items": ITEMS, "each": 1 + task.block_run_id % 2, "deep": task.block_run_id % 3}.get(task.block)
    items = None if count is None else tuple(Item(f"d{number}") for number in range(count))
    ref = ArtifactRef(f"{task.block_run_id:032x}", "json")
    return OutputInfo(0, ref, OutputKind.JSON, "int", None, (), 1, "1", items=items)


def places(child):
    return [int(number) for number in child.split(":")]


@pytest.mark.parametrize(("seed", "is_nested"), [*((n, False) for n in range(24)), *((n, True) for n in range(30))])
def test_run_of_every_kind_ends_and_no_attempt_is_made_twice(tmp_path, context, clock, settings, seed, is_nested):
    chance = random.Random(seed)
    calm = chance.choice([30, 100] if is_nested else [6, 30, 100])
    made, sealed = Counter(), set()
    settings = dataclasses.replace(settings, max_parallel_blocks=LIMIT)
    make(tmp_path, is_nested=is_nested)

    def new_runner():
        executor = Attempts(clock, context, made, sealed)
        told = (context.workspace, context.store, executor, clock, settings, lambda event: None)
        return executor, Runner(*told)

    executor, runner = new_runner()
    new = NewRun("demo", "main", "manual", Selection(is_fresh=True))
    run = context.store.create_run(new, now=clock.now())
    runner.take_new()
    is_cancelled = False
    for _ in range(1200):
        if context.store.run(run.id).status.is_terminal:
            break
        running = [each for each in context.store.block_runs(run.id) if each.status is Status.RUNNING]
        assert len([each for each in running if each.children is None and each.attempt]) <= LIMIT
        what = chance.choice([*["done"] * calm, *["unbegun", "time"] * 3, *["restart"] * 2, "failed", "lost", "cancel"])
        if what == "restart":
            for number in list(executor.under_way):  # some are done while nobody leads, the others die with the engine
                executor.end(number, chance.choice([*["done", "unbegun"] * 3, "lost"]), is_told=False)
            runner.close()
            executor, runner = new_runner()
            runner.take_new()
        elif what == "cancel" and not is_cancelled and chance.random() < 0.4:
            is_cancelled = True
            before = set(made)
            context.store.request_cancel(run.id, now=clock.now())
            clock.advance(LOOK_S + 1)
            runner.take_new()
            runner.on_executor()
            types = {each.id: each.block_type for each in context.store.block_runs(run.id)}
            assert {types[number] for number, _ in set(made) - before} <= {"callback"}, "a cancel starts nothing else"
        elif executor.under_way and what not in {"time", "cancel"}:
            executor.end(chance.choice(sorted(executor.under_way)), what)
            runner.on_executor()
        else:
            clock.advance(chance.choice([1, 5]))
            runner.on_time()
            runner.take_new()
    runner.close()
    found = {each.key: each for each in context.store.block_runs(run.id)}
    ended = context.store.run(run.id).status
    assert ended.is_terminal, {key: (each.status.value, each.waiting_for) for key, each in found.items()}
    assert all(each.status.is_terminal for each in found.values())
    assert set(made.values()) == {1}
    for each in found.values():
        assert sorted(attempt for number, attempt in made if number == each.id) == list(range(1, each.attempt + 1))
        assert (each.id in sealed) <= (each.status is not Status.FAILED or each.block_type == "conditional")
        if each.id in sealed and each.block_type != "conditional":
            assert each.status is Status.COMPLETED, f"{each.key} had sealed its success"
    plain = {each.status for each in found.values() if each.block_type != "callback"}
    assert (ended is Status.COMPLETED) == (plain <= {Status.COMPLETED, Status.CONDITION_FAILED})
    for block in ("each",) if is_nested else ("each", "then"):
        if found[block].status is Status.COMPLETED and ended is Status.COMPLETED:
            assert {key for key in found if key.startswith(f"{block}:")} == {f"{block}:{n}" for n in range(ITEMS)}
