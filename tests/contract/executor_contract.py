"""What every executor promises, as one class of tests, and the driver that tests of attempts share."""

from __future__ import annotations

import json
import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from spellbook_core.clock import to_text
from spellbook_core.engine.ports import Executor, ExecutorEvent, Exited, Handle, Sealed, Started
from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.outcome import OUTCOME_FILE, Outcome
from spellbook_core.model.task import LOG_FILE, TASK_FILE, BlockInput, BlockTask, Environment
from spellbook_core.project.layout import Workspace
from spellbook_core.worker.wire import task_to_json

DEADLINE_S = 60.0


@dataclass
class Ended:
    """An attempt's end: the event, what was sealed, and the log."""

    exited: Exited
    outcome: Outcome | None
    folder: Path
    events: list[ExecutorEvent]

    @property
    def log(self) -> list[dict]:
        path = self.folder / LOG_FILE
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def text(self) -> str:
        return "\n".join(line["m"] for line in self.log)


class Attempts:
    """Submits blocks given as text to an executor and waits for their end."""

    def __init__(self, workspace: Workspace, executor: Executor, project: str = "demo") -> None:
        self.workspace = workspace
        self.executor = executor
        self.project = project
        self.root = workspace.root / "projects" / project
        self.root.mkdir(parents=True, exist_ok=True)
        self._number = 0
        self._events: dict[tuple[int, int], list[ExecutorEvent]] = {}

    def task(self, source: str | None, **changes: object) -> BlockTask:
        """Return the task of a new block run; `changes` are fields of BlockTask, or `preload`."""
        self._number += 1
        block = str(changes.pop("block", f"block_{self._number}"))
        preload = tuple(changes.pop("preload", ()))
        values: dict[str, object] = {
            "run_id": RunId(1),
            "block_run_id": BlockRunId(self._number),
            "attempt": 1,
            "workspace": str(self.workspace.root),
            "project": ProjectName(self.project),
            "project_root": str(self.root),
            "pipeline": PipelineUuid("main"),
            "block": BlockUuid(block),
            "block_type": "custom",
            "language": "python",
            "source": source,
            "source_path": str(self.root / "custom" / f"{block}.py"),
            "inputs": (),
            "variables": {},
            "configuration": {},
            "execution_date": to_text(datetime.now(UTC)),
            "trigger": "notebook",
            "environment": Environment(preload=preload),
        }
        return BlockTask(**{**values, **changes})

    def folder(self, task: BlockTask) -> Path:
        return self.workspace.attempt_dir(task.run_id, task.block_run_id, task.attempt)

    def submit(self, task: BlockTask, *, ahead: Sequence[Path] = ()) -> Handle:
        folder = self.folder(task)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / TASK_FILE
        if not file.exists() or not file.stat().st_size:  # a second time it may be just being read
            file.write_text(json.dumps(task_to_json(task)), encoding="utf-8")
        return self.executor.submit(task, folder, ahead=ahead)

    def until(self, task: BlockTask, found: Callable[[list[ExecutorEvent]], object]) -> object:
        """Poll until `found`, given the task's events so far, returns something true; return that."""
        key = (task.block_run_id, task.attempt)
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            result = found(self._events.get(key, []))
            if result:
                return result
            for event in self.executor.poll(0.05):
                self._events.setdefault((event.block_run_id, event.attempt), []).append(event)
        raise TimeoutError(f"not within {DEADLINE_S} s: {self._events.get(key)}")

    def started(self, task: BlockTask) -> Started:
        return self.until(task, lambda events: next((e for e in events if isinstance(e, Started)), None))

    def sealed(self, task: BlockTask) -> Sealed:
        return self.until(task, lambda events: next((e for e in events if isinstance(e, Sealed)), None))

    def logged(self, task: BlockTask, text: str) -> None:
        """Poll until the task's log file holds `text`."""
        path = self.folder(task) / LOG_FILE
        self.until(task, lambda _: path.exists() and text in path.read_text())

    def wait(self, task: BlockTask) -> Ended:
        exited = self.until(task, lambda events: next((e for e in events if isinstance(e, Exited)), None))
        path = self.folder(task) / OUTCOME_FILE
        outcome = Outcome.from_json(json.loads(path.read_text())) if path.exists() else None
        return Ended(exited, outcome, self.folder(task), self._events[task.block_run_id, task.attempt])

    def run(self, source: str | None, **changes: object) -> Ended:
        task = self.task(source, **changes)
        self.submit(task)
        return self.wait(task)

    def chain(self, *sources: str, **changes: object) -> Iterator[Ended]:
        """Run blocks one after the other, each the only child of the one before."""
        inputs: tuple[BlockInput, ...] = ()
        for source in sources:
            ended = self.run(source, inputs=inputs, **changes)
            yield ended
            assert ended.outcome is not None
            inputs = (BlockInput(BlockUuid("parent"), ended.outcome.outputs),)


