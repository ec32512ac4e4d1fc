from __future__ import annotations

import json
import os
import random
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from spellbook_core.artifacts import sweep
from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.executors import building
from spellbook_core.model.run import NewRun, Selection, Status
from spellbook_core.project.layout import Workspace
from spellbook_core.runs.records import BlockEnd, BlockSpec, Fingerprint, NewBlockRun
from spellbook_core.runs.store import RunNotFoundError
from spellbook_core.services import environments, housekeeping
from spellbook_core.services.wiring import Context
from spellbook_core.settings import Settings
from tests.conftest import FrozenClock, chain, make_project

DAY = timedelta(days=1)


@pytest.fixture
def ctx(tmp_path):
    make_project(tmp_path, blocks=chain(2), pipeline="main")
    made = Context(Workspace.open(tmp_path), Settings(), FrozenClock(datetime.now(UTC)))
    yield made
    made.close()


def ran(ctx, *, days, value, block="b0", pipeline="main", trigger="manual", fingerprint=None, modules=""):
    """Store a run of `days` ago whose block returned `value`; return the run's id and the output."""
    at = ctx.clock.now() - days * DAY
    output = ctx.artifacts.put(value)
    age(ctx, output, days)
    run = ctx.store.create_run(NewRun("demo", pipeline, trigger), now=at)
    planned = NewBlockRun(block, "data_loader", "", f"# {value}", f"code of {value}", BlockSpec())
    (number,) = ctx.store.begin_run(run.id, [planned], now=at)
    attempt = ctx.store.start_attempt(number, now=at)
    folder = ctx.workspace.attempt_dir(run.id, number, attempt)
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_text("x" * 1000)
    known = None if fingerprint is None else Fingerprint(fingerprint, f'{{"modules":"{modules}"}}', {}, {})
    if modules:
        known = replace(known, meanings={modules: '{"a.py":"' + "c" * 32 + '"}', "c" * 32: "{}"})
    ctx.store.end_block(number, BlockEnd(Status.COMPLETED, at, outputs=(output,), fingerprint=known))
    ctx.store.end_run(run.id, Status.COMPLETED, None, now=at)
    return run.id, output.artifact


def age(ctx, output, days):
    folder = ctx.artifacts.folder(output.artifact)
    then = (ctx.clock.now() - days * DAY).timestamp()
    for path in [*folder.iterdir(), folder]:
        os.utime(path, (then, then))


def exists(ctx, run_id) -> bool:
    try:
        ctx.store.run(run_id)
    except RunNotFoundError:
        return False
    return True


def counts(report) -> dict[str, int]:
    return {found.kind: found.count for found in report.removed if found.count}


def test_old_run_goes_with_its_files_and_outputs(ctx):
    old, output = ran(ctx, days=100, value="old")
    new, kept = ran(ctx, days=1, value="new")
    assert counts(housekeeping.look(ctx)) == {"runs": 1, "outputs": 1}
    assert exists(ctx, old), "looking changes nothing"
    report = housekeeping.clean(ctx)
    assert counts(report) == {"runs": 1, "outputs": 1}
    assert report.size_bytes > 1000
    assert (exists(ctx, old), exists(ctx, new)) == (False, True)
    assert (ctx.artifacts.has(output), ctx.artifacts.has(kept)) == (False, True)
    assert [path.name for path in ctx.workspace.runs_dir.iterdir()] == [str(new)]
    assert counts(housekeeping.clean(ctx)) == {}
    assert housekeeping.last_clean_up(ctx) == ctx.clock.now()


def test_newest_outputs_of_a_block_stay_whatever_their_age(ctx):
    only, output = ran(ctx, days=4000, value="only")
    assert counts(housekeeping.clean(ctx)) == {}
    assert exists(ctx, only)
    assert ctx.artifacts.has(output)


def test_shared_output_stays_while_any_run_needs_it(ctx):
    old, output = ran(ctx, days=100, value="same")
    ran(ctx, days=10, value="same")
    ran(ctx, days=1, value="newer")
    age_all(ctx, days=100)
    assert counts(housekeeping.clean(ctx)) == {"runs": 1}
    assert not exists(ctx, old)
    assert ctx.artifacts.has(output)


