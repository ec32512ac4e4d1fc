"""Draw one chart in a process of its own: `python -P -m spellbook_core.worker.chart_entry FOLDER`.

Reads the task from FOLDER, writes the picture or the error into it, whole or not at all. It belongs to no run: nothing
is written to the run store.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.model.task import TASK_FILE, BlockTask
from spellbook_core.model.values import JsonObject
from spellbook_core.project.layout import Workspace
from spellbook_core.worker import chart, secrecy
from spellbook_core.worker.load import extend_import_path
from spellbook_core.worker.memory import KEY, limit_of, restrict
from spellbook_core.worker.report import report_exception
from spellbook_core.worker.wire import task_from_json

RESULT_FILE = "result.json"
"""`{"picture": ...}` or `{"error": ...}`."""


def main() -> None:
    """Draw the chart whose task lies in the folder named; ends by SIGALRM when its time is up, even inside C code."""
    folder = Path(sys.argv[1])
    task = task_from_json(json.loads((folder / TASK_FILE).read_bytes()))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, task.timeout_s or 0.0)
    seal(result_of(task), folder)


def result_of(task: BlockTask) -> JsonObject:
    """Return the picture, or why there is none; never raises for what user code does."""
    root = Path(task.project_root)
    try:
        os.chdir(root.parent)
        extend_import_path(root)
        restrict(bounded(task))
        secrecy.begin(task, lambda texts: None)
        store = LocalArtifactStore(Workspace.open(Path(task.workspace)).artifacts_dir)
        return {"picture": secrecy.masker().value(chart.draw(task, store))}
    except BaseException as failure:  # noqa: BLE001  # user code boundary: SystemExit and KeyboardInterrupt included
        report = secrecy.masker().value(report_exception(failure, task).to_json(), keys=False)
        hint = str(report["hint"]).replace("the marked line and run the block again", "that line of the chart's code")
        return {"error": {**report, "hint": hint}}


def bounded(task: BlockTask) -> BlockTask:
    """Return the task with a `memory_limit`: the chart's, else the project's, else half of the machine's memory.

    Raises:
        BadMemoryLimitError: The one that is written is no size. [SB-WRK-050]
    """
    if limit_of(task.configuration, Path(task.project_root)) is not None:
        return task
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return replace(task, configuration={**task.configuration, KEY: half})


def seal(result: JsonObject, folder: Path) -> None:
    """Put the result into place by a rename."""
    temporary = folder / f"{RESULT_FILE}.tmp"
    temporary.write_text(json.dumps(result, allow_nan=False), encoding="utf-8", errors="replace")
    os.replace(temporary, folder / RESULT_FILE)


if __name__ == "__main__":
    main()
