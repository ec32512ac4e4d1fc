"""Runs a small pipeline again and again, each time with another change of a file refused, and looks what is left.

Started with `diskfaults.so` loaded ahead of the C library. Prints one JSON line per refused change. Every run is a fork
of this process, which has imported everything, so that one takes tens of milliseconds.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from spellbook_core.engine.runner import Runner
from spellbook_core.engine.solo import run_alone
from spellbook_core.errors import SpellbookError
from spellbook_core.executors.inline import InlineExecutor
from spellbook_core.model.run import NewRun, Status
from spellbook_core.project import kept_modules
from spellbook_core.services import runs
from spellbook_core.services.wiring import Context, open_context

NEW = NewRun("demo", "main", "manual")
LIMIT_S = 60

SHORT_WRITES = -1
"""In place of an error's number: nothing is refused, but each write takes half of what it is given."""


def run_once(ctx: Context) -> Status:
    executor = InlineExecutor()
    try:
        told = (ctx.workspace, ctx.store, executor, ctx.clock, ctx.settings, NEW)
        return run_alone(*told, lambda event: None).status
    finally:
        executor.close()


def refused(workspace: Path, k: int, number: int, is_lasting: bool) -> dict[str, object]:
    """Run with the k-th change refused; return how that was told, and how many changes there were."""
    faults = ctypes.CDLL(None)
    faults.fault_count.restype = ctypes.c_long
    ctx = open_context(workspace)
    said: dict[str, object] = {}
    faults.fault_arm(str(workspace).encode(), ctypes.c_long(k), number, int(is_lasting))
    try:
        said["ended"] = run_once(ctx).value
    except (SpellbookError, OSError) as error:
        said["raised"] = f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001  # told to the test, which fails for it
        said["unclear"] = traceback.format_exc()
    changes = faults.fault_count()
    faults.fault_arm(b"", ctypes.c_long(0), 0, 0)
    return {**said, "changes": changes}


def look(workspace: Path) -> dict[str, object]:
    """Open the workspace anew, as the next engine does, and check every promise; then run once more."""
    ctx = open_context(workspace)
    executor = InlineExecutor()
    runner = Runner(ctx.workspace, ctx.store, executor, ctx.clock, ctx.settings, lambda event: None)
    runner.take_new()
    while not runner.is_idle:
        runner.on_executor()
        runner.on_time()
    runner.close()
    executor.close()
    problems: list[str] = []
    found = runs.list_runs(ctx).runs
    for run in found:
        block_runs = runs.block_runs(ctx, run.id)
        if not run.status.is_terminal:
            problems.append(f"run {run.id} is {run.status}")
        if any(not each.status.is_terminal for each in block_runs):
            problems.append(f"run {run.id} has unended blocks")
        if run.status is Status.COMPLETED and {each.status for each in block_runs} != {Status.COMPLETED}:
            problems.append(f"run {run.id} completed, its blocks did not")
        if run.status is Status.FAILED and not run.error and not any(each.error for each in block_runs):
            problems.append(f"run {run.id} failed without a reason")
        kept = kept_modules.read(ctx.workspace.modules_file(run.id)).texts(ctx.workspace, "load") or {}
        if any(text != (ctx.workspace.project("demo").root / path).read_bytes() for path, text in kept.items()):
            problems.append(f"run {run.id} kept another text than that of its module")
        for each in block_runs:
            if each.status is Status.COMPLETED:
                problems += damaged(ctx, each.block, [output.artifact for output in each.outputs])
    connection = sqlite3.connect(ctx.workspace.database_path)
    if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
        problems.append("the run store is damaged")
    connection.close()
    if list(ctx.workspace.state_dir.glob("*.corrupt-*")):
        problems.append("the run store was moved aside")
    next_status = run_once(ctx)
    if next_status is not Status.COMPLETED:
        last = runs.block_runs(ctx, runs.list_runs(ctx).runs[0].id)
        problems.append(f"the next run is {next_status}: {[each.error and each.error.message for each in last]}")
    shown = [[run.status.value, *(each.status.value for each in runs.block_runs(ctx, run.id))] for run in found]
    errors = [each.error.message for run in found for each in runs.block_runs(ctx, run.id) if each.error]
    printed = [each for run in found for each in runs.block_runs(ctx, run.id) if each.block == "frame"]
    log = [line.text for each in printed for line in runs.log(ctx, each).lines]
    return {"problems": problems, "runs": shown, "errors": errors, "log": log}


def damaged(ctx: Context, block: str, outputs: list) -> list[str]:
    expected = {"load": dict, "frame": pd.DataFrame, "text": str}[block]
    try:
        for ref in outputs:
            ctx.artifacts.verify(ref)
            if not isinstance(ctx.artifacts.get(ref), expected):
                return [f"the output of {block} is something else"]
    except (SpellbookError, OSError) as error:
        return [f"the output of completed {block}: {error}"]
    return [] if outputs else [f"{block} completed without its output"]


def in_fork(work: Callable[[], dict[str, object]]) -> dict[str, object]:
    """Return what `work` returns in a process of its own, which may end in any way."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            signal.alarm(LIMIT_S)
            os.close(reader)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            answer = work()
        except BaseException:  # noqa: BLE001  # nothing may unwind into the parent's loop
            answer = {"unclear": traceback.format_exc()}
        with os.fdopen(writer, "w") as file:
            json.dump(answer, file)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    return json.loads(text) if text else {"unclear": f"the process ended with {os.waitstatus_to_exitcode(status)}"}


def main() -> None:
    base, number, is_lasting, first, step = Path(sys.argv[1]), *sys.argv[2:6]
    code = SHORT_WRITES if number == "SHORT" else getattr(errno, number)
    k = int(first)
    while True:
        workspace = base.with_name(f"{base.name}-{number}-{k}")
        shutil.copytree(base, workspace)
        before = (workspace / "projects/demo/pipelines/main/metadata.yaml").read_bytes()
        told = in_fork(lambda at=k, folder=workspace: refused(folder, at, code, is_lasting == "1"))
        told |= in_fork(lambda folder=workspace: look(folder))
        told["is_file_kept"] = (workspace / "projects/demo/pipelines/main/metadata.yaml").read_bytes() == before
        print(json.dumps({"k": k, **told}), flush=True)
        shutil.rmtree(workspace)
        if int(told.get("changes", 0)) < k or code == SHORT_WRITES:
            return
        k += int(step)


if __name__ == "__main__":
    main()
