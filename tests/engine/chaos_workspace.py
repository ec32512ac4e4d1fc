"""The workspace of a chaotic life: blocks that mark outside of the product when they begin and end."""

from __future__ import annotations

from pathlib import Path

from spellbook_core.model.naming import PipelineUuid, ProjectName
from tests.conftest import BlockFile, make_project
from tests.engine.test_block_kinds import add_ons

PROJECT, EDITED, KINDS, DIAMOND = ProjectName("demo"), *map(PipelineUuid, ("edited", "main", "diamond"))
SECRET = "correct-horse-battery-staple"

BODY = """
import os, pathlib, time
from spellbook_core import current_run, secret

def mark(word):
    now = current_run()
    line = f"{{word}} {{now.run_id}} {{now.block_run_id}} {{now.attempt}}\\n"
    path = pathlib.Path(__file__).parents[1] / "marks"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, line.encode())
    os.close(handle)

@{kind}
def work(*args, **kwargs):
    mark("begin")
    print("working with", secret("API_KEY"))
    time.sleep({seconds})
    mark("end")
    return {answer}
"""
SCRATCH = """
import pathlib
pathlib.Path(__file__).with_name('opened').touch()

@data_loader
def scratch(*args, **kwargs):
    return {number}
"""


def body(kind: str, seconds: float, *parents: str, answer: str = "", **settings: object) -> BlockFile:
    """Return a block that marks its begin and end and takes some time in between."""
    decorator = {"conditional": "condition", "callback": "callback('success', 'failure', 'cancelled')"}.get(kind, kind)
    answer = answer or "{'from': len(args), 'bytes': 'x' * 20_000}"
    return BlockFile(BODY.format(kind=decorator, seconds=seconds, answer=answer), kind, parents, settings)


def make_workspace(root: Path) -> None:
    """Write three pipelines: one fans out and joins, one has blocks of every kind, one is only edited."""
    retried = {"retry_config": {"retries": 2, "delay": 0.3, "exponential_backoff": False}}
    make_project(root, blocks={"scratch": SCRATCH.format(number=0)}, pipeline=EDITED)
    graph = {
        "load": body("data_loader", 0.05),
        "left": body("transformer", 0.15, "load", **retried),
        "right": body("transformer", 0.1, "load"),
        "join": body("data_exporter", 0.05, "left", "right"),
    }
    make_project(root, blocks=graph, pipeline=DIAMOND)
    dynamic = {"configuration": {"dynamic": True}}
    kinds = {
        "look": body("sensor", 0.0, answer="current_run().attempt > 1", configuration={"poll_interval": 0.5}),
        "items": body("data_loader", 0.02, "look", answer="[[1, 2, 3]]", **dynamic),
        "each": body("transformer", 0.05, "items", configuration={"reduce_output": True}, **retried),
        "all": body("data_exporter", 0.02, "each"),
    }
    project = make_project(root, blocks=kinds, pipeline=KINDS)
    holds, tell = body("conditional", 0.0, answer="True"), body("callback", 0.0, answer="None")
    add_ons(project, conditionals=[("holds", holds.source, ["all"])], callbacks=[("tell", tell.source, ["each"])])
    (project / ".env").write_text(f"API_KEY={SECRET}\n")