def test_tables_inside_a_value_stay_with_it_and_go_with_it(ctx):
    import pandas as pd

    train, test = pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [3]})
    ran(ctx, days=100, value={"train": train, "old": pd.DataFrame({"a": [4]})})
    _, kept = ran(ctx, days=1, value={"train": train, "test": test, "set": {1}})
    age_all(ctx, days=100)
    report = housekeeping.clean(ctx)
    assert counts(report) == {"runs": 1, "outputs": 2}, "the old value and the one table that only it held"
    found = ctx.artifacts.get(kept)
    assert found["train"].equals(train)
    assert found["test"].equals(test)
    assert found["set"] == {1}


def age_all(ctx, days):
    then = (ctx.clock.now() - days * DAY).timestamp()
    for folder in ctx.workspace.artifacts_dir.glob("*/*"):
        for path in [*folder.iterdir(), folder]:
            os.utime(path, (then, then))


def test_fingerprint_keeps_its_outputs_until_it_is_old_itself(ctx):
    ran(ctx, days=100, value="first", fingerprint="f1")
    _, second = ran(ctx, days=80, value="second", fingerprint="f2")
    ran(ctx, days=1, value="third", fingerprint="f3")
    age_all(ctx, 100)
    ctx.settings = replace(ctx.settings, keep_runs=1)
    assert counts(housekeeping.clean(ctx)) == {"runs": 2, "outputs": 1}
    assert ctx.artifacts.has(second), "going back to the second text finds it"
    assert ctx.store.find_reusable("demo", "main", "b0", "f1") is None
    assert ctx.store.find_reusable("demo", "main", "b0", "f2") is not None


def test_number_of_runs_is_bounded_per_pipeline_and_single_blocks_apart(ctx):
    numbers = [ran(ctx, days=9 - n, value=n)[0] for n in range(4)]
    single = ran(ctx, days=8, value="s", trigger="notebook", block="b1")[0]
    other = ran(ctx, days=9, value="o", pipeline="other")[0]
    ctx.settings = replace(ctx.settings, keep_runs=2)
    housekeeping.clean(ctx)
    assert [exists(ctx, number) for number in [*numbers, single, other]] == [False, False, True, True, True, True]


def test_outputs_beyond_the_budget_go_and_the_run_stays(ctx):
    first, output = ran(ctx, days=3, value="a" * 60_000)
    ran(ctx, days=2, value="b" * 60_000)
    _, newest = ran(ctx, days=1, value="c" * 60_000)
    one = sweep.stored(ctx.workspace.artifacts_dir)[newest.digest].size_bytes
    ctx.settings = replace(ctx.settings, keep_outputs_gb=2.5 * one / 1e9)
    assert counts(housekeeping.clean(ctx)) == {"outputs": 1}
    assert not ctx.artifacts.has(output)
    assert ctx.artifacts.has(newest)
    assert ctx.store.run(first).outputs_removed_at == ctx.clock.now()
    ctx.settings = replace(ctx.settings, keep_outputs_gb=0.00000001)
    housekeeping.clean(ctx)
    assert ctx.artifacts.has(newest), "what the editor shows is kept even when it does not fit"


@pytest.mark.guarantee("F53")
def test_unended_run_keeps_what_it_takes(ctx):
    old, output = ran(ctx, days=100, value="input")
    number = ctx.store.latest_outputs("demo", "main")["b0"].id
    later = ran(ctx, days=1, value="newer")[0]
    run = ctx.store.create_run(NewRun("demo", "main", "manual", Selection(("b1",))), now=ctx.clock.now() - 2 * DAY)
    spec = BlockSpec(parents=("b0",), stored_inputs={"b0": number})
    ctx.store.begin_run(run.id, [NewBlockRun("b1", "transformer", "", "", "h", spec)], now=ctx.clock.now())
    assert counts(housekeeping.clean(ctx)) == {}
    assert exists(ctx, old)
    assert exists(ctx, later)
    assert ctx.artifacts.has(output)
    assert exists(ctx, run.id)


