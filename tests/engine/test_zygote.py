"""The warm process: safe to fork, outlives its engine, ends when unused, leaks nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from spellbook_core.executors.process import ProcessExecutor
from spellbook_core.model.outcome import OUTCOME_FILE
from spellbook_core.model.task import TASK_FILE, Environment
from spellbook_core.project.layout import Workspace
from spellbook_core.settings import Settings
from spellbook_core.worker.standby import STANDBY
from tests.conftest import wait_until
from tests.contract.executor_contract import Attempts

NOTHING = "@custom\ndef f(*args, **kwargs):\n    pass\n"
WAITS = """
import pathlib, time
@custom
def f(*args, **kwargs):
    print('begun')
    while not pathlib.Path('go').exists():
        time.sleep(0.01)
    return 'done'
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace.open(tmp_path, create=True)
    made.ensure_state_dir()
    return made


@pytest.fixture
def attempts(workspace: Workspace) -> Iterator[Attempts]:
    executor = ProcessExecutor(workspace, Settings())
    yield Attempts(workspace, executor)
    executor.close()


def warm(executor: ProcessExecutor, environment: Environment) -> dict:
    """Prepare `environment` and return the warm process's description once it serves."""
    executor.prepare(environment)

    def ready() -> dict | None:
        executor.poll(0.05)
        return next((entry for entry in executor.describe() if entry["mode"] != "starting"), None)

    return wait_until(ready, 120.0)


def test_warm_process_has_one_thread(attempts):
    described = warm(attempts.executor, Environment())
    assert described["mode"] == "fork"
    assert len(os.listdir(f"/proc/{described['pid']}/task")) == 1


def test_torch_leaves_one_thread(attempts):
    described = warm(attempts.executor, Environment(preload=("torch",)))
    assert described["mode"] == "fork"
    assert "torch" in described["preload"]
    assert len(os.listdir(f"/proc/{described['pid']}/task")) == 1
    source = """
import torch
@custom
def f(*args, **kwargs):
    data = torch.utils.data.TensorDataset(torch.arange(8.0).reshape(8, 1))
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for (x,) in torch.utils.data.DataLoader(data, batch_size=4, num_workers=2):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()
    return int(sum(len(x) for (x,) in torch.utils.data.DataLoader(data, num_workers=2)))
"""
    ended = attempts.run(source, preload=("torch",))
    assert ended.outcome.error is None
    assert ended.outcome.outputs[0].summary == "8"
    assert attempts.run(NOTHING).outcome.error is None  # a smaller environment shares the warmer process
    assert len(attempts.executor.describe()) == 1


@pytest.mark.guarantee("F43")
def test_block_with_torch_may_fork_and_train(attempts):
    """The rehearsal of a standby child must leave no thread: a block's own child would hang on its lock."""
    source = """
import multiprocessing, os, torch
def train(seed):
    x = torch.rand(4000, 64)
    model = torch.nn.Linear(64, 64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    model(x).sum().backward()
    optimizer.step()
    return 1
@custom
def f(*args, **kwargs):
    threads = len(os.listdir('/proc/self/task'))
    with multiprocessing.Pool(2) as pool:
        return [threads, sum(pool.map(train, range(4)))]
"""
    warm(attempts.executor, Environment(preload=("torch",)))
    for _ in range(3):
        [described] = attempts.executor.describe()
        children = Path(f"/proc/{described['pid']}/task/{described['pid']}/children")
        wait_until(lambda children=children: len(children.read_text().split()) == STANDBY)
        ended = attempts.run(source, preload=("torch",), timeout_s=20)
        assert ended.exited.reason is None
        assert [output.summary for output in ended.outcome.outputs] == ["1", "4"]


def test_package_that_starts_a_thread_is_stepped_down(tmp_path, attempts, monkeypatch):
    package = tmp_path / "site" / "sklearn"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    described = warm(attempts.executor, Environment(preload=("sklearn",)))
    assert described["mode"] == "fork"
    assert described["preload"] == ["pandas", "pyarrow", "duckdb"]
    assert len(os.listdir(f"/proc/{described['pid']}/task")) == 1


def test_running_block_outlives_its_engine(workspace):
    """The engine is killed while a block runs; the next engine finds the block by its handle and sees it end."""
    script = Path(workspace.root / "engine.py")
    script.write_text(
        "import json, sys\nfrom pathlib import Path\n"
        "from spellbook_core.executors.process import ProcessExecutor\n"
        "from spellbook_core.project.layout import Workspace\nfrom spellbook_core.settings import Settings\n"
        "from spellbook_core.worker.entry import read_task\n"
        "executor = ProcessExecutor(Workspace.open(Path(sys.argv[1])), Settings())\n"
        "folder = Path(sys.argv[2])\nexecutor.submit(read_task(folder), folder)\n"
        "while True:\n    for event in executor.poll(1):\n"
        "        if hasattr(event, 'handle'): print(json.dumps(dict(event.handle)), flush=True)\n"
    )
    import json

    from spellbook_core.worker.wire import task_to_json

    executor = ProcessExecutor(workspace, Settings())
    attempts = Attempts(workspace, executor)
    task = attempts.task(WAITS)
    folder = attempts.folder(task)
    folder.mkdir(parents=True)
    (folder / "task.json").write_text(json.dumps(task_to_json(task)))
    engine = subprocess.Popen(
        [sys.executable, str(script), str(workspace.root), str(folder)], stdout=subprocess.PIPE, text=True
    )
    handle = json.loads(engine.stdout.readline())
    attempts.logged(task, "begun")
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    engine.stdout.close()
    zygote = psutil.Process(handle["pid"]).parent()

    assert executor.adopt(handle) is True
    stranger = {"block_run_id": 99, "attempt": 1, "dir": str(folder), "pid": os.getpid(), "start_ticks": 1}
    assert executor.adopt(stranger) is False
    (attempts.root.parent / "go").touch()
    ended = attempts.wait(task)
    assert ended.outcome is not None
    assert ended.outcome.error is None
    wait_until(lambda: not zygote.is_running(), what="the zygote of the dead engine ends")
    executor.close()


