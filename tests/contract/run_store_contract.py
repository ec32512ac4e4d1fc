"""What every run store must do; one class, run on each implementation."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest

from spellbook_core.model.children import Over, Pick
from spellbook_core.model.naming import BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.outcome import ErrorReport, TestResult
from spellbook_core.model.output import ArtifactRef, Column, OutputInfo, OutputKind
from spellbook_core.model.retry import RetryPolicy
from spellbook_core.model.run import Again, Code, NewRun, Selection, Share, Status, Upstream
from spellbook_core.runs.records import (
    Attempt,
    AttemptEnd,
    BlockEnd,
    BlockSpec,
    EngineBeat,
    Fingerprint,
    LatestOutput,
    NewBlockRun,
    ProcessIdentity,
    Reusable,
    RunFilter,
    Waiting,
)
from spellbook_core.runs.store import RunNotFoundError

NOW = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=3)
PROJECT, PIPELINE = ProjectName("titanic"), PipelineUuid("torch_train")
OUTPUT = OutputInfo(
    0,
    ArtifactRef("ab" * 16, "arrow"),
    OutputKind.TABLE,
    "pandas.DataFrame",
    891,
    (Column("나이", "float64"),),
    99,
    "891",
)


def new_run(**changes) -> NewRun:
    return NewRun(**{"project": PROJECT, "pipeline": PIPELINE, "trigger": "manual", **changes})


def new_block(name: str = "fill", *, source: str = "x = 1", **spec) -> NewBlockRun:
    return NewBlockRun(BlockUuid(name), "transformer", "it was chosen", source, f"hash of {source}", BlockSpec(**spec))


class RunStoreContract:
    """Give a fixture `store` and a fixture `reopened`, a function that returns a second store on the same data."""

    def begun(self, store, *blocks: str | NewBlockRun, **changes):
        run = store.create_run(new_run(**changes), now=NOW)
        return run, store.begin_run(run.id, [new_block(b) if isinstance(b, str) else b for b in blocks], now=NOW)

    def completed(self, store, *blocks: str, **changes):
        run, numbers = self.begun(store, *blocks, **changes)
        for number in numbers:
            store.start_attempt(number, now=NOW)
            store.end_block(number, BlockEnd(Status.COMPLETED, LATER, outputs=(OUTPUT,)))
        store.end_run(run.id, Status.COMPLETED, None, now=LATER)
        return run, numbers

    def test_new_run_is_queued_as_asked(self, store):
        selection = Selection((BlockUuid("fill"),), Upstream.MISSING, downstream=True)
        variables = {"day": date(2026, 1, 5), "at": NOW, "nested": {"n": [1, 2.5, None, "한글"]}}
        run = store.create_run(new_run(selection=selection, variables=variables), now=NOW)
        assert run.status is Status.QUEUED
        assert (run.selection, run.variables, run.created_at, run.execution_date) == (selection, variables, NOW, NOW)
        assert store.run(run.id) == run

    @pytest.mark.guarantee("F57")
    def test_same_request_returns_first_run(self, store):
        first = store.create_run(new_run(request_id="a"), now=NOW)
        assert store.create_run(new_run(request_id="a"), now=LATER) == first
        assert store.create_run(new_run(request_id="b"), now=LATER).id != first.id
        assert store.runs(RunFilter(), offset=0, limit=9).total == 2

    def test_life_of_a_block_run_is_kept_whole(self, store):
        run, (number,) = self.begun(store, "fill")
        assert store.run(run.id).status is Status.RUNNING
        assert store.start_attempt(number, now=NOW) == 1
        error = ErrorReport("SB-WRK-001", "bad", "fix", {"block": "fill"}, "ValueError: bad", line=3)
        tests = (TestResult("test_rows", False, "no rows", 7),)
        end = BlockEnd(Status.FAILED, LATER, NOW, 2.5, 1.5, 1000, (OUTPUT,), tests, ("careful",), error)
        store.end_block(number, end)
        found = store.block_run(number)
        assert (found.outputs, found.tests, found.warnings, found.error) == ((OUTPUT,), tests, ("careful",), error)
        assert (found.started_at, found.ended_at, found.duration_s, found.cpu_s) == (NOW, LATER, 2.5, 1.5)
        assert (found.attempt, found.position, found.reason, found.status) == (1, 0, "it was chosen", Status.FAILED)
        assert store.block_runs(run.id) == [found]
        assert store.code(found.code_hash) == "x = 1"

    def test_first_end_of_a_block_run_stands(self, store):
        run, (number,) = self.completed(store, "fill")
        store.end_block(number, BlockEnd(Status.FAILED, LATER))
        assert store.block_run(number).status is Status.COMPLETED
        assert store.run(run.id).blocks_done == 1

    def test_first_end_of_a_run_stands(self, store):
        run, _ = self.completed(store, "fill")
        store.end_run(run.id, Status.FAILED, None, now=LATER)
        assert store.run(run.id).status is Status.COMPLETED

    def test_end_of_an_attempt_given_up_records_nothing(self, store):
        _, (number,) = self.begun(store, "fill")
        store.start_attempt(number, now=NOW)
        store.start_attempt(number, now=NOW)
        store.end_block(number, BlockEnd(Status.COMPLETED, LATER, attempt=1))
        assert store.block_run(number).status is Status.RUNNING
        store.end_block(number, BlockEnd(Status.COMPLETED, LATER, attempt=2))
        assert store.block_run(number).status is Status.COMPLETED

    def test_end_that_was_rolled_back_is_recorded_whole_by_the_next_call(self, store):
        run, (number,) = self.begun(store, "fill")
        store.start_attempt(number, now=NOW)
        end = BlockEnd(Status.COMPLETED, LATER, outputs=(OUTPUT,), attempt=1)
        with suppress(ZeroDivisionError), store.transaction():
            store.end_block(number, end)
            raise ZeroDivisionError
        assert (store.block_run(number).status, store.run(run.id).blocks_done) == (Status.RUNNING, 0)
        store.end_block(number, end)
        assert (store.block_run(number).status, store.run(run.id).blocks_done) == (Status.COMPLETED, 1)
        assert store.latest_outputs(run.project, run.pipeline)["fill"].id == number

    def test_attempt_that_was_rolled_back_has_no_end(self, store):
        _, (number,) = self.begun(store, "fill")
        with suppress(ZeroDivisionError), store.transaction():
            store.start_attempt(number, now=NOW)
            raise ZeroDivisionError
        store.end_block(number, BlockEnd(Status.COMPLETED, LATER, attempt=1))
        assert store.block_run(number).status is Status.INITIAL

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            (Status.FAILED, ["completed", "failed", "upstream_failed"]),
            (Status.CANCELLED, ["completed", "cancelled", "cancelled"]),
        ],
    )
    def test_nothing_stays_unended_in_an_ended_run(self, store, status, expected):
        run, numbers = self.begun(store, "a", "b", "c")
        store.end_block(numbers[0], BlockEnd(Status.COMPLETED, LATER))
        store.start_attempt(numbers[1], now=NOW)
        error = ErrorReport("SB-RUN-001", "gone", "look")
        store.end_run(run.id, status, error, now=LATER)
        found = store.block_runs(run.id)
        assert [block_run.status.value for block_run in found] == expected
        assert [block_run.ended_at for block_run in found] == [LATER] * 3
        assert found[1].error == (error if status is Status.FAILED else None)

    def test_postponed_block_run_waits_with_reason_and_time(self, store):
        run, (number,) = self.begun(store, "fill")
        attempt = store.start_attempt(number, now=NOW)
        error = ErrorReport("SB-WRK-001", "bad", "fix", {"block": "fill"}, "ValueError: bad", line=3)
        ended = AttemptEnd(attempt, NOW, LATER, 2.5, error)
        due = LATER + timedelta(seconds=5)
        store.postpone_block(number, Waiting("retry 1 of 3", LATER, due, retried=1, attempt=ended))
        found = store.block_run(number)
        assert (found.status, found.attempt, found.retried) == (Status.QUEUED, 1, 1)
        assert (found.waiting_for, found.waiting_since, found.due_at) == ("retry 1 of 3", LATER, due)
        assert store.earlier_attempts(number) == [ended]
        assert store.run(run.id).blocks_done == 0
        assert store.start_attempt(number, now=due) == 2
        found = store.block_run(number)
        assert (found.status, found.waiting_for, found.due_at, found.retried) == (Status.RUNNING, None, None, 1)
        assert (found.first_started_at, found.started_at) == (NOW, due)
        store.end_block(number, BlockEnd(Status.COMPLETED, due, attempt=2))
        assert store.earlier_attempts(number) == [ended]

    def test_block_run_waits_without_an_attempt_or_a_time(self, store):
        _, (number,) = self.begun(store, "fill")
        store.postpone_block(number, Waiting("a free place", NOW))
        found = store.block_run(number)
        assert (found.status, found.waiting_for, found.due_at) == (Status.QUEUED, "a free place", None)
        assert store.earlier_attempts(number) == []

    def test_end_of_a_block_run_stands_against_waiting(self, store):
        _, (number,) = self.completed(store, "fill")
        store.postpone_block(number, Waiting("retry 1 of 3", LATER, LATER))
        assert store.block_run(number).status is Status.COMPLETED

    def test_attempt_given_up_postpones_nothing(self, store):
        _, (number,) = self.begun(store, "fill")
        store.start_attempt(number, now=NOW)
        store.start_attempt(number, now=NOW)
        store.postpone_block(number, Waiting("retry 1 of 3", NOW, attempt=AttemptEnd(1, NOW, NOW, None, None)))
        assert store.block_run(number).status is Status.RUNNING

    def test_forgotten_attempt_is_gone(self, store):
        _, (number,) = self.begun(store, "look")
        for forget in (None, 1):
            attempt = store.start_attempt(number, now=NOW)
            ended = AttemptEnd(attempt, NOW, LATER, 0.1, None)
            store.postpone_block(number, Waiting("the sensor", NOW, LATER, attempt=ended, forget=forget))
        assert [end.attempt for end in store.earlier_attempts(number)] == [2]

    def test_retry_policy_is_kept_with_the_plan(self, store):
        run = store.create_run(new_run(), now=NOW)
        policy = RetryPolicy(3, 0.5, 100.0, exponential_backoff=False)
        (number,) = store.begin_run(run.id, [new_block(retry=policy)], now=NOW)
        assert store.specs(run.id)[number].retry == policy

    def test_repeated_run_keeps_its_origin_and_date(self, store):
        again = Again(RunId(3), Share.ABOVE, Code.THEN, BlockUuid("fill"))
        run = store.create_run(new_run(again=again, execution_date=NOW), now=LATER)
        assert (run.again, run.execution_date, run.created_at) == (again, NOW, LATER)
        assert store.run(run.id) == run

    def test_variables_of_the_pipeline_are_kept_with_a_run(self, store):
        run = store.create_run(new_run(), now=NOW)
        assert store.pipeline_variables(run.id) is None
        store.begin_run(run.id, [new_block()], now=NOW, variables={"day": date(2026, 1, 5), "rows": 3})
        assert store.pipeline_variables(run.id) == {"day": date(2026, 1, 5), "rows": 3}

    def test_children_are_stored_with_their_block_and_counted(self, store):
        over = (Over(BlockUuid("items"), (BlockUuid("items"),), True, False),)
        run, (_, each) = self.begun(store, new_block("items"), new_block("each", over=over))
        names = ("0", "1")
        picks = [{BlockUuid("items"): Pick("", number)} for number in range(2)]
        new = [new_block("each", child=name, picks=pick) for name, pick in zip(names, picks, strict=True)]
        first, second = store.expand_block(each, names, new, now=NOW)
        store.start_attempt(first, now=NOW)
        store.end_block(first, BlockEnd(Status.COMPLETED, NOW))
        assert [found.key for found in store.block_runs(run.id)] == ["items", "each", "each:0", "each:1"]
        assert [found.key for found in store.block_runs(run.id, with_children=False)] == ["items", "each"]
        whole = store.block_run(each)
        assert (whole.status, whole.children) == (Status.RUNNING, names)
        assert [found.id for found in store.children(whole)] == [first, second]
        assert store.child_counts(run.id) == {"each": {Status.COMPLETED: 1, Status.INITIAL: 1}}
        assert (store.run(run.id).blocks_total, store.run(run.id).blocks_done) == (2, 0)
        assert store.specs(run.id)[second].picks == picks[1]
        assert store.specs(run.id)[each].over == over
        assert store.latest_block_runs(run.project, run.pipeline)["each"].id == each
        (third,) = store.expand_block(each, (*names, "2"), [new_block("each", child="2")], now=LATER)
        whole = store.block_run(each)
        assert (whole.children, whole.started_at, whole.first_started_at) == ((*names, "2"), NOW, NOW)
        assert [found.id for found in store.children(whole)] == [first, second, third]
        store.end_block(each, BlockEnd(Status.COMPLETED, NOW, children=("0",)))
        assert store.latest_outputs(run.project, run.pipeline)["each"].children == ("0",)

    def test_what_hangs_on_a_block_is_found_by_both_names(self, store):
        guard = new_block("is_big", hangs_on="clean")
        run, _ = self.begun(store, guard, new_block("clean", conditions=(BlockUuid("is_big@clean"),)))
        assert [found.key for found in store.block_runs(run.id)] == ["is_big@clean", "clean"]
        assert set(store.latest_block_runs(run.project, run.pipeline)) == {"is_big@clean", "clean"}
        assert store.run(run.id).blocks_total == 1

    def test_progress_is_counted(self, store):
        run, numbers = self.begun(store, "a", "b", "c")
        store.end_block(numbers[0], BlockEnd(Status.COMPLETED, LATER))
        found = store.run(run.id)
        assert (found.blocks_total, found.blocks_done) == (3, 1)

    def test_queued_run_tells_its_priority_and_what_it_waits_for(self, store):
        run = store.create_run(new_run(priority=7), now=NOW)
        store.wait_run(run.id, "its turn")
        assert (store.run(run.id).priority, store.run(run.id).waiting_for) == (7, "its turn")
        (found,) = store.unended_runs()
        assert (found.project, found.pipeline, found.trigger, found.selection) == (
            PROJECT,
            PIPELINE,
            "manual",
            Selection(),
        )
        assert (found.priority, found.waiting_for) == (7, "its turn")
        store.begin_run(run.id, [new_block()], now=NOW)
        store.wait_run(run.id, "too late")
        assert store.run(run.id).waiting_for is None

    def test_unended_runs_after_one_are_those_that_are_new_or_shall_end(self, store):
        runs = [store.create_run(new_run(), now=NOW).id for _ in range(4)]
        store.request_cancel(runs[0], now=NOW)
        store.end_run(runs[3], Status.CANCELLED, None, now=NOW)
        assert [found.id for found in store.unended_runs(after=runs[1])] == [runs[0], runs[2]]

    def test_unended_runs_come_oldest_first(self, store):
        first, _ = self.begun(store, "a")
        self.completed(store, "a")
        owner = ProcessIdentity(12, "345", "boot")
        last = store.create_run(new_run(), now=NOW, owner=owner)
        store.request_cancel(last.id, now=NOW)
        found = store.unended_runs()
        assert [(run.id, run.status, run.owner, run.is_cancelled) for run in found] == [
            (first.id, Status.RUNNING, None, False),
            (last.id, Status.QUEUED, owner, True),
        ]

    def test_attempt_is_recorded_before_its_process(self, store):
        run, (number,) = self.begun(store, "fill")
        attempt = store.start_attempt(number, now=NOW)
        assert store.attempts(run.id) == [Attempt(number, attempt, NOW, None, None)]
        process = ProcessIdentity(12, "345", "boot")
        store.record_process(number, attempt, {"dir": "x", "pid": 12}, process)
        assert store.attempts(run.id) == [Attempt(number, attempt, NOW, {"dir": "x", "pid": 12}, process)]

    def test_newest_attempt_counts(self, store):
        run, (number,) = self.begun(store, "fill")
        assert [store.start_attempt(number, now=NOW), store.start_attempt(number, now=LATER)] == [1, 2]
        assert [(a.attempt, a.created_at) for a in store.attempts(run.id)] == [(2, LATER)]

    def test_plan_of_a_block_is_kept(self, store):
        run = store.create_run(new_run(), now=NOW)
        spec = {"relative_path": "a/b.py", "parents": ("load",), "stored_inputs": {"load": 7}, "timeout_s": 2.0}
        block = new_block("fill", configuration={"day": date(2026, 1, 5)}, **spec)
        (number,) = store.begin_run(run.id, [block], now=NOW)
        assert store.specs(run.id) == {number: block.spec}

    def test_latest_block_runs_are_newest_per_block(self, store):
        _, old = self.completed(store, "load", "fill")
        _, (newer,) = self.begun(store, "fill")
        store.end_block(newer, BlockEnd(Status.FAILED, LATER))
        latest = store.latest_block_runs(PROJECT, PIPELINE)
        assert {name: found.id for name, found in latest.items()} == {"load": old[0], "fill": newer}
        outputs = store.latest_outputs(PROJECT, PIPELINE)
        assert {name: found.id for name, found in outputs.items()} == {"load": old[0], "fill": old[1]}

    def test_older_run_that_ends_later_does_not_replace_outputs(self, store):
        _, (older,) = self.begun(store, "fill")
        _, (newer,) = self.completed(store, "fill")
        store.end_block(older, BlockEnd(Status.COMPLETED, LATER))
        assert store.latest_outputs(PROJECT, PIPELINE)["fill"].id == newer

    def test_pipelines_do_not_mix(self, store):
        self.completed(store, "fill")
        assert store.latest_outputs(PROJECT, PipelineUuid("other")) == {}

    def test_lists_are_filtered_and_paged(self, store):
        for _ in range(3):
            self.completed(store, "fill")
        self.begun(store, "fill", trigger="notebook", pipeline="other")
        page = store.runs(RunFilter(project=PROJECT, pipeline=PIPELINE), offset=1, limit=1)
        assert (page.total, [run.id for run in page.runs]) == (3, [2])
        where = RunFilter(statuses=(Status.RUNNING, Status.FAILED), triggers=("notebook",))
        assert [run.pipeline for run in store.runs(where, offset=0, limit=9).runs] == ["other"]

    def test_unknown_numbers_are_refused(self, store):
        with pytest.raises(RunNotFoundError, match="no run 77"):
            store.run(RunId(77))
        with pytest.raises(RunNotFoundError, match="no run 77"):
            store.block_runs(RunId(77))
        with pytest.raises(RunNotFoundError, match="no run 77"):
            store.request_cancel(RunId(77), now=NOW)
        with pytest.raises(RunNotFoundError, match="No code"):
            store.code("nothing")

    def test_failed_transaction_leaves_nothing(self, store):
        def fail() -> None:
            with store.transaction():
                store.create_run(new_run(), now=NOW)
                raise ZeroDivisionError("division")

        with pytest.raises(ZeroDivisionError, match="division"):
            fail()
        assert store.runs(RunFilter(), offset=0, limit=9).total == 0

    def test_transactions_of_threads_do_not_mix(self, store):
        def create() -> None:
            for _ in range(20):
                with store.transaction():
                    store.create_run(new_run(), now=NOW)

        threads = [threading.Thread(target=create) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        page = store.runs(RunFilter(), offset=0, limit=100)
        assert (page.total, len({run.id for run in page.runs})) == (80, 80)

    def test_everything_is_there_when_opened_again(self, store, reopened):
        run, _ = self.completed(store, "fill")
        assert reopened().run(run.id) == store.run(run.id)

    def test_lease_is_the_newest(self, store):
        assert store.last_beat() is None
        store.beat(EngineBeat(1, "boot", "0.1", NOW, NOW, 0))
        newest = EngineBeat(2, "boot", "0.2", NOW, LATER, 3)
        store.beat(newest)
        assert store.last_beat() == newest

    def executed(self, store, fingerprint: Fingerprint, name: str = "fill", **changes):
        run, (number,) = self.begun(store, name, **changes)
        store.start_attempt(number, now=NOW)
        end = BlockEnd(
            Status.COMPLETED,
            LATER,
            outputs=(OUTPUT,),
            tests=(TestResult("t", True),),
            warnings=("w",),
            fingerprint=fingerprint,
        )
        store.end_block(number, end)
        return run, number

    def test_newest_execution_with_a_fingerprint_is_found(self, store):
        print_ = Fingerprint("f", "parts", {"utils/x.py": "d"}, {"d": "what d is"})
        self.executed(store, print_)
        run, number = self.executed(store, print_)
        self.executed(store, Fingerprint("other", "parts"))
        found = store.find_reusable(PROJECT, PIPELINE, BlockUuid("fill"), "f")
        expected = Reusable(run.id, number, LATER, {"utils/x.py": "d"}, (OUTPUT,), (TestResult("t", True),), ("w",))
        assert found == expected
        assert store.find_reusable(PROJECT, PIPELINE, BlockUuid("fill"), "unknown") is None
        assert store.find_reusable(PROJECT, PIPELINE, BlockUuid("other"), "f") is None
        assert store.find_reusable(PROJECT, PipelineUuid("other"), BlockUuid("fill"), "f") is None
        assert store.meanings(["d", "unknown"]) == {"d": "what d is"}

    def test_reused_block_run_names_the_execution(self, store):
        known = Fingerprint("f", "parts")
        _, made = self.executed(store, known)
        _, (number,) = self.begun(store, "fill")
        later = LATER + timedelta(hours=1)
        end = BlockEnd(
            Status.COMPLETED, later, outputs=(OUTPUT,), fingerprint=known, reused_from=made, reason="unchanged"
        )
        store.end_block(number, end)
        block_run = store.block_run(number)
        assert (block_run.reused, block_run.reused_from, block_run.reason) == (True, made, "unchanged")
        assert store.latest_outputs(PROJECT, PIPELINE)["fill"] == block_run
        assert store.find_reusable(PROJECT, PIPELINE, BlockUuid("fill"), "f").block_run_id == made
        assert store.latest_made(PROJECT, PIPELINE) == {
            BlockUuid("fill"): LatestOutput(LATER, (OUTPUT.artifact,), "parts")
        }

    @pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED, Status.CONDITION_FAILED])
    def test_only_completed_block_runs_are_reusable(self, store, status):
        _, (number,) = self.begun(store, "fill")
        store.start_attempt(number, now=NOW)
        store.end_block(number, BlockEnd(status, LATER, fingerprint=Fingerprint("f", "parts")))
        assert store.find_reusable(PROJECT, PIPELINE, BlockUuid("fill"), "f") is None
        assert store.latest_made(PROJECT, PIPELINE) == {}

    def test_old_fingerprints_of_a_block_are_dropped(self, store):
        for number in range(40):
            self.executed(store, Fingerprint(str(number), "parts"))
        kept = [n for n in range(40) if store.find_reusable(PROJECT, PIPELINE, BlockUuid("fill"), str(n))]
        assert kept == list(range(10, 40))

    def test_fingerprint_made_again_counts_as_newest(self, store):
        for number in (*range(30), 0, 30):
            self.executed(store, Fingerprint(str(number), "parts"))
        kept = [n for n in range(31) if store.find_reusable(PROJECT, PIPELINE, BlockUuid("fill"), str(n))]
        assert kept == [0, *range(2, 31)]

    def test_fingerprint_of_the_newest_execution_may_change_what_it_brought(self, store):
        self.executed(store, Fingerprint("f", "parts", {"utils/x.py": "old"}))
        run, number = self.executed(store, Fingerprint("f", "other parts", {"utils/x.py": "new"}))
        found = store.find_reusable(PROJECT, PIPELINE, BlockUuid("fill"), "f")
        assert (found.run_id, found.block_run_id, found.recorded) == (run.id, number, {"utils/x.py": "new"})
        assert store.latest_made(PROJECT, PIPELINE)["fill"].parts == "other parts"
        assert [held.id for held in store.upkeep.holders() if held.kind == "fingerprint"] == [number]

    def test_only_the_execution_that_was_looked_at_is_forgotten(self, store):
        """What was made again since then, and is not the newest of its block, stays."""
        self.executed(store, Fingerprint("f", "parts"))
        old = [held.id for held in store.upkeep.holders() if held.kind == "fingerprint"]
        _, made_again = self.executed(store, Fingerprint("f", "parts"))
        self.executed(store, Fingerprint("newer", "parts"))
        store.upkeep.forget_fingerprints(old)
        assert store.find_reusable(PROJECT, PIPELINE, BlockUuid("fill"), "f").block_run_id == made_again
        store.upkeep.forget_fingerprints([made_again])
        assert store.find_reusable(PROJECT, PIPELINE, BlockUuid("fill"), "f") is None
        assert store.find_reusable(PROJECT, PIPELINE, BlockUuid("fill"), "newer") is not None

    def test_numbers_of_removed_block_runs_are_not_used_again(self, store):
        """Not even those of the newest: files and outputs are found by them."""
        run, numbers = self.completed(store, "a", "b")
        self.completed(store, "a", "b")
        last, unseen = self.begun(store, new_block("a", child="0"), new_block("a", child="1"))
        store.end_run(last.id, Status.CANCELLED, ErrorReport("SB-RUN-001", "gone", "look"), now=LATER)
        assert store.upkeep.remove_runs([run.id, last.id], lambda run_id: None) == [run.id, last.id]
        _, new = self.begun(store, "a", "b", "c")
        assert new == [unseen[-1] + 1, unseen[-1] + 2, unseen[-1] + 3]
        assert not set(new) & {*numbers, *unseen}

    def test_code_of_a_known_hash_stays(self, store):
        self.begun(store, "a", "b")
        _, (number,) = self.begun(store, new_block("c", source="x = 2"))
        assert store.code(store.block_run(number).code_hash) == "x = 2"
        assert store.code("hash of x = 1") == "x = 1"

    def test_run_begins_only_where_it_is_stored(self, store):
        with pytest.raises(RunNotFoundError, match="There is no run 7"):
            store.begin_run(RunId(7), [new_block()], now=NOW)
        assert store.latest_block_runs(PROJECT, PIPELINE) == {}
