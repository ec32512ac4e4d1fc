"""N25: a planted pickle in the artifact store is opened by no page, no API route and not by the engine."""

from __future__ import annotations

import json
import os
import pickle

import httpx
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

pytestmark = pytest.mark.guarantee("N25")

ODD_VALUE = """
import fractions


@data_loader
def load(*args, **kwargs):
    return fractions.Fraction(1, 3)
"""


class Evil:
    """Leaves a canary when it is unpickled."""

    def __init__(self, canary) -> None:
        self.canary = str(canary)

    def __reduce__(self):
        return os.mkdir, (self.canary,)


def visit(page, name: str, query: str) -> int:
    """Have the page's script run as a browser would; return the number of elements it drew."""
    drawn = 0
    with connect(
        f"ws://{page.host}/_stcore/stream", additional_headers=page.bearer, subprotocols=["streamlit"], max_size=None
    ) as socket:
        wanted = BackMsg()
        wanted.rerun_script.query_string = query
        wanted.rerun_script.page_name = name
        socket.send(wanted.SerializeToString())
        while True:
            answer = ForwardMsg()
            answer.ParseFromString(socket.recv(timeout=60))
            drawn += answer.WhichOneof("type") == "delta"
            if answer.WhichOneof("type") == "script_finished":
                return drawn


def test_planted_pickle_stays_closed(serve):
    page = serve()
    (page.workspace / "projects/demo/data_loaders/load_plain.py").write_text(ODD_VALUE, encoding="utf-8")
    run_id = run_to_its_end(page)
    stored = list((page.workspace / ".spellbook" / "artifacts").rglob("data.pkl"))
    assert stored, "the value must be one that is stored as a pickle"
    canary = page.workspace / "unpickled"
    planted = pickle.dumps(Evil(canary))
    for path in stored:
        path.chmod(0o600)
        path.write_bytes(planted)
    for name, query in (
        ("", "project=demo"),
        ("editor", "project=demo&pipeline=plain&block=load_plain"),
        ("runs", "project=demo"),
        ("run", f"project=demo&id={run_id}"),
        ("files", "project=demo"),
        ("library", "project=demo"),
        ("settings", "project=demo"),
    ):
        assert visit(page, name, query) > 0, name
    assert httpx.get(f"{page.address}/api/runs/{run_id}", headers=page.bearer).status_code == 200
    assert not canary.exists()
    pickle.loads(planted)
    assert canary.exists(), "the control: unpickled, it does leave its canary"


def run_to_its_end(page) -> int:
    """Start the pipeline over the API and return its run's number when it has completed."""
    with httpx.stream("GET", f"{page.address}/api/events", headers=page.bearer, timeout=60) as events:
        lines = events.iter_lines()
        next(line for line in lines if "connected" in line)
        url = f"{page.address}/api/projects/demo/pipelines/plain/runs"
        run_id = int(httpx.post(url, headers=page.bearer, json={}).json()["run_id"])
        for line in lines:
            event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            if event.get("kind") == "run" and event.get("run_id") == run_id and event["status"] == "completed":
                return run_id
    raise AssertionError("the event stream ended before the run")