def test_adopted_block_can_be_cancelled(workspace):
    first = ProcessExecutor(workspace, Settings())
    attempts = Attempts(workspace, first)
    task = attempts.task(WAITS)
    attempts.submit(task)
    handle = attempts.started(task).handle
    attempts.logged(task, "begun")
    first.close()
    second = ProcessExecutor(workspace, Settings())
    attempts.executor = second
    assert second.adopt({name: handle[name] for name in ("block_run_id", "attempt", "dir")}) is True
    second.cancel(handle, 0.2)
    ended = attempts.wait(task)
    assert ended.exited.reason == "cancelled"
    second.close()


def test_death_of_the_warm_process_is_told(attempts):
    task = attempts.task(WAITS)
    attempts.submit(task)
    pid = attempts.started(task).pid
    [described] = attempts.executor.describe()
    os.kill(described["pid"], signal.SIGKILL)
    ended = attempts.wait(task)
    assert ended.exited.reason == "worker lost"
    assert not (ended.folder / OUTCOME_FILE).exists()
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    assert attempts.run(NOTHING).outcome.error is None


def test_missing_interpreter_is_told(attempts):
    ended = attempts.run(NOTHING, environment=Environment(python="/no/such/python"))
    assert ended.exited.reason.startswith("cannot start: ")
    assert "/no/such/python" in ended.exited.reason


def test_unused_warm_process_ends(workspace):
    executor = ProcessExecutor(workspace, Settings(zygote_idle_s=0.0))
    pid = warm_pid(executor)

    def gone() -> bool:
        executor.poll(0.01)
        return not psutil.pid_exists(pid)

    wait_until(gone)
    assert executor.describe() == []
    executor.close()


def warm_pid(executor: ProcessExecutor) -> int:
    executor.prepare(Environment())
    return executor.describe()[0]["pid"]


def test_folders_of_what_comes_next_are_made_meanwhile(attempts):
    """And one that cannot be made harms nothing: the attempt that needs it will say so."""
    task = attempts.task("@custom\ndef f(*args, **kwargs):\n    return 1\n")
    folder = attempts.folder(task)
    next_, nowhere = folder.with_name("999.1"), folder.parent / "missing" / "1.1"
    attempts.submit(task, ahead=[nowhere, next_])
    assert attempts.wait(task).outcome.error is None
    assert (next_.stat().st_mode & 0o777, (next_ / TASK_FILE).read_bytes()) == (0o700, b"")
    assert not nowhere.exists()


def test_many_blocks_leak_nothing(attempts):
    attempts.run(NOTHING)
    [described] = attempts.executor.describe()
    zygote, engine = psutil.Process(described["pid"]), psutil.Process()

    def figures() -> tuple[int, int, int, int]:
        children = wait_until(lambda: len(zygote.children()) == STANDBY and zygote.children(), what="children stand by")
        return zygote.num_fds(), zygote.num_threads(), engine.num_fds(), len(children)

    before = figures()
    for _ in range(50):
        attempts.run(NOTHING)
    assert figures() == before
    attempts.executor.poll(0)


def test_close_leaves_no_process(workspace):
    executor = ProcessExecutor(workspace, Settings())
    attempts = Attempts(workspace, executor)
    attempts.run(NOTHING)
    family = psutil.Process(executor.describe()[0]["pid"])
    everyone = [family, *family.children(recursive=True)]
    executor.close()
    wait_until(lambda: not any(one.is_running() for one in everyone), what="all processes are gone")


def test_machine_without_room_for_another_process_fails_that_block_alone(attempts):
    described = warm(attempts.executor, Environment())
    zygote = psutil.Process(described["pid"])
    running = attempts.task(WAITS)
    attempts.submit(running)
    attempts.logged(running, "begun")
    usual = zygote.rlimit(psutil.RLIMIT_NOFILE)
    zygote.rlimit(psutil.RLIMIT_NOFILE, (zygote.num_fds(), usual[1]))
    others = [attempts.task(NOTHING, block_run_id=number) for number in range(50, 50 + STANDBY + 2)]
    for task in others:
        attempts.submit(task)
    reasons = [attempts.wait(task).exited.reason for task in others]
    assert any(reason and reason.startswith("cannot start: [Errno 24]") for reason in reasons), reasons
    zygote.rlimit(psutil.RLIMIT_NOFILE, usual)
    later = attempts.task(NOTHING, block_run_id=90)
    attempts.submit(later)
    assert attempts.wait(later).outcome.error is None
    (attempts.root.parent / "go").touch()
    assert attempts.wait(running).outcome.error is None