def test_sealed_outcome_keeps_its_outputs_while_no_engine_runs(ctx):
    output = ctx.artifacts.put("sealed, not recorded")
    age(ctx, output, 9)
    run = ctx.store.create_run(NewRun("demo", "main", "manual"), now=ctx.clock.now() - DAY)
    planned = NewBlockRun("b0", "data_loader", "", "", "h", BlockSpec())
    (number,) = ctx.store.begin_run(run.id, [planned], now=ctx.clock.now())
    folder = ctx.workspace.attempt_dir(run.id, number, ctx.store.start_attempt(number, now=ctx.clock.now()))
    folder.mkdir(parents=True)
    (folder / "outcome.json").write_text(f'{{"outputs": [{{"digest": "{output.artifact.digest}"}}]}}')
    assert counts(housekeeping.clean(ctx)) == {}
    (folder / "outcome.json").unlink()
    assert counts(housekeeping.clean(ctx)) == {"outputs": 1}


def test_old_run_that_waits_holds_back_nothing_but_a_living_block_does(ctx):
    run = ctx.store.create_run(NewRun("demo", "main", "manual"), now=ctx.clock.now() - 60 * DAY)
    planned = NewBlockRun("b0", "sensor", "", "", "h", BlockSpec())
    (number,) = ctx.store.begin_run(run.id, [planned], now=ctx.clock.now() - 60 * DAY)
    later = ctx.artifacts.put("stored since, and named by nobody")
    age(ctx, later, 9)
    assert counts(housekeeping.look(ctx)) == {"outputs": 1}, "it waits"
    folder = ctx.workspace.attempt_dir(run.id, number, ctx.store.start_attempt(number, now=ctx.clock.now() - 60 * DAY))
    folder.mkdir(parents=True)
    lock, then = folder / "attempt.lock", (ctx.clock.now() - 60 * DAY).timestamp()
    for holder, kept in (("", 0), ("given up", 0), ("999999999", 0), (str(os.getpid()), 1)):
        lock.write_text(holder)
        os.utime(lock, (then, then))
        found = counts(housekeeping.look(ctx))
        assert found == ({} if kept else {"outputs": 1}), f"a living process may be about to name it: {holder}"


def test_budget_leaves_what_an_unended_run_takes(ctx):
    _, output = ran(ctx, days=9, value="a" * 60_000)
    number = ctx.store.latest_outputs("demo", "main")["b0"].id
    run = ctx.store.create_run(NewRun("demo", "main", "manual", Selection(("b1",))), now=ctx.clock.now() - DAY)
    spec = BlockSpec(parents=("b0",), stored_inputs={"b0": number})
    ctx.store.begin_run(run.id, [NewBlockRun("b1", "transformer", "", "", "h", spec)], now=ctx.clock.now())
    ran(ctx, days=1, value="b" * 60_000)
    ctx.settings = replace(ctx.settings, keep_outputs_gb=0.00000001)
    assert counts(housekeeping.clean(ctx)) == {}
    assert ctx.artifacts.has(output)


def test_output_that_is_stored_again_meanwhile_stays(ctx):
    output = ctx.artifacts.put("nobody needs it")
    age(ctx, output, 9)
    seen = []

    def store_again(stage):
        if stage == "Removing runs":
            seen.append(ctx.artifacts.put("nobody needs it"))

    assert counts(housekeeping.clean(ctx, store_again)) == {}
    assert seen == [output]
    assert ctx.artifacts.has(output.artifact)


def test_output_that_is_held_by_a_clock_set_back_stays(ctx):
    output = ctx.artifacts.put("nobody needs it")
    age(ctx, output, 9)

    def hold(stage):
        if stage == "Removing runs":
            age(ctx, output, 5)  # what a hold gives by a clock that was set back by five days

    assert counts(housekeeping.clean(ctx, hold)) == {}
    assert ctx.artifacts.has(output.artifact)


def test_what_a_living_block_stores_after_the_clock_was_set_back_stays(ctx):
    run = ctx.store.create_run(NewRun("demo", "main", "manual"), now=ctx.clock.now())
    planned = NewBlockRun("b0", "data_loader", "", "", "h", BlockSpec())
    (number,) = ctx.store.begin_run(run.id, [planned], now=ctx.clock.now())
    folder = ctx.workspace.attempt_dir(run.id, number, ctx.store.start_attempt(number, now=ctx.clock.now()))
    folder.mkdir(parents=True)
    lock, begun = folder / "attempt.lock", (ctx.clock.now() + DAY).timestamp()
    lock.write_text(str(os.getpid()))
    os.utime(lock, (begun, begun))  # since then the clock was set back by a day and more
    store = LocalArtifactStore(ctx.workspace.artifacts_dir, since=begun + 1)
    known, new = store.put("stored"), store.put({"new": 1})
    age(ctx, known, 9)
    assert store.put("stored") == known
    ctx.clock.advance(23 * 3600)
    assert counts(housekeeping.clean(ctx)) == {}
    assert ctx.artifacts.has(known.artifact)
    assert ctx.artifacts.has(new.artifact)