class ExecutorContract:
    """Subclass with a fixture `attempts` that gives an `Attempts`."""

    def test_success_is_sealed_then_told(self, attempts: Attempts) -> None:
        ended = attempts.run("@custom\ndef f(*args, **kwargs):\n    return 41 + 1\n")
        assert ended.exited.exit_status == 0
        assert ended.exited.reason is None
        assert ended.outcome is not None
        assert ended.outcome.error is None
        assert [output.summary for output in ended.outcome.outputs] == ["42"]
        assert isinstance(ended.events[0], Started)
        assert isinstance(ended.events[-1], Exited)

    def test_sealed_means_that_outcome_and_log_are_whole(self, attempts: Attempts) -> None:
        task = attempts.task("@custom\ndef f(*args, **kwargs):\n    print('all of it', end='')\n")
        attempts.submit(task)
        assert attempts.sealed(task).reason is None
        folder = attempts.folder(task)
        assert Outcome.from_json(json.loads((folder / OUTCOME_FILE).read_bytes())).error is None
        assert [json.loads(line)["m"] for line in (folder / LOG_FILE).read_text().splitlines()] == ["all of it"]
        kinds = [type(event) for event in attempts.wait(task).events]
        assert kinds.index(Started) < kinds.index(Sealed) < kinds.index(Exited)

    def test_outputs_reach_the_child(self, attempts: Attempts) -> None:
        *_, last = attempts.chain(
            "@custom\ndef f(*args, **kwargs):\n    return 1, 'two'\n",
            "@custom\ndef f(both, **kwargs):\n    assert both == [1, 'two'], both\n    print('got', both)\n",
        )
        assert last.outcome.error is None
        assert "got [1, 'two']" in last.text

    def test_exception_is_reported_with_its_line(self, attempts: Attempts) -> None:
        ended = attempts.run("@custom\ndef f(*args, **kwargs):\n    raise ValueError('bad row')\n")
        assert ended.exited.exit_status == 1
        assert ended.outcome.error.exception == "ValueError: bad row"
        assert ended.outcome.error.line == 3

    def test_prints_are_logged(self, attempts: Attempts) -> None:
        ended = attempts.run("@custom\ndef f(*args, **kwargs):\n    print('hello', 'there')\n")
        assert [line["m"] for line in ended.log if line["s"] == "stdout"] == ["hello there"]

    def test_submit_twice_runs_once(self, attempts: Attempts) -> None:
        mark = attempts.root / "ran.txt"
        source = f"@custom\ndef f(*args, **kwargs):\n    with open({str(mark)!r}, 'a') as file: file.write('x')\n"
        task = attempts.task(source)
        attempts.submit(task)
        attempts.submit(task)
        attempts.wait(task)
        assert attempts.run("@custom\ndef f(*args, **kwargs):\n    pass\n").outcome.error is None
        assert mark.read_text() == "x"

    def test_descriptor_is_readable_when_there_is_news(self, attempts: Attempts) -> None:
        task = attempts.task("@custom\ndef f(*args, **kwargs):\n    pass\n")
        attempts.submit(task)
        readable, _, _ = select.select([attempts.executor.fileno()], [], [], DEADLINE_S)
        assert readable
        attempts.wait(task)

    def test_handle_survives_json(self, attempts: Attempts) -> None:
        task = attempts.task("@custom\ndef f(*args, **kwargs):\n    pass\n")
        handle = attempts.submit(task)
        started = attempts.started(task)
        for one in (handle, started.handle):
            assert json.loads(json.dumps(one)) == dict(one)
            assert isinstance(one, Mapping)
        attempts.wait(task)

    def test_ended_attempt_cannot_be_adopted(self, attempts: Attempts) -> None:
        task = attempts.task("@custom\ndef f(*args, **kwargs):\n    pass\n")
        attempts.submit(task)
        handle = attempts.started(task).handle
        attempts.wait(task)
        assert attempts.executor.adopt(handle) is False
