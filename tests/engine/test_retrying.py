"""Retries through the surfaces: the command line, the API and the run's page, each with real processes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml
from starlette.applications import Starlette

from spellbook_core.http.hub import EventHub
from spellbook_core.http.routes.table import routes
from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.run import Code, NewRun, Status
from spellbook_core.services import engines, retries, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import LOADER, BlockFile, make_project

SPELLBOOK = str(Path(sys.executable).with_name("spellbook"))
BAD = "@transformer\ndef change(data, *args, **kwargs):\n    raise ValueError('bad row')\n"
GOOD = "@transformer\ndef change(data, *args, **kwargs):\n    return data + 1\n"


def spellbook(cwd, *arguments):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPELLBOOK_")}
    ended = subprocess.run(
        [SPELLBOOK, *arguments, "--json"], cwd=cwd, capture_output=True, text=True, env=kept, timeout=120, check=False
    )
    return ended.returncode, json.loads(ended.stdout) if ended.stdout else ended.stderr


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path, blocks={"load": LOADER, "change": BAD})


def test_command_finishes_a_failed_run(tmp_path, project):
    assert spellbook(tmp_path, "run", "demo", "main", "--var", "rows=3")[0] == 1
    assert spellbook(tmp_path, "resume", "1")[0] == 1
    (project / "transformers/change.py").write_text(GOOD)
    status, failed = spellbook(tmp_path, "resume", "1")
    assert (status, failed["blocks"][1]["error"]["last_line"]) == (1, "ValueError: bad row")
    status, report = spellbook(tmp_path, "retry", "1")
    assert (status, report["state"], report["variables"]) == (0, "completed", {"rows": 3})
    assert report["again"] == {"run_id": 1, "share": "completed", "code": "now", "start": None}
    assert [block["reused"] for block in report["blocks"]] == [True, False]
    status, whole = spellbook(tmp_path, "retry", "1", "--all", "--code", "then")
    assert (status, [block["reused"] for block in whole["blocks"]]) == (1, [False, False])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("retry", "9"), "There is no run 9"),
        (("retry", "1", "--from", "nowhere"), "no block 'nowhere'"),
        (("retry", "1", "--from", "load", "--all"), "exclude each other"),
    ],
)
def test_command_says_why_it_cannot_retry(tmp_path, project, arguments, said):
    spellbook(tmp_path, "run", "demo", "main")
    status, problem = spellbook(tmp_path, *arguments)
    assert (status, said in problem["error"]["message"]) == (2, True)


@pytest.fixture
def ctx(tmp_path, project):
    made = open_context(tmp_path)
    yield made
    engines.stop(made)
    made.close()


async def post(ctx, run_id, body):
    hub = EventHub(lambda: ctx)
    app = httpx.ASGITransport(Starlette(routes=list(routes(lambda: ctx, hub))))
    async with httpx.AsyncClient(transport=app, base_url="http://page") as client:
        return await client.post(f"/api/runs/{run_id}/retry", json=body)


def test_api_retries_and_refuses_what_it_cannot(ctx, project):
    first = runs.start(ctx, NewRun("demo", "main", "manual"))
    runs.wait(ctx, first.id, 60)
    (project / "transformers/change.py").write_text(GOOD)
    answer = asyncio.run(post(ctx, first.id, {"from": "change", "request_id": "once"}))
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/runs/{answer.json()['run_id']}"
    assert answer.json()["again"] == {"run_id": first.id, "share": "above", "code": "now", "start": "change"}
    assert runs.wait(ctx, answer.json()["run_id"], 60).status.value == "completed"
    assert (
        asyncio.run(post(ctx, first.id, {"from": "change", "request_id": "once"})).json()["run_id"]
        == (answer.json()["run_id"])
    )
    for body in ({"code": "later"}, {"share": "above"}, {"from": 3}, {"from": "change", "share": "nothing"}):
        assert asyncio.run(post(ctx, first.id, body)).status_code == 400
    assert asyncio.run(post(ctx, 99, {})).status_code == 404
    assert asyncio.run(post(ctx, first.id, {"from": "nowhere"})).status_code == 404


def test_run_of_many_kinds_is_finished(tmp_path):
    """Of a dynamic block that was shared the children run; condition and callback go with their block."""
    items = "@data_loader\ndef f(*args, **kwargs):\n    return [[1, 2, 3]]\n"
    square = "@transformer\ndef f(n, *args, **kwargs):\n    return n * n if n < 3 else n / 0\n"
    gather = "@custom\ndef f(values, *args, **kwargs):\n    return {'all': values}\n"
    add_ons = {
        "conditionals": ("conditional", "holds", "@condition\ndef f(*args, **kwargs):\n    return True\n", "gather"),
        "callbacks": (
            "callback",
            "tell",
            "@callback('failure')\ndef f(*args, **kwargs):\n    print('told')\n",
            "square",
        ),
    }
    dynamic, reduced = {"configuration": {"dynamic": True}}, {"configuration": {"reduce_output": True}}
    project = make_project(
        tmp_path,
        blocks={
            "items": BlockFile(items, "data_loader", settings=dynamic),
            "square": BlockFile(square, "transformer", ("items",), settings=reduced),
            "gather": BlockFile(gather, "custom", ("square",)),
        },
    )
    path = project / "pipelines/main/metadata.yaml"
    document = yaml.safe_load(path.read_text())
    for key, (kind, name, source, of) in add_ons.items():
        (project / f"{kind}s").mkdir(exist_ok=True)
        (project / f"{kind}s" / f"{name}.py").write_text(source)
        entry = {"uuid": name, "name": name, "type": kind, "language": "python", "upstream_blocks": [of]}
        document[key] = [{**entry, "downstream_blocks": []}]
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    ctx = open_context(tmp_path)
    first = runs.run_here(ctx, NewRun("demo", "main", "cli"), lambda event: None)
    assert first.status is Status.FAILED
    same = runs.run_here(ctx, retries.repeat_of(ctx, first.id, code=Code.THEN), lambda event: None)
    assert same.status is Status.FAILED
    (project / "transformers/square.py").write_text(square.replace("n / 0", "0"))
    for origin in (first, same):
        again = runs.run_here(ctx, retries.repeat_of(ctx, origin.id), lambda event: None)
        found = {each.key: each for each in runs.block_runs(ctx, again.id)}
        assert {key: each.status.value for key, each in found.items() if each.status is not Status.COMPLETED} == {}
        assert again.status is Status.COMPLETED
        assert found["items"].reason == f"completed in run {origin.id}"
        assert not found["items"].attempt
        assert ctx.artifacts.get(found["gather"].outputs[0].artifact) == {"all": [1, 4, 0]}
        below = runs.run_here(ctx, retries.repeat_of(ctx, again.id, start=BlockUuid("gather")), lambda event: None)
        found = {each.key: each for each in runs.block_runs(ctx, below.id)}
        assert found["square"].reason == f"completed in run {again.id}"
        assert ctx.artifacts.get(found["gather"].outputs[0].artifact) == {"all": [1, 4, 0]}
    ctx.close()