def test_period_of_a_project_holds_for_its_runs(ctx, tmp_path):
    old = ran(ctx, days=8, value="old")[0]
    ran(ctx, days=1, value="new")
    (tmp_path / "projects" / "demo" / "metadata.yaml").write_text("variables_retention_period: 7d\n")
    assert counts(housekeeping.clean(ctx)) == {"runs": 1, "outputs": 1}
    assert not exists(ctx, old)


def test_period_of_logs_takes_files_and_keeps_the_run(ctx, tmp_path):
    old, output = ran(ctx, days=8, value="old")
    (tmp_path / "projects" / "demo" / "metadata.yaml").write_text("logging_config:\n  retention_period: 7d\n")
    assert counts(housekeeping.clean(ctx)) == {"logs": 1}
    assert exists(ctx, old)
    assert ctx.artifacts.has(output)
    assert not ctx.workspace.run_dir(old).exists()


@pytest.mark.parametrize("text", ["variables_retention_period: soon", "variables_retention_period: 0d", "a: [", "[]"])
def test_slip_in_a_project_file_deletes_nothing(ctx, tmp_path, text):
    ran(ctx, days=8, value="old")
    ran(ctx, days=1, value="new")
    (tmp_path / "projects" / "demo" / "metadata.yaml").write_text(text + "\n")
    assert counts(housekeeping.clean(ctx)) == {}


def test_drafts_trash_and_lost_files_go_when_they_are_old(ctx):
    ctx.workspace.ensure_state_dir()
    long_ago = (ctx.clock.now() - 200 * DAY).timestamp()
    draft = ctx.workspace.artifacts_dir / "tmp" / "999999999.abc"
    lost = ctx.workspace.runs_dir / "77"
    removed = ctx.workspace.trash_dir / ("ab" * 16)
    for folder in (draft, lost, removed):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    assert counts(housekeeping.clean(ctx)) == {}, "all of it is young"
    for folder in (draft, lost, removed):
        os.utime(folder / "file", (long_ago, long_ago))
        os.utime(folder, (long_ago, long_ago))
    assert counts(housekeeping.clean(ctx)) == {"leftovers": 2, "trash": 1}
    assert not any(folder.exists() for folder in (draft, lost, removed))


def test_pipeline_that_is_gone_lets_go_of_its_newest_outputs(ctx, tmp_path):
    young = ran(ctx, days=10, value="young", pipeline="gone")[0]
    assert counts(housekeeping.clean(ctx)) == {}
    assert exists(ctx, young)
    ctx.clock.advance(100 * 86_400)
    age_all(ctx, 100)
    assert counts(housekeeping.clean(ctx)) == {"runs": 1, "outputs": 1}


def test_code_and_meanings_that_nobody_names_go(ctx):
    ran(ctx, days=100, value="old", fingerprint="f1", modules="a" * 32)
    ran(ctx, days=1, value="new", fingerprint="f2", modules="b" * 32)
    housekeeping.clean(ctx)
    with pytest.raises(RunNotFoundError, match="No code"):
        ctx.store.code("code of old")
    assert ctx.store.code("code of new") == "# new"
    assert set(ctx.store.meanings(["a" * 32, "b" * 32, "c" * 32])) == {"b" * 32, "c" * 32}


def test_only_one_cleans_up_at_a_time(ctx):
    def again(stage):
        if stage == "Looking at runs":
            with pytest.raises(housekeeping.HousekeepingBusyError, match="right now"):
                housekeeping.clean(ctx)

    housekeeping.clean(ctx, again)


