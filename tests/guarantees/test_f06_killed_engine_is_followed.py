"""A killed engine is followed by another one within 15 s, with nobody looking at the page."""

from __future__ import annotations

import os
import signal

import httpx
import pytest

from spellbook_core.engine.supervise import identity, is_alive
from spellbook_core.services import engines
from spellbook_core.services.wiring import open_context
from tests.conftest import wait_until

WAITS = """
import pathlib, time

@data_loader
def load(*args, **kwargs):
    here = pathlib.Path(__file__).parent
    (here / 'begun').touch()
    while not (here / 'go').exists():
        time.sleep(0.02)
    return 1
"""


@pytest.mark.guarantee("F6")
def test_run_ends_though_its_engine_was_killed_and_no_browser_is_open(serve):
    page = serve()
    folder = page.workspace / "projects/demo/data_loaders"
    (folder / "load_plain.py").write_text(WAITS)
    started = httpx.post(
        f"{page.address}/api/projects/demo/pipelines/plain/runs", headers=page.bearer, json={}, timeout=30
    )
    run_id = started.json()["run_id"]
    context = open_context(page.workspace)
    try:
        wait_until((folder / "begun").exists, 60, what="the block runs")
        engine = identity(engines.status(context).pid)
        os.kill(engine.pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(engine), what="the engine is dead")
        (folder / "go").touch()
        wait_until(lambda: context.store.run(run_id).status.is_terminal, 15, what="the run ends")
        assert context.store.run(run_id).status.value == "completed"
        engines.stop(context)
        assert not engines.revive(context), "an engine that was stopped stays stopped"
        assert not engines.status(context).is_running
    finally:
        context.close()
