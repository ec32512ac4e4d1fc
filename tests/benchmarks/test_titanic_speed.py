"""Run pipeline now on Titanic against the same four functions called in one warm Python process."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.model.run import NewRun, Selection, Status
from spellbook_core.services import engines, runs, wiring
from tests.conftest import wait_until

ROOT = Path(__file__).resolve().parents[2]

BARE = """
import contextlib, importlib.util, json, os, sys, time
sys.path.insert(0, os.getcwd())
import torch, torch._dynamo, pandas, duckdb

def function(path, name):
    spec = importlib.util.spec_from_file_location("bare_" + path.replace("/", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)

load = function("titanic/data_loaders/load_titanic.py", sys.argv[1])
fill = function("titanic/transformers/fill_in_missing_values.py", sys.argv[2])
train = function("titanic/custom/torch_train.py", sys.argv[3])
export = function("titanic/data_exporters/export_titanic_predict.py", sys.argv[4])
seconds = []
for _ in range(4):
    started = time.perf_counter()
    frame = load()
    frame = fill(frame)
    result = train(frame)
    frames = result if isinstance(result, (list, tuple)) else [result]
    export(frames[0])
    seconds.append(time.perf_counter() - started)
print("SECONDS", json.dumps(seconds[1:]))
"""


def main_function(path: Path) -> str:
    """Return the name of a block file's decorated function."""
    from spellbook_core.project import blockfile

    kind = {"data_loaders": "data_loader", "transformers": "transformer", "custom": "custom"}
    source = blockfile.inspect(path.read_text(encoding="utf-8"), kind.get(path.parent.name, "data_exporter"), str(path))
    return source.function


@pytest.mark.benchmark_table
def test_titanic_costs_at_most_a_second_more_than_plain_calls(tmp_path, report_row):
    projects = tmp_path / "projects"
    shutil.copytree(ROOT / "projects" / "titanic", projects / "titanic")
    names = [
        main_function(projects / "titanic" / folder / f"{name}.py")
        for folder, name in [
            ("data_loaders", "load_titanic"),
            ("transformers", "fill_in_missing_values"),
            ("custom", "torch_train"),
            ("data_exporters", "export_titanic_predict"),
        ]
    ]
    bare = subprocess.run(
        [sys.executable, "-c", BARE, *names], cwd=projects, capture_output=True, text=True, check=False, timeout=300
    )
    assert bare.returncode == 0, bare.stderr
    floor = statistics.median(json.loads(bare.stdout.split("SECONDS ", 1)[1]))

    context = wiring.open_context(tmp_path)
    engines.ensure(context)
    try:
        new = NewRun(
            project=ProjectName("titanic"),
            pipeline=PipelineUuid("torch_train"),
            trigger="manual",
            selection=Selection(is_fresh=True),
        )
        seconds = []
        for _ in range(4):
            started = time.perf_counter()
            run = runs.start(context, new)
            wait_until(lambda run=run: runs.get(context, run.id).status.is_terminal, 120, what="the run ends")
            run = runs.get(context, run.id)
            seconds.append(time.perf_counter() - started)
            assert run.status is Status.COMPLETED, runs.block_runs(context, run.id)
        ours = statistics.median(seconds[1:])
    finally:
        engines.stop(context)
        context.close()
    report_row("Run pipeline now on Titanic, warm engine, wall", ours=ours, floor=floor, unit="s", bound=1, slack=1.0)