@pytest.mark.thorough
def test_clean_ups_while_runs_go_never_take_what_is_needed(ctx):
    """Runs store few different values, so outputs are shared, dropped and stored again all the time.

    The grace is as long as the file system's clock is coarse. Attempts say who runs them and seal, as workers do.
    """
    grace = timedelta(milliseconds=20)
    ctx.settings = replace(ctx.settings, keep_runs=2, keep_runs_days=0.0, keep_outputs_gb=1e-7)
    ctx.clock = RealClock()
    problems, is_done, chance = [], threading.Event(), random.Random(7)

    def keep_cleaning():
        while not is_done.is_set():
            housekeeping.clean(ctx, grace=grace)

    def go(name):
        for _ in range(30):
            run = ctx.store.create_run(NewRun("demo", "main", "manual"), now=ctx.clock.now())
            planned = NewBlockRun(name, "data_loader", "", "", "h", BlockSpec())
            (number,) = ctx.store.begin_run(run.id, [planned], now=ctx.clock.now())
            folder = ctx.workspace.attempt_dir(run.id, number, ctx.store.start_attempt(number, now=ctx.clock.now()))
            folder.mkdir(parents=True)
            (folder / "attempt.lock").write_text(str(os.getpid()))
            output = ctx.artifacts.put({"value": chance.randrange(4), "of": "x" * 50})
            (folder / "outcome.json").write_text(json.dumps({"outputs": [output.to_json()]}))
            if not ctx.artifacts.has(output.artifact):
                problems.append(f"run {run.id}: gone before it was recorded")
            end = BlockEnd(Status.COMPLETED, ctx.clock.now(), outputs=(output,))
            ctx.store.end_block(number, end)
            ctx.store.end_run(run.id, Status.COMPLETED, None, now=ctx.clock.now())
            newest = ctx.store.latest_outputs("demo", "main")[name]
            if not all(ctx.artifacts.has(found.artifact) for found in newest.outputs):
                problems.append(f"run {run.id}: its newest output is gone")

    threads = [threading.Thread(target=go, args=(name,)) for name in ("b0", "b1")]
    cleaner = threading.Thread(target=keep_cleaning)
    for thread in [cleaner, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    is_done.set()
    cleaner.join()
    assert problems == []
    housekeeping.clean(ctx, grace=timedelta(0))
    assert len(ctx.store.upkeep.known_runs()) <= 4


class RealClock(FrozenClock):
    def now(self):
        return datetime.now(UTC)


def environment(ctx, digest, *, days):
    """Leave what an environment of `days` ago leaves."""
    folder = ctx.workspace.environment_dir(digest)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("x" * 5000)
    building.report_path(folder).write_text("{}")
    os.close(building.take(folder, alone=False, wait=False))
    then = (ctx.clock.now() - days * DAY).timestamp()
    for path in (folder, building.report_path(folder), folder.with_name(f"{folder.name}.lock")):
        os.utime(path, (then, then))
    return folder


def test_environment_that_nobody_names_goes_when_it_is_old(ctx, tmp_path):
    old, young = environment(ctx, "a" * 32, days=40), environment(ctx, "b" * 32, days=3)
    settings = tmp_path / "projects" / "demo" / "metadata.yaml"
    settings.write_text("spellbook:\n  environment:\n    packages: [tinypack]\n")
    named = environment(ctx, environments.recipe_of(ctx, "demo", None).digest, days=400)
    assert counts(housekeeping.look(ctx)) == {"environments": 1}
    assert old.exists(), "looking changes nothing"
    report = housekeeping.clean(ctx)
    assert counts(report) == {"environments": 1}
    assert report.size_bytes >= 5000
    assert (old.exists(), young.exists(), named.exists()) == (False, True, True)
    assert not list(old.parent.glob(f"{old.name}*"))


def test_environment_that_a_process_lives_in_stays(ctx):
    old = environment(ctx, "a" * 32, days=40)
    lock = building.take(old, alone=False, wait=False)
    os.utime(old.with_name(f"{old.name}.lock"), (0, 0))
    assert counts(housekeeping.clean(ctx)) == {}
    assert old.exists()
    os.close(lock)
    assert counts(housekeeping.clean(ctx)) == {"environments": 1}


def test_no_environment_goes_while_a_project_cannot_be_read(ctx, tmp_path):
    old = environment(ctx, "a" * 32, days=40)
    (tmp_path / "projects" / "demo" / "metadata.yaml").write_text("spellbook: [\n  environment: x\n")
    assert counts(housekeeping.clean(ctx)) == {}
    assert old.exists()
